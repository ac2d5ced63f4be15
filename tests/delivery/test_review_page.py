"""The page of review in a real browser, and the server below it: for one person on this machine, step by step."""

import http.client
import json
import shutil
import threading
from urllib.parse import urlsplit

import pytest
from accessibility import violations
from material import smooth

from linnaea.data.review import Facts, ReviewFolder
from linnaea.delivery.reviewing.items import Item, doubt_of, in_order
from linnaea.delivery.reviewing.server import Served
from linnaea.delivery.reviewing.session import OutOfStepError, Rules, Session
from linnaea.errors import DataError, UsageError

CHROMIUM = shutil.which("chromium")
browsing = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH")
CLASSES = ("ant", "bee", "größte <b>Wespe</b>")


def items_in(folder, count=4):
    folder.mkdir(exist_ok=True)
    items = []
    for number in range(count):
        path = folder / f"photo-{number}.png"
        smooth(number, 48).save(path)
        facts = Facts(CLASSES[number % 3], 0.9 - 0.1 * number, "unsure", f"r-{number}", number)
        items.append(Item(path, 0.9 - 0.1 * number, "the classifier is unsure", facts, given="bee"))
    return items


@pytest.fixture
def session(tmp_path):
    rules = Rules(CLASSES)
    return Session(items_in(tmp_path / "photos"), rules, ReviewFolder(tmp_path / "review"), ["linnaea train review"])


def labels(session):
    return [image.label for image in session.folder.reviewed().values()]


def test_a_review_step_by_step(session):
    session.label(0, "ant")
    session.skip(1)
    session.label(2, None)
    assert labels(session) == ["ant", None]
    state = session.state()
    assert (state["filed"], state["skipped"], state["left"], state["now"]["number"]) == (2, 1, 1, 3)
    assert "answer" not in state["now"]
    assert state["last"]["said"] == "none of the classes"
    assert state["last"]["given"] == "bee"
    session.undo()
    session.undo()
    assert labels(session) == ["ant"]
    assert session.state()["now"]["number"] == 1
    session.label(1, "wasp", new=True)
    assert labels(session) == ["ant", "wasp"]
    session.skip(2)
    session.skip(3)
    assert session.state()["now"] is None
    session.look_again()
    assert session.state()["now"]["number"] == 2
    for _ in range(2):
        session.undo()
    assert labels(session) == []
    with pytest.raises(UsageError, match="nothing to undo"):
        session.undo()


def test_what_cannot_be_filed(session, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'bee'"):
        session.label(0, "beee")
    with pytest.raises(OutOfStepError, match="dealt with already"):
        session.label(1, "ant")
    with pytest.raises(UsageError, match="there is no image 9"):
        session.answer(9)
    session.items[0].path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        session.label(0, "ant")
    with pytest.raises(DataError, match="cannot be read"):
        session.picture(0)
    session.items[1].path.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(DataError, match="cannot be shown"):
        session.picture(1)
    assert session.filed == 0


def test_an_image_that_has_changed_is_not_filed(tmp_path):
    (item, *_) = items_in(tmp_path / "photos", 1)
    changed = Item(item.path, 0.5, "", sha256="0" * 64)
    session = Session([changed], Rules(CLASSES), ReviewFolder(tmp_path / "review"))
    with pytest.raises(DataError, match="has changed since"):
        session.label(0, "ant")


def test_what_was_answered_is_filed_with_the_label(session):
    session.label(0, "bee")
    (image,) = session.folder.reviewed().values()
    told = (image.facts.was, image.facts.confidence, image.facts.reason, image.facts.request, image.facts.place)
    assert told == ("ant", 0.9, "unsure", "r-0", 0)


def test_doubt_puts_images_in_order():
    assert doubt_of("ok", 0.9) == pytest.approx(0.1)
    assert doubt_of("unfamiliar", 0.99, 0.0) == 0.5
    assert doubt_of("unfamiliar", 0.99, 1.0) == 1.0
    assert doubt_of("unreadable", None) == 1.0
    items = [Item(None, doubt, "") for doubt in (0.1, 0.9, 0.5)]
    assert [item.doubt for item in in_order(items, 2)] == [0.9, 0.5]


class Client:
    """Requests to a page that is served."""

    def __init__(self, served):
        told = urlsplit(served.address)
        self.port, self.path = told.port, told.path

    def ask(self, method, path, content=None, headers=(), *, raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = raw if raw is not None else None if content is None else json.dumps(content)
        usual = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, {**usual, **dict(headers)})
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        return answer.status, read, dict(answer.getheaders())

    def own(self, method, path, content=None, **more):
        return self.ask(method, self.path + path, content, **more)


@pytest.fixture
def served(session):
    with Served(session) as page:
        yield page


def test_the_server_answers_for_its_own_page_only(served, session):
    client = Client(served)
    assert client.own("GET", "state")[0] == 200
    assert client.ask("GET", "/")[0] == 404
    assert client.ask("GET", "/guess/state")[0] == 404
    assert client.own("GET", "state", headers={"Host": "evil.example"})[0] == 403
    foreign = {"Origin": "http://evil.example"}
    assert client.own("POST", "label", {"number": 0, "label": "ant"}, headers=foreign)[0] == 403
    form = {"Content-Type": "text/plain"}
    assert client.own("POST", "label", {"number": 0, "label": "ant"}, headers=form)[0] == 415
    assert session.filed == 0
    status, _, headers = client.own("GET", "")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("label", b"{", 400),
        ("label", b"[" * 5_000, 400),
        ("label", b'{"number": true, "label": "ant"}', 400),
        ("label", b'{"number": 0, "label": 7}', 400),
        ("label", b'{"number": 0, "label": "\\ud800", "new": true}', 422),
        ("label", b'{"number": 0, "label": "moth"}', 422),
        ("label", b'{"number": 3, "label": "ant"}', 409),
        ("label", b" " * 70_000, 413),
        ("nowhere", b"{}", 404),
        ("undo", b"{}", 422),
    ],
)
def test_what_makes_no_sense_is_refused(served, session, path, body, status):
    client = Client(served)
    answered, read, _ = client.own("POST", path, raw=body)
    assert answered == status
    assert json.loads(read)["error"]
    assert session.filed == 0
    assert client.own("POST", "label", {"number": 0, "label": "ant"})[0] == 200
    assert session.filed == 1


