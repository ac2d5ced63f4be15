"""What is queued is taken whenever the model is free; what nobody waits for is dropped; too much is refused."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from fastapi.testclient import TestClient
from served import FAST, Catalogue, ColourScorer, Draws, Model, Told, client_of, colours, image_file

from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.batching import ModelThread, Picture, buckets, warm
from linnaea.delivery.serving.limits import Limits

RED = image_file()


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (32, (1, 2, 4, 8, 16, 32))])
def test_batches_have_few_sizes(most, sizes):
    assert buckets(most) == sizes


def test_every_size_is_tried_before_the_first_client():
    scorer = ColourScorer()
    with client_of(colours(scorer), limits=Limits(batch=6)):
        assert scorer.batches_seen == [1, 2, 4, 6]


class Waiting:
    """A ticket that is not from an event loop."""

    def __init__(self, served):
        self.served, self.dropped, self.error = served, False, None

    def failed(self, error):
        self.error = error


def picture(ticket, readable=True):
    return Picture(ticket, 0, "0", b"", np.zeros((4, 4, 3), np.uint8) if readable else None)


class Queue:
    """A thread of a model that is busy until it is let go, and what it was given."""

    def __init__(self, most=8):
        self.batches, self.passed, self.busy, self.go = [], 0, threading.Event(), threading.Event()
        self.thread = ModelThread(self.answer, self.pass_over, most)
        self.thread.start()
        self.first = Waiting("first")
        self.thread.put(picture(self.first))
        assert self.busy.wait(10)

    def answer(self, batch):
        self.busy.set()
        assert self.go.wait(10)
        self.batches.append(list(batch))

    def pass_over(self, count):
        self.passed += count

    def end(self):
        self.go.set()
        self.thread.close()
        return [len(batch) for batch in self.batches[1:]]


def test_what_is_queued_meanwhile_is_taken_at_once_in_sizes_that_were_tried():
    queue = Queue(most=8)
    ticket = Waiting("a")
    for _ in range(15):
        queue.thread.put(picture(ticket))
    assert queue.end() == [8, 4, 2, 1]


def test_a_batch_is_of_one_model_and_of_what_waited_longest():
    queue = Queue()
    a, b = Waiting("a"), Waiting("b")
    order = [picture(ticket) for ticket in (a, b, a, b, b, a, a)]
    for one in order:
        queue.thread.put(one)
    assert queue.end() == [4, 2, 1]
    assert queue.batches[1:] == [[order[0], order[2], order[5], order[6]], [order[1], order[3]], [order[4]]]


def test_what_could_not_be_read_comes_with_the_rest():
    queue = Queue()
    ticket = Waiting("a")
    for readable in (True, False, True, False, False, True):
        queue.thread.put(picture(ticket, readable))
    assert queue.end() == [5, 1]


def test_what_nobody_waits_for_is_passed_over():
    queue = Queue()
    stays, leaves = Waiting("a"), Waiting("a")
    for ticket in (leaves, stays, leaves):
        queue.thread.put(picture(ticket))
    leaves.dropped = True
    assert queue.end() == [1]
    assert queue.passed == 2


def test_other_work_has_its_turn_between_batches():
    queue = Queue(most=1)
    ticket, order = Waiting("a"), []
    for _ in range(3):
        queue.thread.put(picture(ticket))
    done = queue.thread.run(lambda: order.append(len(queue.batches)))
    failing = queue.thread.run(lambda: 1 / 0)
    queue.end()
    assert done.result(10) is None
    assert order[0] < 4, "it did not wait for all"
    with pytest.raises(ZeroDivisionError):
        failing.result(10)


def test_a_failure_of_one_batch_is_not_that_of_the_next():
    answered = []

    def answer(batch):
        if batch[0].ticket.served == "bad":
            raise RuntimeError("no")
        answered.append(len(batch))

    thread = ModelThread(answer, lambda count: None, 4)
    bad, good = Waiting("bad"), Waiting("good")
    thread.put(picture(bad))
    thread.put(picture(good))
    thread.start()
    thread.close()
    assert isinstance(bad.error, RuntimeError)
    assert answered == [1]


def test_more_images_than_may_wait_are_refused_at_once_and_the_others_answered():
    scorer, told = ColourScorer(), Told()
    limits = Limits(max_queue=3, batch=1)
    with client_of(colours(scorer), [told], limits) as client:
        scorer.go.clear()
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.post("/predict", content=RED))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        waits_for(lambda: client.app.state.answering.waiting == 3)
        refused = client.post("/predict", content=RED)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "3 images wait for their answer" in refused.json()["error"]
        scorer.go.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3
        assert client.post("/predict", content=RED).status_code == 200
        assert client.app.state.answering.waiting == 0
    assert len(told.answers) == 4


def test_a_request_of_more_images_than_may_ever_wait_is_refused_whole_and_not_told_to_come_back():
    with client_of(limits=Limits(max_queue=2)) as client:
        response = client.post("/predict", files=[("a", (str(n), RED)) for n in range(3)])
        assert response.status_code == 413
        assert "at most 2 may wait" in response.json()["error"]
        assert "retry-after" not in response.headers
        assert client.app.state.answering.waiting == 0


def test_an_answer_that_takes_too_long_is_given_up():
    scorer = ColourScorer()
    with client_of(colours(scorer), limits=Limits(answer_time=0.2)) as client:
        scorer.go.clear()
        response = client.post("/predict", content=RED)
        assert response.status_code == 503
        assert "no answer within 0.2 seconds" in response.json()["error"]
        scorer.go.set()
        waits_for(lambda: client.app.state.answering.waiting == 0)
        assert client.post("/predict", content=RED).status_code == 200


def test_a_picture_that_takes_too_long_is_named(monkeypatch):
    go = threading.Event()

    def slow(content, formats):
        go.wait(20)

    with client_of(limits=Limits(answer_time=0.2, decoders=1)) as client:
        monkeypatch.setattr("linnaea.delivery.serving.answering.require_allowed", slow)
        response = client.post("/predict", content=RED)
        assert response.status_code == 422
        assert "image 0 takes longer than 0.2 seconds" in response.json()["error"]
        assert client.app.state.answering.waiting == 1, "its place is not free before its decoder is"
        go.set()
        waits_for(lambda: client.app.state.answering.waiting == 0)


def test_a_heat_map_that_takes_too_long_is_given_up_and_no_more_than_a_few_wait():
    go, given_up = threading.Event(), threading.Event()

    def slow(between):
        go.wait(20)
        try:
            between(lambda: None)
        finally:
            given_up.set()

    with client_of(limits=Limits(answer_time=2.0, batch=1), explain=Draws(slow)) as client:
        ask = partial(client.post, "/predict?explain=rise", content=RED)
        with ThreadPoolExecutor(4) as pool:
            four = [pool.submit(ask) for _ in range(4)]
            waits_for(lambda: client.app.state.answering._drawing._waiting == 4)
            refused = ask()
            assert refused.status_code == 503
            assert "4 heat maps are waited for" in refused.json()["error"]
        assert all("rise was not done within 2 seconds" in one.result().json()["error"] for one in four)
        go.set()
        assert given_up.wait(5), "what nobody waits for asks the model no more"
        waits_for(lambda: ask().status_code == 200)


def test_others_are_answered_while_a_heat_map_is_drawn():
    begun, done = threading.Event(), threading.Event()

    def in_pieces(between):
        while not done.is_set():
            between(begun.set)

    with client_of(explain=Draws(in_pieces)) as client, ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(client.post, "/predict?explain=rise", content=RED)
        assert begun.wait(10)
        try:
            assert [client.post("/predict", content=RED).status_code for _ in range(3)] == [200] * 3
            assert not drawn.done()
        finally:
            done.set()
        assert drawn.result().status_code == 200


def test_a_quick_heat_map_does_not_wait_for_a_slow_one():
    begun, done = threading.Event(), threading.Event()

    def slow_at_first(between):
        if not begun.is_set():
            begun.set()
            assert done.wait(20)

    with client_of(explain=Draws(slow_at_first)) as client, ThreadPoolExecutor(1) as pool:
        ask = partial(client.post, "/predict?explain=rise", content=RED)
        slow = pool.submit(ask)
        assert begun.wait(10)
        try:
            assert ask().status_code == 200
            assert not slow.done()
        finally:
            done.set()
        assert slow.result().status_code == 200


def test_a_server_that_ends_gives_up_what_is_being_drawn():
    begun = threading.Event()

    def for_ever(between):
        while True:
            between(begun.set)

    with ThreadPoolExecutor(1) as pool, client_of(limits=Limits(answer_time=5), explain=Draws(for_ever)) as client:
        drawn = pool.submit(client.post, "/predict?explain=rise", content=RED)
        assert begun.wait(10)
        client.app.state.answering.close()
        assert "the server ended" in drawn.result().json()["error"]


def test_a_model_that_is_warm_gives_outputs_of_nothing():
    outputs = warm(colours(), 4)
    assert outputs.probabilities.shape == (0, 3)
    assert outputs.ood_scores.shape == (0,)


def waits_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_a_version_that_is_only_tried_is_warm_too_before_the_server_is_ready():
    usual, tried = ColourScorer(), ColourScorer()
    models = Catalogue(Model(colours(usual)), Model(colours(tried), version="2"))
    with TestClient(make_application(models, limits=FAST)):
        assert usual.batches_seen == tried.batches_seen == [1, 2, 4]
