"""The report as a reader sees it: in a real browser, wide and narrow, light, dark and on paper."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linnaea.delivery.report import write_report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH to look at the page")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_asks_for_nothing(browser, finished_run: Path, tmp_path: Path, width: int, scheme: str):
    report = write_report(finished_run)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    shot = tmp_path / f"{scheme}-{width}.png"
    page.screenshot(path=shot, full_page=True)
    context.close()
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.std() > 10
    assert (np.median(pixels) > 200) == (scheme == "light")


def test_text_stands_out_from_its_ground(browser, finished_run: Path):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(write_report(finished_run).as_uri())
    colours = "e => [getComputedStyle(e).fill, getComputedStyle(e).fontFamily]"
    label, family = page.eval_on_selector("svg.chart text", colours)
    assert label == "rgb(155, 166, 159)"  # the page's muted ink in the dark
    assert "DejaVu Sans Mono" not in family
    assert page.eval_on_selector("body", "e => getComputedStyle(e).backgroundColor") == "rgb(20, 24, 22)"
    context.close()


def test_printing_opens_what_is_folded(browser, finished_run: Path, tmp_path: Path):
    context = browser.new_context()
    page = context.new_page()
    page.goto(write_report(finished_run).as_uri())
    page.emulate_media(media="print")
    assert page.eval_on_selector("nav", "e => getComputedStyle(e).display") == "none"
    assert page.eval_on_selector("details table", "e => e.checkVisibility()")
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
    context.close()
