"""Whether exported files answer as the classifier does."""

from linnaea.evidence.gate.contract import FAIL, PASS, RULES, Case, Evidence, Judgement


@RULES.register("parity", title="Exports answer the same", order=170, trial=True)
def parity(case: Case) -> Judgement:
    """Every export beside the run is compared with the classifier again, from file to probabilities."""
    found = case.look.exports()
    facts = [
        Evidence(
            finding.name.replace("_", " "), "export/", FAIL if finding.severity == "error" else PASS, finding.figure
        )
        for finding in found
    ]
    failed = [finding for finding in found if finding.severity == "error"]
    told = " ".join(f"{finding.summary[0].upper()}{finding.summary[1:]}" for finding in failed or found)
    if failed:
        return Judgement(FAIL, told, facts, f"Export again: linnaea export {case.run.folder}")
    return Judgement(PASS, told, facts)
