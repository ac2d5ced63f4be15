"""The page of a server in a real browser: pictures go there, answers come back, and what is wrong is filed."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from PIL import Image
from served import Catalogue, Draws, Model
from served_page import CERTAIN, CLASSES, STRANGE, UNSURE, live, one_label, picture, several_labels

from linnaea.data.review import ReviewFolder
from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.keys import Keys, make_key
from linnaea.delivery.serving.layers import surround
from linnaea.delivery.serving.limits import Limits
from linnaea.delivery.serving.metrics import Metrics
from linnaea.delivery.serving.page import Corrections, Recent, page_router
from linnaea.runtime.cells import join_cell, records_in, rows_in, split_cell

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH")
DROP = """async (files) => {
  const given = new DataTransfer();
  for (const [name, text] of files) {
    given.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
  }
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
}"""
PASTE = DROP.replace("new DragEvent('drop', { dataTransfer", "new ClipboardEvent('paste', { clipboardData")


def yellow():
    """A heat map: nothing but yellow."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (250, 250, 40)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    return tmp_path_factory.mktemp("reviewed") / "review"


@pytest.fixture
def filed(review):
    """What is filed by a test."""
    yield ReviewFolder(review)
    shutil.rmtree(review, ignore_errors=True)


@pytest.fixture(scope="module")
def address(review):
    """A server of two models, with heat maps of the first, and with corrections."""
    models = Catalogue(Model(one_label()), Model(several_labels(), "tags"))
    limits, recent = Limits(max_body=200_000), Recent()
    corrections = Corrections(models, ReviewFolder(review), recent)
    explains = lambda classifier: "gradcam" if classifier.task == "multiclass" else None  # noqa: E731
    router = page_router(models, limits, explains=explains, corrections=corrections)
    with live(make_application(models, [recent], limits, [router], explain=Draws(picture=yellow()))) as address:
        yield address


