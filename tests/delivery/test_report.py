"""The report reads only the run folder, says what it lacks and lets no name break out of its place."""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linnaea.delivery.report import write_report
from linnaea.delivery.report.charts.ladder import Rung, ladder_chart
from linnaea.delivery.report.folder import Folder, Part
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages import PAGES
from linnaea.delivery.report.pictures import SIDE, picture
from linnaea.delivery.report.words import SPACE, duration, estimate, in_order, metric_named, moment, number, percent
from linnaea.errors import RunError
from linnaea.finding import Finding
from linnaea.runtime.files import write_json

TITLES = (
    "Verdict", "The ladder", "The figures", "Class by class", "What it confuses", "Confidence", "How it learned",
    "Worst mistakes", "How it answers", "The data", "Data audit", "Left out", "Export", "How it was made", "Model card",
)  # fmt: skip
SCRIPT = "<script>alert(1)</script>"
FINDINGS = ("per_class", "confusion", "reliability", "mistakes", "answers", "unreadable")
VOID = {"meta", "img", "line", "rect", "br", "path", "use"}


class Page(HTMLParser):
    """What a browser would make of a page: text, headings, tags, and whether every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            return
        self.words.append(data)
        if any(re.fullmatch(r"h[1-6]", tag) for tag in self.open):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data.strip())

    @property
    def text(self) -> str:
        text = " ".join(" ".join(self.words).replace(SPACE, " ").split())
        return re.sub(r" (?=[,.;])", "", text)

    def attributes(self, *names: str) -> Iterator[str]:
        for _, attributes in self.tags:
            yield from (attributes[name] or "" for name in names if name in attributes)


def page_of(run: Path) -> Page:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_finished_run_has_every_section_in_order(finished_run: Path):
    page = page_of(finished_run)
    assert [text for level, text in page.headings if level == 2] == list(TITLES)
    assert "Missing." not in page.text
    assert "incomplete" not in page.text


def test_verdict_comes_first_and_is_made_of_facts(finished_run: Path):
    text = page_of(finished_run).text
    assert "The frozen rung names 93.9 % (90.5 to 96.1) of 294 test images correctly." in text
    assert (
        "On the ladder it reaches 93.5 % (90.1 to 95.8); always answering the most frequent class reaches 24.8 %"
        in text
    )
    assert "It declines to answer 9.2 % of these images; when it answers, 97.4 % (94.7 to 98.8) are right." in text
    assert "The data audit raised 2 warnings." in text
    assert "1 class of 6 has fewer than 10 test images." in text
    assert text.index("Verdict") < text.index("The frozen rung") < text.index("Every way of building")


def test_a_page_registers_like_any_member(finished_run: Path):
    with PAGES.restored():

        @PAGES.register("weather", title="The weather", order=15, draws=("per_hour",))
        def weather(material):
            """What the weather was like."""
            return listed(material.folder, Part([Finding("rain", "It rained on 3 images.")]))

        PAGES.register("silent", title="Nothing to say", order=16)(lambda material: None)
        PAGES.register("other", title="Of another task", order=17, tasks=("multilabel",))(weather)
        page = page_of(finished_run)
    headings = [text for level, text in page.headings if level == 2]
    assert headings == [*TITLES[:2], "The weather", *TITLES[2:]]
    assert "The weather It rained on 3 images." in page.text.replace(" rain ", " ").replace(" info ", " ")
    assert ("a", {"href": "#weather"}) in page.tags


def test_what_a_page_draws_is_not_listed_again(finished_run: Path):
    path = finished_run / "findings" / "test.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), {"name": "per_hour", "summary": "Noon is worst."}]))
    assert "Further findings" in page_of(finished_run).text
    with PAGES.restored():
        PAGES.register("hours", title="Hour by hour", draws=("per_hour",))(lambda material: None)
        assert "Further findings" not in page_of(finished_run).text


def promise(name: str, summary: str, severity: str = "info") -> dict:
    return {"name": f"promise_{name}", "summary": summary, "severity": severity}


def test_whether_a_promise_was_kept_comes_before_everything_else(finished_run: Path):
    path = finished_run / "findings" / "test.json"
    told = [
        promise("recall", "Missed: the recall of <b> is 80.0 % (70.0 to 87.0) of 90 images.", "warning"),
        promise("coverage", "Kept: the share of prediction sets that hold the truth is 91.8 %."),
        promise("unsure_rate", "Undecided: the share answered “unsure” is 5.1 %."),
    ]
    path.write_text(json.dumps([*told, *json.loads(path.read_text())]))
    text = page_of(finished_run).text
    places = [
        text.index(words)
        for words in (
            "Verdict Missed: the recall of <b> is 80.0 % (70.0 to 87.0) of 90 images. The frozen rung names",
            "What else was promised Kept: the share of prediction sets",
            "Undecided: the share answered",
            "Before you rely on it",
        )
    ]
    assert places == sorted(places)
    assert "Further findings" not in text
    assert "is 80.0 % (70.0 to 87.0) of 90 images. The frozen rung names" in text[text.index("Model card") :]


def test_rates_that_were_kept_stand_below_the_verdict(finished_run: Path):
    path = finished_run / "findings" / "test.json"
    path.write_text(json.dumps([promise("coverage", "Kept: the share is 91.8 %."), *json.loads(path.read_text())]))
    assert "Verdict The frozen rung names" in page_of(finished_run).text


def test_a_class_says_what_more_images_would_show_and_one_without_any_that_it_cannot_be_judged(finished_run: Path):
    path = finished_run / "findings" / "test.json"
    findings = json.loads(path.read_text())
    first, last = findings[0]["rows"][0], findings[0]["rows"][-1]
    first |= {
        "recall_twice_lo": 0.911,
        "recall_twice_hi": 0.988,
        "recall_four_times_lo": 0.931,
        "recall_four_times_hi": 0.98,
    }
    last |= dict.fromkeys(("recall", "recall_lo", "recall_hi", "precision"), None) | {"n": 0}
    path.write_text(json.dumps(findings))
    text = page_of(finished_run).text
    assert "91.1 to 98.8 93.1 to 98.0" in text
    assert "if it stays where it is and the further images are like these" in text
    assert "cannot be judged: no image" in text
    assert f"None of the test images shows {SCRIPT}: no figure speaks of it." in text


def test_classes_held_out_of_judgement_by_their_groups_are_a_caution(finished_run: Path):
    path = finished_run / "findings" / "audit.json"
    told = "1 class cannot be judged in every split: heron (20 images, all of the group pond-3)."
    audit = [*json.loads(path.read_text()), {"name": "unjudged_classes", "summary": told, "severity": "warning"}]
    path.write_text(json.dumps(audit))
    text = page_of(finished_run).text
    assert text.count(told) == 2, "in the verdict and in the audit"


def test_headings_never_skip_a_level(finished_run: Path):
    levels = [level for level, _ in page_of(finished_run).headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_untrusted_names_stay_text(finished_run: Path):
    html = write_report(finished_run).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not {"script", "b"} & {tag for tag, _ in Page(html).tags}
    assert "Größere Moosjungfer (Leucorrhinia pectoralis) — 大きな 白顔蜻蛉" in html


def test_untrusted_run_facts_stay_text(finished_run: Path, edit: Callable[..., None]):
    evil = '"><img src=x onerror=alert(1)>'
    edit(
        finished_run / "run.json",
        status=evil,
        command=evil,
        chosen=evil,
        chosen_because=evil,
        notes=[evil],
        linnaea=evil,
    )
    edit(finished_run / "model" / "classifier.json", calibrator={"kind": evil}, recipe={"size": evil, "fit": evil})
    ladder = finished_run / "ladder.csv"
    ladder.write_text(ladder.read_text().replace("majority", '<img src=x id="#010203">'))
    page = page_of(finished_run)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.attributes("src"))
    assert not list(page.attributes("onerror"))


def test_nothing_is_asked_for_from_outside(finished_run: Path):
    page = page_of(finished_run)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for address in page.attributes("href", "src", "xlink:href", "srcset", "action", "data"):
        assert address.startswith(("#", "data:image/jpeg;base64,"))
    html = (finished_run / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"url\((?!#)|@import|https?://", html)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_link_and_id_fits(finished_run: Path):
    page = page_of(finished_run)
    ids = list(page.attributes("id"))
    assert len(ids) == len(set(ids))
    targets = {address[1:] for address in page.attributes("href", "xlink:href") if address.startswith("#")}
    assert targets | set(page.attributes("aria-labelledby")) <= set(ids)
    html = (finished_run / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_tables_and_pictures_speak_to_screen_readers(finished_run: Path):
    page = page_of(finished_run)
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(a.get("aria-hidden") == "true" or (a.get("role") == "img" and a.get("aria-label")) for a in drawings)
    assert sum("role" in a for a in drawings) == 5  # ladder, reliability, three learning curves


def test_what_the_curves_show_is_said_beside_them_and_in_the_verdict(finished_run: Path):
    bad = Finding("overfitting", "fine-tune overfits: more images.", "warning", rows=[{"network": "fine-tune"}])
    other = Finding("noisy", "large learns unsteadily.", "warning", rows=[{"network": "large"}])
    record = json.loads((finished_run / "run.json").read_text())
    write_json(finished_run / "run.json", record | {"chosen": "fine-tune"})
    file = write_json(finished_run / "findings" / "learning_curves.json", [bad.to_json(), other.to_json()])
    page = page_of(finished_run)
    assert page.text.count("fine-tune overfits: more images.") == 2
    assert "large learns unsteadily." not in page.text  # it was skipped, and has no curves
    file.write_text("[")
    assert "Something is missing in: How it learned." in page_of(finished_run).text


@pytest.mark.parametrize(
    ("name", "title", "share"),
    [
        ("unsure_rate", "Unsure", True),
        ("auroc", "AUROC", False),
        ("mean_set_size", "Size of the prediction set", False),
    ],
)
def test_figures_beside_the_metrics_are_named_as_where_they_are_made(name: str, title: str, share: bool):
    found = metric_named(name)
    assert (found.title, found.share, found.bounded) == (title, share, name != "mean_set_size")
    assert "no plain description" not in found.meaning


def test_metrics_come_before_other_figures_and_those_before_unknown_ones():
    assert in_order(["strange", "coverage", "unsure_rate", "accuracy"]) == [
        "accuracy",
        "unsure_rate",
        "coverage",
        "strange",
    ]


def test_same_files_give_the_same_bytes(finished_run: Path):
    first = write_report(finished_run).read_bytes()
    assert write_report(finished_run).read_bytes() == first
    assert [path.name for path in finished_run.iterdir() if "partial" in path.name] == []


ABSENT = {
    "ladder.csv": "1 section cannot be shown; each says why: The ladder.",
    "metrics.json": "1 section cannot be shown; each says why: The figures.",
    "manifest.csv": "1 section cannot be shown; each says why: Left out. Something is missing in: The data.",
    "findings/audit.json": "1 section cannot be shown; each says why: Data audit.",
    "findings/test.json": (
        "4 sections cannot be shown; each says why: Class by class, What it confuses, Confidence, Worst mistakes. "
        "Something is missing in: How it answers."
    ),
    "model/classifier.json": "Something is missing in: How it answers, Model card.",
}


@pytest.mark.parametrize("name", ABSENT)
def test_an_absent_file_is_named_with_its_sections(finished_run: Path, name: str):
    (finished_run / name).unlink()
    page = page_of(finished_run)
    assert f"Missing. {name} is not in the run folder. The run finished, so the file was removed later" in page.text
    assert f"This report is incomplete. {ABSENT[name]} The ladder The figures" in page.text  # then the list of sections
    assert [text for level, text in page.headings if level == 2] == list(TITLES)


@pytest.mark.parametrize("name", ["history.csv", "findings/export.json"])
def test_what_a_finished_run_need_not_have_is_said_but_no_gap(finished_run: Path, name: str):
    (finished_run / name).unlink()
    text = page_of(finished_run).text
    assert f"{name} is not in the run folder." in text
    assert "This report is incomplete" not in text


@pytest.mark.parametrize("name", ["findings/val.json", "predictions/test.parquet", "model/README.md"])
def test_files_without_a_section_are_listed_as_absent(finished_run: Path, name: str):
    (finished_run / name).unlink(missing_ok=True)
    assert re.search(rf"{name} [a-z ,]+ no ", page_of(finished_run).text)


def test_where_there_is_no_test_split_nothing_of_it_is_absent(finished_run: Path, edit: Callable[..., None]):
    edit(finished_run / "run.json", dataset={"splits": {"train": 5, "val": 2}})
    listed = {file["name"] for file in Folder(finished_run).contents()}
    assert "findings/val.json" in listed
    assert not [name for name in listed if "test" in name or "guessing" in name]


def test_only_run_json_is_needed(tmp_path: Path):
    run = tmp_path / "begun"
    run.mkdir()
    (run / "run.json").write_text('{"status": "interrupted", "linnaea": "0.1.0"}')
    text = page_of(run).text
    assert "There is no verdict yet: the run is interrupted, has chosen no rung and holds no figures." in text
    assert "The run was interrupted before it was written." in text
    assert "This report is incomplete. 12 sections cannot be shown" in text


def test_empty_run_json_is_enough(tmp_path: Path):
    (tmp_path / "run.json").write_text("{}")
    assert "the run is of unknown status" in page_of(tmp_path).text


def test_without_run_json_there_is_no_report(tmp_path: Path):
    with pytest.raises(RunError, match=r"run\.json does not exist"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RunError, match="is not a JSON object"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_failed_run_gives_its_error(finished_run: Path, edit: Callable[..., None]):
    edit(finished_run / "run.json", status="failed", error="The disk is full <i>.")
    (finished_run / "metrics.json").unlink()
    text = page_of(finished_run).text
    assert "The run is failed, not finished: The disk is full <i>." in text
    assert "metrics.json is not in the run folder. The run failed before it was written: The disk is full" in text


def test_broken_files_are_said_to_be_broken(finished_run: Path):
    (finished_run / "metrics.json").write_text('{"test": ')
    (finished_run / "findings" / "test.json").write_text('{"not": "a list"}')
    (finished_run / "findings" / "audit.json").write_text('[{"name": "odd", "summary": "x", "severity": "fatal"}]')
    (finished_run / "ladder.csv").write_bytes(b"rung,metric\n\xff\xfe,\n")
    (finished_run / "history.csv").write_text("rung,epoch\n")
    (finished_run / "manifest.csv").write_text("")
    text = page_of(finished_run).text
    for name in ("metrics.json", "findings/test.json", "findings/audit.json", "ladder.csv", "manifest.csv"):
        assert f"{name} cannot be read, so it is not shown" in text
    assert "history.csv has no rows." in text


def test_findings_with_holes_do_not_break_the_page(finished_run: Path):
    holes = [{"name": name, "summary": None, "count": None, "rows": [{}]} for name in FINDINGS]
    (finished_run / "findings" / "test.json").write_text(json.dumps(holes))
    (finished_run / "findings" / "audit.json").write_text('[{"name": "odd", "summary": "", "images": null}]')
    (finished_run / "metrics.json").write_text('{"test": {"accuracy": null, "nll": {"value": NaN}}}')
    (finished_run / "ladder.csv").write_text("rung\nfrozen\n")
    text = page_of(finished_run).text
    assert "findings/audit.json cannot be read" in text
    assert "No chart: it needs rungs" in text


def test_validation_figures_are_called_optimistic(finished_run: Path):
    metrics = json.loads((finished_run / "metrics.json").read_text())
    (finished_run / "metrics.json").write_text(json.dumps({"val": metrics["val"]}))
    text = page_of(finished_run).text
    assert "of 294 validation images correctly." in text
    assert "These figures come from the validation images" in text
    assert "Measured on the validation images." in text


def test_test_split_opened_often_is_a_caution(finished_run: Path, edit: Callable[..., None]):
    opened = [
        {"when": "2026-03-02T09:22:30+00:00", "by": "train"},
        {"when": "2026-03-05T10:00:00+00:00", "by": "evaluate"},
    ]
    edit(finished_run / "run.json", test_opened=opened)
    text = page_of(finished_run).text
    assert "The test split was opened 2 times: each look" in text
    assert "Opened on 2 March 2026, 09:22 UTC by train; 5 March 2026, 10:00 UTC by evaluate." in text


def test_small_wide_and_badly_calibrated_results_are_cautions(finished_run: Path):
    metrics = json.loads((finished_run / "metrics.json").read_text())
    metrics["test"]["accuracy"] = {"value": 0.8, "lo": 0.6, "hi": 0.91, "n": 25, "method": "Wilson"}
    metrics["test"]["ece"]["value"] = 0.12
    (finished_run / "metrics.json").write_text(json.dumps(metrics))
    ladder = finished_run / "ladder.csv"
    ladder.write_text(ladder.read_text().replace("0.9354,0.9012,0.9583", "0.33,0.26,0.4"))
    text = page_of(finished_run).text
    assert "The interval is wide, 60.0 to 91.0 %: only 25 test images stand behind it." in text
    assert "Stated confidence is off by 12.0 % on average" in text
    assert "The intervals of frozen and of always answering the most frequent class overlap" in text
    assert "2 further cautions" in text


def test_where_every_image_is_answered_the_share_that_is_right_is_told_once(finished_run: Path):
    findings = json.loads((finished_run / "findings" / "test.json").read_text())
    kept = [finding for finding in findings if finding["name"] != "answers"]
    (finished_run / "findings" / "test.json").write_text(json.dumps(kept))
    metrics = json.loads((finished_run / "metrics.json").read_text())
    for name in ("unsure_rate", "unfamiliar_rate"):
        metrics["test"][name]["value"] = 0.0
    (finished_run / "metrics.json").write_text(json.dumps(metrics))
    text = page_of(finished_run).text
    assert "It answers every one of these images." in text
    assert "when it answers, " not in text


def test_a_failed_export_check_is_the_first_caution(finished_run: Path):
    export = [{"name": "parity", "summary": "3 of 32 images get another answer.", "severity": "error"}]
    (finished_run / "findings" / "export.json").write_text(json.dumps(export))
    text = page_of(finished_run).text
    assert "The export check raised 1 error. It says: 3 of 32 images get another answer." in text
    assert text.index("The export check raised") < text.index("The data audit raised")


def test_unknown_figures_and_findings_are_shown_too(finished_run: Path):
    metrics = json.loads((finished_run / "metrics.json").read_text())
    metrics["test"]["worst_group"] = {"value": 0.7, "lo": None, "hi": None, "n": 40, "method": None}
    (finished_run / "metrics.json").write_text(json.dumps(metrics))
    stress = [{"name": "fog", "summary": "Fog costs 12 points.", "rows": [{"level": 3, "accuracy": 0.82}]}]
    (finished_run / "findings" / "stress.json").write_text(json.dumps(stress))
    text = page_of(finished_run).text
    assert "Worst group This version has no plain description of it. 0.700" in text
    assert "From findings/stress.json" in text
    assert "Fog costs 12 points." in text


def test_many_classes_are_listed_by_their_confusions(finished_run: Path, edit: Callable[..., None]):
    names = [f"species {number:03d}" for number in range(120)]
    rows = [{"truth": name, "answer": name, "count": 5} for name in names]
    rows += [{"truth": names[k], "answer": names[k + 1], "count": k} for k in range(1, 40)]
    rows.append({"truth": names[0], "answer": None, "count": 2})
    per_class = [
        {"class": name, "n": 12, "recall": k / 120, "precision": None, "f1": ""} for k, name in enumerate(names)
    ]
    found = [
        {"name": "confusion", "summary": "", "rows": rows},
        {"name": "per_class", "summary": "", "rows": per_class},
    ]
    (finished_run / "findings" / "test.json").write_text(json.dumps(found))
    edit(finished_run / "model" / "classifier.json", classes=names)
    text = page_of(finished_run).text
    assert "With 121 classes a matrix cannot be read" in text
    assert "24 of 40 kinds of confusion are listed; findings/test.json holds them all." in text
    assert "species 039 species 040 39 88.6 %" in text
    assert "The other 90 classes" in text
    assert "findings/test.json has no finding named 'mistakes'" in text


def test_manifest_and_run_json_must_agree(finished_run: Path, edit: Callable[..., None]):
    assert "They do not agree." not in page_of(finished_run).text
    edit(finished_run / "run.json", dataset={"splits": {"train": 5}})
    assert "run.json counts 5 images, manifest.csv lists 1 960" in page_of(finished_run).text


def test_what_was_left_out_is_grouped_by_reason(finished_run: Path):
    text = page_of(finished_run).text
    assert "the same bytes as another file 7 copy 0 of <b>.png" in text
    assert "and 2 more in manifest.csv" in text
    assert "unreadable 2 torn.jpg (truncated file), empty.jpg (no bytes)" in text


def test_owner_is_told_where_to_fill_in_the_model_card(finished_run: Path):
    assert page_of(finished_run).text.count("Not stated by the owner: fill in “") == 3


def test_pictures_are_small_upright_jpegs_or_words(tmp_path: Path):
    upright = Image.new("RGB", (400, 200), "red")
    exif = upright.getexif()
    exif[0x0112] = 6  # the camera was held on its side
    upright.save(tmp_path / "side.jpg", exif=exif)
    Image.fromarray(np.linspace(0, 60000, 900, dtype=np.uint16).reshape(30, 30)).save(tmp_path / "deep.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "deep.png").read_bytes()[:60])
    side = picture(tmp_path, "side.jpg")
    assert (side.width, side.height) == (SIDE // 2, SIDE)
    assert side.uri.startswith("data:image/jpeg;base64,/9j/")
    assert picture(tmp_path, "deep.png").uri
    assert picture(tmp_path, "torn.png").instead == "image cannot be read"
    assert picture(tmp_path, "gone.png").instead == "image not found"
    assert picture(tmp_path, ".").instead == "image cannot be read"
    assert picture(tmp_path, "a\0b").instead == "image cannot be read"
    assert picture(None, "side.jpg").instead == "image not found"


def test_pictures_are_opened_as_images_are_decoded(tmp_path: Path):
    Image.new("1", (8_000, 8_000)).save(tmp_path / "large.png")
    (tmp_path / "eps.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n%%EndComments\nshowpage\n")
    for name in ("large.png", "eps.png"):
        assert picture(tmp_path, name).instead == "image cannot be read"


def test_charts_draw_in_the_colours_of_the_page():
    rungs = [Rung("a <b>", 0.5, (0.4, 0.6), 0.0, False), Rung("héli 冰 $x$", 0.7, None, 90000.0, True)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing = ladder_chart(rungs, "accuracy", as_percent=True)
    assert drawing.startswith('<svg class="chart" role="img" aria-label="accuracy with its interval')
    assert "a &lt;b&gt;" in drawing
    assert "héli 冰 $x$" in drawing
    assert "var(--accent)" in drawing
    assert not re.findall(r"#[0-9a-f]{6}|<style|xmlns|DejaVu", drawing)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.941, "94.1 %"), (1, "100.0 %"), (0.99999, "> 99.9 %"), (0.00001, "< 0.1 %"), (0, "0.0 %"), ("", "–")],
)
def test_percentages_are_never_rounded_to_a_certainty(value: object, shown: str):
    assert percent(value).replace(SPACE, " ") == shown


def test_figures_read_as_people_write_them():
    entry = {"value": 0.941, "lo": 0.91, "hi": 0.963}
    assert estimate(entry, metric_named("accuracy")).replace(SPACE, " ") == "94.1 % (91.0 to 96.3)"
    assert estimate(entry, metric_named("nll")).replace(SPACE, " ") == "0.941 (0.910 to 0.963)"
    assert estimate({"value": None, "lo": None, "hi": None}, metric_named("nll")) == "not defined"
    seconds = [0.423, 8.14, 59.6, 192, 7500, None]
    assert [duration(s).replace(SPACE, " ") for s in seconds] == [
        "0.42 s",
        "8.1 s",
        "1 min",
        "3 min 12 s",
        "2 h 05 min",
        "–",
    ]
    assert [number(value) for value in ("", "nan", float("inf"), None, [], "0.5", True)] == [None] * 5 + [0.5, 1.0]
    assert [moment(value) for value in ("2026-03-02T09:22:41", "yesterday", None)] == [
        "2 March 2026, 09:22",
        "yesterday",
        "–",
    ]
