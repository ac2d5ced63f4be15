"""The release gate: the checklist before a classifier is used, as rules that pass, fail, or say what was not done."""

from linnaea.evidence.gate.contract import RULES, Case, Evidence, Judgement, Look, NotDoneError, Rule
from linnaea.evidence.gate.judging import Verdict, judge_rules

__all__ = ["RULES", "Case", "Evidence", "Judgement", "Look", "NotDoneError", "Rule", "Verdict", "judge_rules"]