@pytest.fixture
def opened(browser, address):
    """Open the page, and what it asked for and complained of."""
    contexts = []

    def open_page(*, before=lambda page: None, at=address, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.asked, page.complaints = [], []
        contexts[-1].on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        before(page)
        page.goto(at)
        page.wait_for_selector("body:not([data-state=loading])")
        return page

    yield open_page
    for context in contexts:
        context.close()


def give(page, **pictures):
    """Choose pictures by name and colour, and wait for their answers."""
    files = [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": picture(colour)} for name, colour in pictures.items()
    ]
    page.set_input_files("#choose", files)
    page.wait_for_selector("body[data-state=ready]")


def dropped(page, code, **files):
    page.evaluate(code, [[name, base64.b64encode(content).decode()] for name, content in files.items()])
    page.wait_for_selector("body[data-state=ready]")


def headlines(page):
    return page.locator("#answers h3").all_inner_texts()


def test_an_answer_is_said_in_words_with_bars_and_set(opened, address):
    page = opened()
    give(page, rose=CERTAIN)
    assert headlines(page) == ["Probably “red”, 99 %"]
    assert page.inner_text("#state") == "rose.png: Probably “red”, 99 %."
    rows = page.locator("#answers .bars tr").all_inner_texts()
    assert [row.split("\t")[0].strip() for row in rows] == ["red", CLASSES[0], CLASSES[1]]
    page.click("#answers summary")
    assert "Prediction set\nred" in page.inner_text("#answers dl")
    assert page.complaints == []
    assert all(url.startswith((address, "blob:", "data:")) for url in page.asked)


def test_unfamiliar_unsure_and_unreadable_pictures_are_said_to_be(opened):
    page = opened()
    give(page, wall=STRANGE)
    assert page.inner_text("#state").startswith("wall.png: Unlike what it was trained on. If it has to be one of its")
    page.click("#clear")
    give(page, plum=UNSURE)
    assert headlines(page)[0].startswith("Not sure: perhaps “red”")
    assert "Could be “blue”." in page.inner_text("#answers")
    page.click("#clear")
    dropped(page, DROP, **{"cut.png": picture(CERTAIN)[:60]})
    assert headlines(page) == ["It cannot be read"]


def test_several_are_a_grid_with_the_most_doubtful_first(opened):
    page = opened()
    dropped(page, DROP, **{"rose.png": picture(CERTAIN), "wall.png": picture(STRANGE), "no.txt": b"words"})
    dropped(page, PASTE, **{"plum.png": picture(UNSURE), "sea.png": picture((20, 20, 230))})
    by_doubt = [line.split()[0] for line in page.locator("#answers .file").all_inner_texts()]
    assert by_doubt[:3] == ["no.txt", "wall.png", "plum.png"]
    assert set(by_doubt[3:]) == {"rose.png", "sea.png"}
    assert page.inner_text("#state") == (
        "5 pictures: 2 answered, 1 unsure, 1 unlike what it was trained on, 1 without an answer."
    )
    page.focus("#order")
    page.select_option("#order", "given")
    names = page.locator("#answers .file").all_inner_texts()
    assert names == ["rose.png", "wall.png", "no.txt", "plum.png", "sea.png"]
    assert page.evaluate("document.activeElement.id") == "order"
    assert page.locator("#answers.grid li").count() == 5


def test_answers_are_saved_as_a_table_that_no_spreadsheet_runs(opened):
    page = opened()
    page.select_option("#model", "colours")
    give(page, **{"=cmd()": (20, 230, 20), "rose": CERTAIN})
    page.select_option("#model", "tags")
    give(page, plum=UNSURE)
    with page.expect_download() as download:
        page.click("#save")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "'=cmd().png,'=green|<b>grün</b>," in text
    rows = {row["id"]: row for row in records_in(text)}
    assert rows["=cmd().png"]["label"] == CLASSES[1]
    assert rows["=cmd().png"]["model"] == "colours"
    assert split_cell(rows["plum.png"]["label"]) == ["red", "blue"]
    assert len(rows["rose.png"]["request"]) == 32
    assert float(rows["rose.png"]["confidence"]) > 0.9


CELLS = [
    "plain",
    "",
    "=1+1",
    "'=1",
    "''",
    "+3.5e2",
    "-٣",
    "+٣x",
    "＝A1",
    "@a",
    "\ta",
    "a,b",
    'say "x"',
    "a\nb",
    "a\rb",
    "\r=x",
]


def test_its_tables_are_read_back_as_they_were(opened):
    page = opened()
    rows = [[one, other] for one in CELLS for other in CELLS]
    text = page.evaluate("async (rows) => (await import('./page/table.js')).asCsv(rows)", rows)
    assert list(rows_in(text)) == rows
    names = [["a"], [], ["a|b", "c"], ["a\\\\", "b\\|"], ["|"]]
    cells = page.evaluate(
        "async (all) => { const { joined } = await import('./page/table.js'); return all.map(joined) }", names
    )
    assert cells == [join_cell(some) for some in names]


def test_a_wrong_answer_is_filed_and_taken_back_by_keyboard(opened, filed):
    page = opened()
    give(page, rose=CERTAIN)
    page.focus("role=button[name='This is wrong: rose.png']")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "This is wrong"
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("role=button[name='Undo: rose.png']")
    assert page.evaluate("document.activeElement.textContent") == "Undo"
    assert page.inner_text("#state") == "Filed for review as “blue”."
    [one] = filed.reviewed().values()
    assert (one.label, one.facts.was, one.facts.reason, one.facts.place) == ("blue", "red", "ok", 0)
    assert (filed.folder / one.path).read_bytes() == picture(CERTAIN)
    with page.expect_download() as download:
        page.click("#save")
    assert next(records_in(Path(download.value.path()).read_text(encoding="utf-8")))["correction"] == "blue"
    page.focus("role=button[name='Undo: rose.png']")
    page.keyboard.press("Enter")
    page.wait_for_selector("role=button[name='This is wrong: rose.png']")
    assert filed.reviewed() == {}
    assert page.complaints == []


def test_none_of_its_classes_may_have_a_name(opened, filed):
    page = opened()
    give(page, plum=UNSURE)
    page.click('text="This is wrong"')
    page.click("text=File for review")
    assert page.inner_text(".correction .warning") == "Choose a class, or “None of these”."
    page.click("text=None of these")
    page.fill("text=Its name, if you know it", "red")
    page.click("text=File for review")
    assert "“red” is one of its classes" in page.inner_text(".correction .warning")
    page.fill("text=Its name, if you know it", "plum")
    page.click("text=File for review")
    page.wait_for_selector('text="Undo"')
    assert [one.label for one in filed.reviewed().values()] == ["plum"]
    page.click('text="Undo"')
    page.click('text="This is wrong"')
    page.click("text=None of these")
    page.click("text=File for review")
    page.wait_for_selector('text="Undo"')
    assert [(one.label, one.path[:5]) for one in filed.reviewed().values()] == [(None, "none/")]
    page.click('text="Undo"')
    page.wait_for_selector('text="This is wrong"')


def test_several_labels_are_ticked(opened, filed):
    page = opened()
    page.select_option("#model", "tags")
    give(page, plum=UNSURE)
    assert headlines(page) == ["Probably “red” and “blue”, 82 %"]
    assert page.locator("text=Where it looked").count() == 0
    page.click('text="This is wrong"')
    assert page.locator(".correction input:checked").count() == 2
    page.uncheck(".choice:has-text('blue') input")
    page.click("text=File for review")
    page.wait_for_selector('text="Undo"')
    assert [one.label for one in filed.reviewed().values()] == [("red",)]
    page.click('text="Undo"')
    page.wait_for_selector('text="This is wrong"')


def test_where_it_looked_is_shown_and_hidden(opened):
    page = opened()
    give(page, rose=CERTAIN)
    toggle = page.locator("role=button[name='Where it looked: rose.png']")
    toggle.click()
    page.wait_for_selector("button[aria-pressed=true]")
    assert page.get_attribute("#answers img", "alt") == "Where it looked for “red”: the brighter, the more"
    assert page.get_attribute("#answers img", "src").startswith("data:image/png;base64,")
    toggle.click()
    assert page.get_attribute("#answers img", "alt") == ""
    assert page.complaints == []
    assert [url.rpartition("explain=")[2] for url in page.asked if "explain" in url] == ["gradcam"]


def refusing(*answers, path="**/predict*"):
    """Answer the first requests so, and let later ones through."""
    left = list(answers)

    def handle(route):
        if not left:
            route.fallback()
        elif isinstance(left[0], str):
            route.abort(left.pop(0))
        else:
            route.fulfill(**left.pop(0))

    return lambda page: page.route(path, handle)


def test_a_busy_server_is_asked_again(opened):
    page = opened(before=refusing({"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"}))
    page.set_input_files("#choose", {"name": "rose.png", "mimeType": "image/png", "buffer": picture(CERTAIN)})
    page.wait_for_selector("text=The server is busy: the page asks again in 1 s.")
    page.wait_for_selector("text=Probably “red”")


REFUSALS = [
    (
        {"status": 413, "body": '{"error": "the body is longer than 9 bytes"}'},
        "Too large for this server",
        "The body is",
    ),
    ({"status": 415, "body": "{}"}, "Not a kind of picture that it reads", "Save it as JPEG or PNG"),
    ({"status": 429, "headers": {"Retry-After": "7200"}}, "Too many questions at once", "Try again in 120 min."),
    ({"status": 503, "body": "<html>"}, "The server is busy", "Try again a little later."),
    ({"status": 500, "headers": {"X-Request-ID": "abc"}, "body": "{}"}, "The server failed", "request abc"),
    ({"status": 200, "body": '{"answers": ['}, "The answer was cut off", "Try again."),
    ("connectionrefused", "The server does not answer", "See that it runs"),
]


@pytest.mark.parametrize(("answered", "headline", "mend"), REFUSALS, ids=lambda value: str(value)[:24])
def test_a_refusal_is_said_with_its_mend_and_may_be_tried_again(opened, answered, headline, mend):
    page = opened(before=refusing(answered))
    give(page, rose=CERTAIN)
    assert headlines(page) == [headline]
    assert mend in page.inner_text("#answers")
    assert page.inner_text("#state").startswith(f"rose.png: {headline}.")
    page.click('text="Try again"')
    page.wait_for_selector("text=Probably “red”")


def test_a_picture_that_is_too_large_is_not_sent(opened):
    page = opened()
    page.set_input_files("#choose", {"name": "big.png", "mimeType": "image/png", "buffer": bytes(300_000)})
    page.wait_for_selector("text=Too large for this server")
    assert "It has 0.3 MB; the server takes up to 0.2 MB." in page.inner_text("#answers")
    assert not any("predict" in url for url in page.asked)


@pytest.fixture
def locked(tmp_path):
    """A server with all its layers that asks for a key, and the secret."""
    models, limits, recent = Catalogue(Model(one_label())), Limits(), Recent()
    corrections = Corrections(models, ReviewFolder(tmp_path / "review"), recent)
    application = make_application(models, [recent], limits, [page_router(models, limits, corrections=corrections)])
    made = make_key(tmp_path / "keys.json", "visitor")
    with live(surround(application, metrics=Metrics(), keys=Keys(made.file))) as address:
        yield address, made.secret


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(opened, locked):
    address, secret = locked
    page = opened(at=address)
    assert page.inner_text("#state") == "The server asks for an API key."
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The server does not take this API key. Enter another.")
    page.fill("#key", secret)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-state=ready]")
    give(page, rose=CERTAIN)
    assert headlines(page) == ["Probably “red”, 99 %"]
    page.click('text="This is wrong"')
    page.click(".choice >> nth=0")
    page.click("text=File for review")
    page.wait_for_selector('text="Undo"')
    assert page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
    page.click("#forget")
    page.wait_for_selector("text=The server asks for an API key.")
    assert page.evaluate("sessionStorage.length") == 0


