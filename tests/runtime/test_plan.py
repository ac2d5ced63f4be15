"""The execution plan is measured, in turn and within its time, and says what it measured."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.errors import UsageError
from linnaea.runtime.doctor import examine
from linnaea.runtime.plan import Plan, Workload, measure, pick_device, pick_memory_format, pick_precision
from linnaea.runtime.plan.agreement import difference
from linnaea.runtime.plan.memory import bounded_batch, inference_bytes, training_bytes

FORMATS = [(p, m) for p in ("float32", "bfloat16") for m in ("channels_last", "contiguous")]


def measured(own, **options):
    return measure("cpu", own.workload, clock=own.clock, **options)


@pytest.mark.parametrize("fastest", FORMATS)
def test_the_fastest_candidate_is_picked(fastest, bench, machine):
    own = bench({name: 0.001 if name == fastest else 0.002 for name in FORMATS})
    plan = measured(own)
    assert (plan.precision, plan.memory_format, plan.source) == (*fastest, "measured")
    speeds = {(seen.precision, seen.memory_format): seen.images_per_second for seen in plan.measured}
    assert speeds == {name: pytest.approx(1000 if name == fastest else 500) for name in FORMATS}
    assert plan.batch_size == 16


def test_what_is_hardly_faster_is_not_worth_another_format(bench, machine, make_speeds):
    plan = measured(bench(make_speeds(float32=(1.0, 0.99), bfloat16=(0.96, 0.97))))
    assert (plan.precision, plan.memory_format) == ("float32", "channels_last")


def test_candidates_take_turns_and_the_hopeless_ones_only_one(bench, machine, make_speeds):
    own = bench(make_speeds(float32=(1.0, 1.2), bfloat16=(1.1, 5.0)))
    measured(own)
    turns = [step[:2] for step in own.steps[len(FORMATS) :]]  # after one unmeasured step of each
    lasting = [name for name in FORMATS if name != ("bfloat16", "contiguous")]
    assert turns == [*FORMATS, *lasting[::-1], *lasting, *lasting[::-1], *lasting]


def test_a_loaded_moment_does_not_decide(bench, machine, make_speeds):
    own = bench(make_speeds(float32=(1.0, 1.3), bfloat16=(0.8, 1.3)))
    step = own.workload.step

    def disturbed(plan):
        own.now += 0.01 * (len(own.steps) == 11)  # one step of the fastest, in the third round
        return step(plan)

    object.__setattr__(own.workload, "step", disturbed)
    assert measured(own).precision == "bfloat16"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (math.nan, "gives NaN or infinity"),
        (math.inf, "gives NaN or infinity"),
        (0.3, "differs from float32 by 0.3 of the spread"),
        (RuntimeError("no such kernel\nat line 3"), "fails (no such kernel)"),
    ],
)
def test_answers_that_do_not_agree_are_refused_and_that_is_said(wrong, why, bench, machine, caplog):
    plan = measured(bench(wrong={"bfloat16": wrong}))
    assert (plan.precision, plan.memory_format) == ("float32", "channels_last")
    assert [note for note in plan.notes if why in note and note.endswith("it is not used.")] == list(plan.notes)
    assert len(plan.notes) == 2, "in both memory formats"
    assert why in caplog.text
    refused = [seen for seen in plan.measured if seen.precision == "bfloat16"]
    assert all(seen.images_per_second is None and why in seen.remark for seen in refused)


def test_a_difference_within_the_tolerance_is_written_down(bench, machine):
    plan = measured(bench(wrong={"bfloat16": 0.1}))
    assert plan.precision == "bfloat16"
    assert {seen.precision: seen.difference for seen in plan.measured} == {"float32": 0, "bfloat16": pytest.approx(0.1)}


def test_a_step_that_makes_nan_is_refused(bench, machine):
    own = bench(purpose="train")
    step = own.workload.step
    object.__setattr__(own.workload, "step", lambda plan: step(plan) and plan.precision == "float32")
    plan = measured(own)
    assert plan.precision == "float32"
    assert "gives NaN or infinity in a step" in plan.notes[0]


def test_where_float32_gives_nan_too_nothing_is_compared(bench, machine):
    plan = measured(bench(wrong={"float32": math.nan}))
    assert (plan.precision, plan.source) == ("float32", "default")
    assert plan.notes == ("float32 gives NaN or infinity too: nothing was compared.",)


@pytest.mark.parametrize("milliseconds", [1, 20, 100, 400])
def test_measuring_keeps_to_its_time(milliseconds, bench, machine):
    own = bench(dict.fromkeys(FORMATS, milliseconds / 1000), batch_size=64)
    plan = measured(own, seconds=15.0)
    assert plan.source == "measured"
    assert own.now < 1.5 * 15


def test_what_would_take_too_long_is_not_measured(bench, machine):
    own = bench(dict.fromkeys(FORMATS, 3.0))
    plan = measured(own, seconds=15.0)
    assert (plan.precision, plan.memory_format, plan.source, own.steps) == ("float32", "channels_last", "default", [])
    assert plan.notes == ("Nothing was measured, because it would have taken more than 15 s.",)
    again = bench()
    assert measured(again).source == "measured", "that there was no time is not remembered"


def test_a_machine_that_turns_busy_is_given_up(bench, machine):
    own = bench()
    step = own.workload.step

    def busy(plan):
        own.now += 20
        return step(plan)

    object.__setattr__(own.workload, "step", busy)
    plan = measured(own, seconds=15.0)
    assert (plan.precision, plan.source) == ("float32", "default")
    assert len(own.steps) == 2
    assert own.now < 45


def test_few_images_are_not_worth_measuring(bench, machine):
    own = bench(images=255)
    assert measured(own) == Plan("cpu", threads=1, batch_size=16)
    assert own.now == 0


def test_measuring_works_on_a_share_of_the_images(bench, machine):
    own = bench(images=256, batch_size=64)
    measured(own)
    assert {images for *_, images in own.steps} == {8}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_given_precision_is_taken_as_it_is(precision, bench, machine):
    own = bench()
    plan = measured(own, precision=precision)
    assert (plan.precision, plan.memory_format, plan.source) == (precision, "channels_last", "given")
    assert measured(own, precision=precision, memory_format="contiguous").memory_format == "contiguous"
    assert own.now == 0, "the clock has no say in what is to be repeated to the last digit"


def test_a_given_memory_format_leaves_the_precision_to_be_measured(bench, machine):
    own = bench()
    plan = measured(own, memory_format="contiguous")
    assert (plan.precision, plan.memory_format) == ("bfloat16", "contiguous")
    assert {layout for _, layout, _ in own.steps} == {"contiguous"}


def test_without_bfloat16_in_hardware_it_is_not_tried(bench, machine):
    machine(reduced={"cpu": ()})
    own = bench()
    assert measured(own).precision == "float32"
    assert {precision for precision, *_ in own.steps} == {"float32"}


def test_an_accelerator_is_given_batches_as_large_as_it_pays(bench, machine, monkeypatch):
    machine(reduced={"cuda": ("bfloat16",)})
    monkeypatch.setattr("linnaea.runtime.plan.timing.finish", lambda device: None)
    monkeypatch.setattr("linnaea.runtime.plan.workload.usable_memory", lambda device: 3_000)
    own = bench(images=100_000)
    step = own.workload.step

    def overhead(plan):
        own.now += 0.5
        return step(plan)

    object.__setattr__(own.workload, "step", overhead)
    object.__setattr__(own.workload, "image_bytes", 10.0)
    plan = measure("cuda", own.workload, clock=own.clock, seconds=60.0)
    assert (plan.precision, plan.batch_size) == ("bfloat16", 256)
    assert [seen.batch_size for seen in plan.measured] == [16, 64, 256, 256, 256, 256]
    object.__setattr__(own.workload, "image_bytes", 30.0)
    assert measure("cuda", own.workload, clock=own.clock, seconds=60.0, anew=True).batch_size == 64, "256 do not fit"


@pytest.mark.parametrize(("purpose", "tried"), [("embed", {"float32", "float16"}), ("train", {"float32"})])
def test_float16_trains_only_where_gradients_are_scaled(purpose, tried, bench, machine, monkeypatch):
    machine(reduced={"mps": ("float16",)})
    monkeypatch.setattr("linnaea.runtime.plan.timing.finish", lambda device: None)
    own = bench(purpose=purpose)
    own.seconds.update({("float16", layout): 0.01 for layout in ("channels_last", "contiguous")})
    measure("mps", own.workload, clock=own.clock)
    assert {precision for precision, *_ in own.steps} == tried


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_autocast_runs_in_the_format_of_the_plan(precision, dtype):
    with Plan("cpu", precision).autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
def test_the_layout_is_that_of_the_plan(layout):
    pixels = torch.zeros(2, 3, 4, 4).contiguous(memory_format=Plan("cpu", memory_format=layout).layout)
    assert pixels.is_contiguous(memory_format=torch.channels_last) == (layout == "channels_last")


def test_a_plan_outlives_json(bench, machine):
    plan = measured(bench(wrong={"bfloat16": math.nan}))
    assert Plan.from_json(plan.to_json()) == plan


@settings(deadline=None)
@given(st.integers(1, 4096), st.floats(0, 1e9), st.floats(0, 1e9), st.one_of(st.none(), st.integers(0, 10**11)))
def test_a_batch_is_halved_until_it_fits(batch, per_image, fixed, usable):
    bounded, note = bounded_batch(batch, per_image, fixed, usable)
    halves = [batch >> times for times in range(13) if batch >> times]
    fitting = [size for size in halves if usable is None or fixed + size * per_image <= usable]
    assert bounded == max(fitting, default=1)
    assert bool(note) == (fitting[:1] != [batch])


def test_bytes_of_a_training_step_are_those_that_are_saved():
    network = torch.nn.Sequential(torch.nn.Linear(100, 300), torch.nn.ReLU(), torch.nn.Linear(300, 10))
    pixels = torch.zeros(8, 100)
    saved = 4 * 8 * (100 + 300)  # the inputs of both layers, the second being the output of the first
    assert training_bytes(network, lambda: network(pixels)) == int(1.5 * saved)
    assert inference_bytes(network, lambda: network(pixels)) == int(2.5 * 4 * 8 * 600), (
        "the largest is what ReLU reads and writes"
    )


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(-100, 100))
def test_the_difference_is_relative_to_the_spread_of_the_outputs(wrong, offset):
    outputs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    other = outputs * (1 + wrong)
    assert difference(other + offset, outputs + offset) == pytest.approx(wrong, abs=1e-9)


def test_the_difference_of_equal_pictures_is_relative_to_the_outputs():
    assert difference(torch.full((3, 2), 4.4), torch.full((3, 2), 4.0)) == pytest.approx(0.1, rel=1e-5)
    assert difference(torch.zeros(3, 2), torch.zeros(3, 2)) == 0


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (lambda: pick_device("gpu"), "expected one of auto, cpu"),
        (lambda: pick_precision("half"), "expected one of auto, float32, bfloat16"),
        (lambda: pick_precision("float16", "cpu"), "is only for cuda"),
        (lambda: pick_memory_format("nhwc"), "expected one of auto, channels_last, contiguous"),
    ],
)
def test_what_is_unknown_is_refused(pick, said):
    with pytest.raises(UsageError, match=said):
        pick()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_an_absent_device_is_refused():
    with pytest.raises(UsageError, match="not available on this machine"):
        pick_device("cuda")


def test_the_doctor_knows_the_machine():
    facts = examine()
    assert facts["threads"] >= 1
    assert facts["extra export"] == "installed"
    assert facts["processor"]
    assert len(facts["fingerprint"]) == 16
    assert facts["formats to try"].startswith("float32")


class Growing:
    """A workload whose images take 0.01 s each, and each step some overhead, on a clock that only it moves."""

    def __init__(self, overhead, most=10_000, fits=10**6, seconds=0.01):
        self.overhead, self.fits, self.seconds, self.now, self.sizes = overhead, fits, seconds, 0.0, []
        self.workload = Workload("n", "train", (8, 8, 3), 10_000, 16, self.step, lambda plan: torch.ones(1), most=most)

    def step(self, plan):
        if plan.batch_size > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.sizes.append(plan.batch_size)
        self.now += self.overhead + self.seconds * plan.batch_size
        return True

    def measured(self, seconds=10_000.0, **options):
        return measure("cpu", self.workload, precision="float32", seconds=seconds, clock=lambda: self.now, **options)


@pytest.mark.parametrize(
    ("given", "batch", "why"),
    [
        ({"overhead": 0.0}, 16, "32 are no faster (16 at 100 images/s, 32 at 100 images/s)"),
        ({"overhead": 0.8}, 1024, "2048 are no faster"),  # 87 images/s with 512, 93 with 1024, 96 with 2048
        ({"overhead": 10.0, "most": 100}, 64, "with 128 an epoch would have too few steps"),
        ({"overhead": 10.0, "fits": 200}, 128, "256 do not fit into memory"),
        ({"overhead": 10.0, "fits": 8}, 16, "no step went through"),
    ],
)
def test_a_batch_grows_while_that_gains_speed(given, batch, why, machine):
    own = Growing(**given)
    plan = own.measured()
    assert plan.batch_size == batch
    assert any(note.startswith(f"Batches of {batch} images, chosen for speed: {why}") for note in plan.notes)
    steps = len(own.sizes)
    assert own.measured().batch_size == batch
    assert len(own.sizes) == steps, "it is remembered"
    own.measured(anew=True)
    assert len(own.sizes) > steps or given.get("fits") == 8


def test_a_batch_grows_no_longer_than_there_is_time(machine):
    own = Growing(0.5)
    plan = own.measured(8.0)
    assert "there was no time to try" in plan.notes[0]
    assert own.now <= 4.0


def test_a_batch_grows_no_larger_than_memory_is_said_to_be(machine, monkeypatch):
    monkeypatch.setattr("linnaea.runtime.plan.workload.usable_memory", lambda device: 100)
    own = Growing(10.0)
    object.__setattr__(own.workload, "image_bytes", 2.0)
    assert own.measured().batch_size == 32
    assert max(own.sizes) == 32


def test_formats_are_compared_with_the_batch_that_was_found(bench, machine):
    own = bench(purpose="train")
    object.__setattr__(own.workload, "most", 64)
    plan = measured(own)
    assert plan.precision == "bfloat16"
    assert plan.batch_size == 16, "steps without overhead gain nothing"
    assert "32 are no faster" in plan.notes[0]
