"""The page of a monitoring as a reader sees it: what it says, wide and narrow, light and dark."""

import shutil

import pytest
from accessibility import violations
from PIL import Image
from windows import CLASSES, made

from linnaea.decisions import Policy
from linnaea.delivery.monitoring import MONITORS, Watched, Window
from linnaea.delivery.report.monitoring import render_monitoring

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    place = tmp_path_factory.mktemp("kept") / "strange.png"
    Image.new("RGB", (40, 30), "purple").save(place)
    parts = [made(60, 1), made(60, 2, darker=0.2), made(4, 3)]
    parts[2] = parts[2].with_(images=[place] * 4, features=parts[2].features + 40)
    windows = [Window(f"window {number}", seen) for number, seen in enumerate(parts, 1)]
    watched = Watched(CLASSES, "multiclass", Policy(), made(120, 0).with_(truth=[]), windows, rate=0.01)
    found = {name: [finding.to_json() for finding in MONITORS[name](watched)] for name in MONITORS}
    facts = {"name": "<b>birds</b>", "since": "log", "images": 124, "windows": 3, "window": "60", "rate": 0.01}
    return facts | {"reference": "test", "reference_images": 120, "classes": list(CLASSES), "monitors": found}


def test_the_page_says_what_changed_and_shows_strange_images(content):
    page = render_monitoring(content)
    assert "Drift in 1 of 2 windows, last in window 2: darker by 0.2" in page
    assert page.count('class="alarm"') >= 1
    assert "not tested: the window has 4 images" in page
    assert "data:image/jpeg" in page
    assert "<b>birds" not in page


def test_a_page_without_windows_says_so(content):
    assert "Nothing was looked at." in render_monitoring(content | {"monitors": {}})


@pytest.fixture(scope="module")
def opened(content, tmp_path_factory):
    """Gives the page in a browser of this width and scheme, and all that it asks for."""
    if CHROMIUM is None:
        pytest.skip("needs the chromium browser on the PATH to look at the page")
    from playwright.sync_api import sync_playwright

    file = tmp_path_factory.mktemp("page") / "monitoring.html"
    file.write_text(render_monitoring(content))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def open_page(width, scheme):
            page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(file.as_uri())
            return page, [url for url in asked if not url.startswith("data:") and url != file.as_uri()]

        yield open_page
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_fits_and_asks_for_nothing(opened, width, scheme):
    page, asked = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert asked == []


def test_the_page_breaks_no_rule_of_accessibility(opened):
    page, _ = opened(1280, "light")
    assert violations(page) == {}