LONG = "a rather long name of a picture that a phone gave it, and yet longer"


def test_a_key_that_is_no_longer_taken_is_asked_for_and_what_was_refused_is_sent_again(opened):
    def locked(route):
        held = route.request.headers.get("authorization")
        route.fallback() if held == "Bearer sesame" else route.fulfill(status=401, body='{"error": "it expired"}')

    page = opened(before=lambda page: page.route("**/predict*", locked))
    give(page, rose=CERTAIN, wall=STRANGE)
    assert headlines(page) == ["The server asks for an API key"] * 2
    assert "It expired." in page.inner_text("#answers")
    page.fill("#key", "sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Probably “red”, 99 %")
    assert page.is_hidden("#key-form")
    assert page.is_visible("#forget")


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits(opened, tmp_path, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    unfolded(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot = tmp_path / "shot.png"
    page.screenshot(path=shot, full_page=True)
    assert (np.median(np.asarray(Image.open(shot).convert("L"))) > 200) == (scheme == "light")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
def test_page_breaks_no_rule_of_accessibility(opened, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert violations(page) == {}
    unfolded(page)
    assert violations(page) == {}


def unfolded(page):
    """With answers of every kind, one of them being corrected, and all its details shown."""
    give(page, **{LONG: CERTAIN, "wall": STRANGE, "plum": UNSURE})
    dropped(page, DROP, **{"no.txt": b"words"})
    page.click('text="This is wrong" >> nth=0')
    page.click("text=None of these")
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")


def test_one_version_answers_a_page_throughout(browser):
    red, blue = Model(one_label()), Model(one_label().with_(classes=("a", "b", "c")), version="2")
    asked = []

    class Tried(Catalogue):
        def chosen(self, client, name=None, version=None):
            asked.append(client)
            return blue if client else red

    limits = Limits()
    models = Tried(red)
    with live(make_application(models, [], limits, [page_router(models, limits)])) as address:
        page = browser.new_page()
        asked.clear()
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]")
        give(page, rose=CERTAIN)
        assert headlines(page) == ["Probably “c”, 99 %"]
        page.close()
    assert len(set(asked)) == 1
    assert len(asked) == 2


def test_a_model_that_is_replaced_is_asked_about_again(opened):
    old, new = one_label(), one_label().with_(classes=("a", "b", "c"))
    models, limits = Catalogue(Model(old)), Limits()
    with live(make_application(models, [], limits, [page_router(models, limits)])) as address:
        page = opened(at=address)
        models.models = (Model(new, version="2"),)
        give(page, rose=CERTAIN)
        assert headlines(page) == ["Probably “c”, 99 %"]
        page.click("text=What it knows")
        assert page.inner_text("#classes") == "a, b, c"


def test_the_page_is_walked_through_in_order(opened):
    page = opened()
    give(page, rose=CERTAIN)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    wanted = [
        "choose",
        "photograph",
        "What it knows: 3 classes",
        "model",
        "save",
        "clear",
        "Figures",
        "Where it looked",
        "This is wrong",
    ]
    assert reached == wanted
    assert page.get_attribute("#photograph", "capture") == "environment"
    assert page.get_attribute("#state", "role") == "status"


def test_without_corrections_and_heat_maps_there_are_no_buttons_for_them(opened):
    models, limits = Catalogue(Model(one_label())), Limits()
    with live(make_application(models, [], limits, [page_router(models, limits)])) as address:
        page = opened(at=address)
        give(page, rose=CERTAIN)
        assert page.locator("#answers button").count() == 0
        assert page.request.post(f"{address}corrections").status == 404
        policy = page.request.get(address).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.request.get(f"{address}page/secret").status == 404
