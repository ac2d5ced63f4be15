"""Checks of explanations: does a map show what moves the answer, and would it differ if nothing had been learnt?"""

from linnaea.evidence.explanation.checks.contract import EXPLANATION_CHECKS, Checked, Explained, Unlearnt, Verdict

__all__ = ["EXPLANATION_CHECKS", "Checked", "Explained", "Unlearnt", "Verdict"]
