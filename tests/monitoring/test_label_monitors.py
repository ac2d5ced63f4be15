"""What monitors say of windows without labels, and of those whose labels came late."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import CLASSES, POLICY, answered, drawn, reference

from linnaea.data.review import Facts, ReviewFolder
from linnaea.delivery.monitoring import MONITORS, Seen, Watched, Window
from linnaea.delivery.monitoring.answers import seen_of
from linnaea.delivery.monitoring.late_labels import LateLabel, joined, read_late_labels
from linnaea.delivery.serving.audit_log.writing import record_of
from linnaea.errors import DataError

SHIFTED = (0.8, 0.1, 0.1)
TINY = b"\x89PNG\r\n\x1a\n" + bytes(30)


def windows(*parts: tuple[np.ndarray, np.ndarray]) -> list[Window]:
    found, first = [], 0
    for number, (logits, scores) in enumerate(parts):
        records = map(record_of, answered(logits, scores, first=first))
        found.append(Window(f"window {number}", seen_of(records, 3)))
        first += len(logits)
    return found


def watched(known: Seen, *parts: Window, **more) -> Watched:
    return Watched(CLASSES, "multiclass", POLICY, known, parts, **more)


def said(name: str, of: Watched) -> dict:
    return {finding.name: finding for finding in MONITORS[name](of)}


def test_accuracy_is_estimated_in_every_window_and_called_an_estimate():
    random = np.random.default_rng(0)
    known = reference(random)
    easy, hard = drawn(random, 400), drawn(random, 400, apart=1.2)
    found = said("accuracy", watched(known, *windows(easy[:2], hard[:2])))
    assert len(found) == 4
    right = [np.mean(logits.argmax(axis=1) == truth) for logits, _, truth in (easy, hard)]
    for name, finding in found.items():
        assert [row["window"] for row in finding.rows] == ["window 0", "window 1"]
        assert "not accuracy" in finding.summary
        assert finding.rows[0]["value"] == pytest.approx(right[0], abs=0.04)
        assert finding.rows[0]["value"] > finding.rows[1]["value"] or name.endswith("class_shares")
    assert found["estimated_accuracy_difference_of_confidence"].rows[1]["value"] == pytest.approx(right[1], abs=0.08)


def test_without_labels_of_the_reference_it_says_so():
    random = np.random.default_rng(0)
    known = reference(random).with_(truth=())
    logits, scores, _ = drawn(random, 50)
    of = watched(known, *windows((logits, scores)))
    assert said("accuracy", of)["estimated_accuracy"].severity == "warning"
    assert said("label_shift", of)["class_shares"].severity == "warning"
    assert said("accuracy", replace(of, task="multilabel"))["estimated_accuracy"].severity == "warning"


def test_class_shares_follow_the_classes():
    random = np.random.default_rng(1)
    same, other = drawn(random, 500), drawn(random, 500, shares=SHIFTED)
    of = watched(reference(random), *windows(same[:2], other[:2]))
    found = said("label_shift", of)
    rows = {row["class"]: row for row in found["class_shares"].rows}
    assert rows["ant"]["share"] == pytest.approx(0.8, abs=0.05)
    assert rows["ant"]["by EM"] == pytest.approx(0.8, abs=0.05)
    assert (rows["ant"]["differs"], rows["bee"]["differs"]) == ("more", "less")
    assert "ant 0.79 instead of 0.41" in found["class_shares"].summary
    ants = found["class_share_ant"].rows
    assert ants[0]["lo"] < 0.4 < ants[0]["hi"] < ants[1]["lo"]


def test_nothing_is_said_to_differ_where_nothing_does():
    random = np.random.default_rng(2)
    found = said("label_shift", watched(reference(random), *windows(drawn(random, 400)[:2])))
    assert "as in the reference" in found["class_shares"].summary


def test_late_labels_give_accuracy_classes_and_coverage():
    random = np.random.default_rng(3)
    logits, scores, truth = drawn(random, 300, apart=1.5)
    window = windows((logits, scores))[0]
    labels = [LateLabel(f"r{row}", 0, CLASSES[truth[row]]) for row in range(0, 300, 3)]
    seen, notes = joined(window.seen, labels)
    assert notes == []
    of = watched(reference(random), replace(window, seen=seen))
    found = said("performance", of) | said("coverage", of)
    rows = range(0, 300, 3)
    right = np.mean([CLASSES[logits[row].argmax()] == CLASSES[truth[row]] for row in rows])
    held = np.mean([CLASSES[truth[row]] in window.seen.sets[row] for row in rows])
    assert found["late_accuracy"].figure.value == pytest.approx(right)
    assert found["late_accuracy"].figure.method == "Wilson"
    assert found["late_coverage"].figure.value == pytest.approx(held)
    assert "no random sample" in found["late_accuracy"].summary
    assert {row["class"] for row in found["late_classes"].rows} == set(CLASSES)
    assert sum(row["images"] for row in found["late_classes"].rows) == 100
    assert found["late_selection"].severity == "info"


def test_coverage_is_missed_only_where_the_choice_of_images_cannot_be_why():
    random = np.random.default_rng(8)
    window = windows(drawn(random, 300, apart=1.5)[:2])[0]
    beside = [next((name for name in CLASSES if name not in held), "ant") for held in window.seen.sets]

    def late(rows, chance=None):
        labels = [LateLabel(f"r{row}", 0, beside[row], chance) for row in rows]
        seen, _ = joined(window.seen, labels)
        return said("coverage", watched(reference(random), replace(window, seen=seen)))["late_coverage"]

    some, drawn_at_random, whole = late(range(0, 300, 3)), late(range(0, 300, 3), 1 / 3), late(range(300))
    assert (some.severity, drawn_at_random.severity, whole.severity) == ("info", "warning", "warning")
    assert "missed among these. Figures are of labelled images, and nobody said" in some.summary
    assert "missed. Figures are of labelled images, weighed" in drawn_at_random.summary
    assert "missed. All images from the first labelled one to the last" in whole.summary
    assert late(range(5, 290)).severity == "warning", "the newest wait for their label"
    assert whole.figure.method == "Wilson"


def test_reviewing_the_doubtful_is_seen_and_chances_undo_it():
    random = np.random.default_rng(4)
    logits, scores, truth = drawn(random, 4000, apart=1.5)
    window = windows((logits, scores))[0]
    chance = np.where(window.seen.confidence < 0.8, 0.5, 0.05)
    chosen = np.flatnonzero(random.random(4000) < chance)
    right = np.mean(logits.argmax(axis=1) == truth)

    def late(known: bool) -> dict:
        labels = [LateLabel(f"r{k}", 0, CLASSES[truth[k]], chance[k] if known else None) for k in chosen.tolist()]
        seen, _ = joined(window.seen, labels)
        return said("performance", watched(reference(random), replace(window, seen=seen)))

    biased, weighed = late(False), late(True)
    assert biased["late_selection"].severity == "warning"
    assert biased["late_accuracy"].figure.hi < right
    assert weighed["late_accuracy"].figure.lo < right < weighed["late_accuracy"].figure.hi
    assert "weighed" in weighed["late_accuracy"].summary


def test_labels_for_unknown_requests_are_named_and_counted_and_the_last_label_counts():
    random = np.random.default_rng(5)
    window = windows(drawn(random, 20)[:2])[0]
    labels = [LateLabel("r3", 0, "ant"), LateLabel("r3", 0, "bee"), LateLabel("nobody", 0, "ant")]
    seen, notes = joined(window.seen, [*labels, LateLabel("r4", None, "wasp"), LateLabel("r5", 7, "ant")])
    assert (seen.truth[3], seen.truth[4], seen.truth[5]) == ("bee", "wasp", None)
    unknown, again = notes
    assert (unknown.name, unknown.count, unknown.severity) == ("unknown_requests", 2, "warning")
    assert "'nobody/0', 'r5/7'" in unknown.summary
    assert (again.name, again.count) == ("labelled_again", 1)


def test_an_image_of_none_of_the_classes_is_wrong_and_told():
    random = np.random.default_rng(6)
    window = windows(drawn(random, 20)[:2])[0]
    seen, _ = joined(window.seen, [LateLabel("r0", 0, ""), LateLabel("r1", 0, window.seen.labels[1])])
    found = said("performance", watched(reference(random), replace(window, seen=seen)))
    assert found["late_accuracy"].figure.value == 0.5
    assert found["late_strangers"].count == 1


def test_labels_are_read_from_a_table_and_from_a_review_folder(tmp_path: Path):
    from linnaea.data.review import Facts, ReviewFolder

    table = tmp_path / "late.csv"
    table.write_text("request,place,label,chance\nr1,0,ant,0.25\nr2,1,a|b,\nr3,0,,\n")
    assert read_late_labels(table) == [
        LateLabel("r1", 0, "ant", 0.25),
        LateLabel("r2", 1, ("a", "b")),
        LateLabel("r3", 0, ""),
    ]
    folder = ReviewFolder(tmp_path / "review")
    folder.file(TINY, "bee", Facts(was="ant", request="r9", place=2))
    folder.file(TINY + b"x", None, Facts(request="r8"))
    expected = [LateLabel("r9", 2, "bee"), LateLabel("r8", None, "")]
    assert read_late_labels(folder.folder) == expected
    assert read_late_labels(folder.folder / "review.csv") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request,label\nr1,ant\n", "has no column place"),
        ("request,place,label\nr1,first,ant\n", "row 2: place is 'first'"),
        ("request,place,label,chance\nr1,0,ant,2\n", "row 2: chance is '2'"),
        ("request,place,label,chance\nr1,0,ant,x\n", "row 2: chance is 'x'"),
        ("request,place,label\nr1,0\n", "cannot be read"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path: Path, text: str, message: str):
    table = tmp_path / "late.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=message):
        read_late_labels(table)


def test_a_folder_without_a_table_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"without review\.csv"):
        read_late_labels(tmp_path)


def test_expected_coverage_needs_no_labels():
    random = np.random.default_rng(7)
    logits, scores, truth = drawn(random, 2000, apart=1.5)
    of = watched(reference(random), *windows((logits, scores)))
    finding = said("coverage", of)["expected_coverage"]
    held = np.mean([CLASSES[k] in members for k, members in zip(truth, of.windows[0].seen.sets, strict=True)])
    assert finding.figure.value == pytest.approx(held, abs=0.02)
    assert finding.rows[0]["limit"] == 0.9


def test_a_change_is_told_with_its_beginning_and_what_to_do():
    random = np.random.default_rng(8)
    before, after = drawn(random, 600), drawn(random, 300, strange=3.0)
    found = said("sequential", watched(reference(random), *windows(before[:2], after[:2])))
    assert found["sequential"].severity == "error"
    of_scores = found["sequential_ood_score"]
    assert of_scores.rows[0]["since"].startswith("2026-01-01 1")  # the 600th minute is 10:00
    assert "linnaea review" in of_scores.summary
    assert "to 1 that it is no chance" in of_scores.summary


def test_no_change_is_told_where_there_is_none():
    random = np.random.default_rng(9)
    found = said("sequential", watched(reference(random), *windows(drawn(random, 1000)[:2])))
    assert found["sequential"].severity == "info"
    assert len(found) == 1
    assert "at most 1 %" in found["sequential"].summary


def test_fewer_right_answers_are_certain_by_late_labels():
    random = np.random.default_rng(10)
    logits, scores, truth = drawn(random, 400)
    window = windows((logits, scores))[0]
    wrong = np.where(random.random(400) < 0.4, (truth + 1) % 3, truth)
    seen, _ = joined(window.seen, [LateLabel(f"r{row}", 0, CLASSES[k]) for row, k in enumerate(wrong.tolist())])
    found = said("sequential", watched(reference(random), replace(window, seen=seen)))
    assert {"sequential_accuracy", "sequential_coverage"} <= set(found)


def test_labels_of_doubtful_images_raise_no_alarm_where_nothing_changed():
    random = np.random.default_rng(11)
    logits, scores, truth = drawn(random, 3000, apart=1.5)
    window = windows((logits, scores))[0]
    known = reference(random, apart=1.5)
    doubtful = np.flatnonzero(window.seen.confidence < 0.8).tolist()
    labels = [LateLabel(f"r{row}", 0, CLASSES[truth[row]]) for row in doubtful]
    found = said("sequential", watched(known, replace(window, seen=joined(window.seen, labels)[0])))
    assert found["sequential_accuracy"].severity == "warning"
    assert "nobody said how the labelled images were chosen" in found["sequential_accuracy"].summary
    assert found["sequential"].severity == "warning"


def test_labels_by_chance_are_tested_as_if_all_were_as_likely():
    random = np.random.default_rng(12)
    logits, scores, truth = drawn(random, 6000, apart=1.5)
    window, known = windows((logits, scores))[0], reference(random, apart=1.5)
    chance = np.where(window.seen.confidence < 0.8, 0.9, 0.3)
    chosen = np.flatnonzero(random.random(6000) < chance).tolist()

    def told(wrong: float) -> dict:
        shown = np.where(random.random(6000) < wrong, (truth + 1) % 3, truth)
        labels = [LateLabel(f"r{row}", 0, CLASSES[shown[row]], float(chance[row])) for row in chosen]
        return said("sequential", watched(known, replace(window, seen=joined(window.seen, labels)[0])))

    assert told(0.0)["sequential"].severity == "info"
    assert told(0.3)["sequential_accuracy"].severity == "error"


def test_labels_that_are_no_class_are_named():
    random = np.random.default_rng(13)
    logits, scores, truth = drawn(random, 20)
    window = windows((logits, scores))[0]
    labels = [LateLabel(f"r{row}", 0, "Ant" if row < 3 else CLASSES[truth[row]]) for row in range(20)]
    found = said("performance", watched(reference(random), replace(window, seen=joined(window.seen, labels)[0])))
    assert found["late_unknown_classes"].severity == "warning"
    assert "3 labels are no class of the classifier: 'Ant' (3)" in found["late_unknown_classes"].summary


def test_a_table_without_labels_is_refused(tmp_path):
    (tmp_path / "late.csv").write_text("request,place,label\n")
    with pytest.raises(DataError, match="holds no label"):
        read_late_labels(tmp_path / "late.csv")
    ReviewFolder(tmp_path / "review").file(TINY, "ant", Facts())
    with pytest.raises(DataError, match="1 reviewed image, none of which is of a request"):
        read_late_labels(tmp_path / "review")