@pytest.mark.parametrize("path", ["image/99", "image/-1", "image/a", "image/../page.js", "..%2f", "answer/1e3"])
def test_addresses_that_are_none(served, path):
    assert Client(served).own("GET", path)[0] in (400, 404, 422)


def test_an_image_is_shown_as_jpeg_whatever_it_is(served):
    status, content, headers = Client(served).own("GET", "image/0")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert content.startswith(b"\xff\xd8\xff")


def test_two_tabs_do_not_file_twice(served, session):
    client, statuses = Client(served), []

    def press(label):
        statuses.append(client.own("POST", "label", {"number": 0, "label": label})[0])

    tabs = [threading.Thread(target=press, args=(label,)) for label in ("ant", "bee")]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(statuses) == [200, 409]
    assert session.filed == 1


def test_a_port_in_use_is_said(served, session):
    port = urlsplit(served.address).port
    with pytest.raises(UsageError, match=f"port {port} cannot be used"):
        Served(session, port)
    with pytest.raises(UsageError, match="cannot be used"):
        Served(session, 70_000)


def opened(browser, served, **more):
    page = browser.new_page(**more)
    page.set_default_timeout(60_000)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(served.address)
    page.wait_for_selector("#looking:not([hidden])")
    page.wait_for_function("document.querySelector('#image').complete")
    return page


def told(page, words):
    page.wait_for_function("words => document.querySelector('#told').textContent.includes(words)", arg=words)


@browsing
def test_a_review_by_keyboard(browser, served, session):
    page = opened(browser, served)
    assert not page.is_visible("#answer")
    assert "ant" not in page.inner_text("#told")
    page.keyboard.press("3")
    told(page, f"Filed as {CLASSES[2]}. The classifier said ant, 90 %, unsure. The label so far is bee.")
    page.keyboard.press("?")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.inner_text("#answer").startswith("The classifier said bee, 80 %")
    page.keyboard.press("s")
    told(page, "Skipped photo-1.png")
    assert not page.is_visible("#answer")
    page.keyboard.press("n")
    told(page, "Filed as none of the classes")
    page.keyboard.press("u")
    told(page, "Skipped photo-1.png")
    page.keyboard.press("2")
    told(page, "Filed as bee")
    assert page.inner_text("#where") == "2 of 4 labelled, 1 skipped"
    assert labels(session) == [CLASSES[2], "bee"]
    page.click("summary")
    page.fill("#new-name", "u")  # no key while a name is written
    page.keyboard.press("Enter")
    told(page, "Filed as u")
    page.wait_for_selector("#end:not([hidden])")
    page.click("#finish")
    page.wait_for_selector("#after:not([hidden])")
    assert "linnaea train review" in page.inner_text("#next")
    assert served.wait(20)
    assert page.complaints == []
    assert all(address.startswith((served.address, "data:")) for address in page.asked)


@browsing
def test_keys_can_be_turned_off_and_all_is_done_by_tab_and_enter(browser, served, session):
    page = opened(browser, served)
    page.uncheck("#keys")
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert session.filed == 0
    page.focus("#classes button >> nth=1")
    page.keyboard.press("Enter")
    told(page, "Filed as bee")
    assert page.evaluate("document.activeElement.dataset.name") == "bee"


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_using_it(browser, served, scheme):
    page = opened(browser, served, color_scheme=scheme, viewport={"width": 390, "height": 844})
    assert violations(page) == {}
    page.keyboard.press("1")
    told(page, "Filed as ant")
    page.keyboard.press("?")
    page.wait_for_selector("#answer:not([hidden])")
    assert violations(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(3):
        page.keyboard.press("s")
        page.wait_for_timeout(400)
    page.wait_for_selector("#end:not([hidden])")
    assert violations(page) == {}


@browsing
def test_several_labels_and_many_classes(browser, tmp_path):
    classes = tuple(f"class {number:02}" for number in range(40))
    folder = ReviewFolder(tmp_path / "review")
    session = Session(items_in(tmp_path / "photos", 2), Rules(classes, several=True, before=True), folder)
    with Served(session) as served:
        page = opened(browser, served)
        assert page.inner_text("#answer").startswith("The classifier said ant")
        page.fill("#find", "class 31")
        page.keyboard.press("Enter")
        page.fill("#find", "")
        page.click("#classes button >> nth=0")
        page.click("#file")
        told(page, "Filed as class 31, class 00")
        assert labels(session) == [("class 31", "class 00")]
        page.click("#none")
        told(page, "Filed as none of the classes")
        assert labels(session)[1] == ()
