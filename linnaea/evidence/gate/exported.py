"""Whether exported files answer as the classifier does."""

from linnaea.evidence.gate.contract import FAIL, NOT_DONE, PASS, RULES, Case, Evidence, Judgement
from linnaea.finding import Finding


@RULES.register("parity", title="Exports answer the same", order=170, trial=True)
def parity(case: Case) -> Judgement:
    """Every export beside the run is compared with the classifier again, from file to probabilities."""
    found = case.look.exports()
    facts = [
        Evidence(finding.name.replace("_", " "), "export/", _outcome(finding), finding.figure) for finding in found
    ]
    graver = next((outcome for outcome in (FAIL, NOT_DONE) if any(fact.outcome == outcome for fact in facts)), PASS)
    told = " ".join(
        f"{finding.summary[0].upper()}{finding.summary[1:]}" for finding in found if _outcome(finding) == graver
    )
    mend = {
        FAIL: f"Export again: linnaea export {case.run.folder}",
        NOT_DONE: "Run the check on a machine that can run these exports, or waive this rule with the reason.",
    }
    return Judgement(graver, told, facts, mend.get(graver, ""))


def _outcome(finding: Finding) -> str:
    """What was not run on this machine has neither passed nor failed."""
    if finding.severity == "error":
        return FAIL
    return PASS if finding.figure is not None else NOT_DONE
