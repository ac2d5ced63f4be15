"""What learning curves are said to show: planted ones of each kind, and sound ones that must not be accused."""

import numpy as np
import pytest

from linnaea.evidence.learning_curves import diagnose, noise_of


def course(train, val, *, seen=None, seen_score=None, val_score=None, calibrated=None):
    """The rows of a history, as text, as they are read from a file."""
    columns = {
        "train_loss": train,
        "seen_loss": train if seen is None else seen,
        "seen_accuracy": [0.99] * len(train) if seen_score is None else seen_score,
        "val_loss": val,
        "val_loss_calibrated": val if calibrated is None else calibrated,
        "val_accuracy": [0.95] * len(train) if val_score is None else val_score,
    }
    rows = zip(*columns.values(), strict=True)
    return [{"epoch": str(n), **{name: f"{x:.6g}" for name, x in zip(columns, row, strict=True)}}
            for n, row in enumerate(rows, 1)]  # fmt: skip


def falling(epochs, start=2.3, floor=0.1, speed=3.0):
    return floor + (start - floor) * np.exp(-speed * np.arange(epochs) / (epochs - 1))


def noisy(values, noise, seed=0):
    return np.abs(values + np.random.default_rng(seed).normal(0, noise, len(values)))


def kind(rows, **more):
    return diagnose("scratch", rows, **{"images": 500, **more}).name


def test_a_val_loss_that_rises_while_the_training_loss_falls_is_overfitting():
    val = np.concatenate([np.linspace(1.5, 0.6, 5), np.linspace(0.62, 1.1, 10)])
    found = diagnose("scratch", course(falling(15), val), images=500)
    assert (found.name, found.severity) == ("overfitting", "warning")
    assert "fell to 0.6 in epoch 5 and rose to 1.1 by epoch 15" in found.summary
    assert "--augment" in found.summary
    assert found.rows[0]["best_epoch"] == 5


def test_a_val_loss_that_rises_only_in_confidence_is_not_overfitting():
    raw = np.concatenate([np.linspace(1.5, 0.3, 5), np.linspace(0.31, 0.6, 10)])
    found = diagnose("scratch", course(falling(15), raw, calibrated=falling(15, floor=0.25, speed=6)), images=500)
    assert (found.name, found.severity) == ("too_sure", "info")


@pytest.mark.parametrize(("limited", "mend"), [(False, "more --epochs"), (True, "a longer --time-limit")])
def test_losses_that_both_still_fall_call_for_more_time(limited, mend):
    losses = np.linspace(2.3, 1.2, 10)
    rows = course(losses, losses + 0.05, seen_score=np.linspace(0.1, 0.6, 10), val_score=np.linspace(0.1, 0.58, 10))
    found = diagnose("scratch", rows, images=500, limited=limited)
    assert (found.name, found.severity) == ("unfinished", "warning")
    assert found.summary.endswith(f"What may help: {mend}.")


def test_a_high_loss_that_no_longer_falls_calls_for_a_stronger_network():
    losses = 1.4 + falling(12, 0.8, 0.0, 9)
    rows = course(losses, losses + 0.02, seen_score=[0.55] * 12, val_score=[0.54] * 12)
    assert kind(rows) == "underfitting"
    assert "--find-lr" in diagnose("scratch", rows, images=500).summary


SLOWING = [1.07, 1.0, 0.955, 0.935, 0.93]  # as a rate that comes to its end leaves it


def slowing(val, rate):
    rows = course(np.array(SLOWING) + 0.01, val, seen_score=[0.7] * 5, val_score=[0.66] * 5)
    return [row | {"learning_rate": str(value)} for row, value in zip(rows, rate, strict=True)]


def test_a_loss_that_falls_in_every_epoch_is_not_said_to_have_stopped():
    found = diagnose("scratch", slowing(SLOWING, [3e-4, 2e-4, 1e-4, 5e-5, 0]), images=27)
    assert (found.name, found.severity) == ("unfinished", "warning")
    assert "still fell in each of the last 3 epochs, ever more slowly as the learning rate came" in found.summary
    assert "What may help: more --epochs; where they do not, a larger network" in found.summary
    steady = diagnose("scratch", slowing(SLOWING, [3e-4] * 5), images=27).summary
    assert "epochs, but slowly." in steady
    level = diagnose("scratch", slowing([*SLOWING[:3], 0.958, 0.956], [3e-4] * 5), images=27)
    assert level.name == "underfitting"
    assert "hardly fell any further at the end" in level.summary
    assert "--epochs" not in level.summary


def test_where_the_rate_ended_a_fall_more_epochs_may_help():
    losses = np.array([2.0, 1.8, 1.6, 1.4, 1.2, 1.1, 1.11, 1.1, 1.11, 1.11])
    rows = course(losses, losses + 0.01, seen_score=[0.6] * 10, val_score=[0.58] * 10)
    ends = [row | {"learning_rate": str(3e-4 if n < 5 else 1e-6)} for n, row in enumerate(rows)]
    assert "What may help: more --epochs, for the learning rate had come" in diagnose("s", ends, images=500).summary
    assert "--epochs" not in diagnose("s", rows, images=500).summary


def test_a_rate_that_was_looked_for_is_not_to_be_looked_for_again():
    losses = 1.4 + falling(12, 0.8, 0.0, 9)
    rows = course(losses, losses + 0.02, seen_score=[0.55] * 12, val_score=[0.54] * 12)
    found = diagnose("scratch", rows, images=500, searched=True)
    assert found.name == "underfitting"
    assert "another --lr, or" in found.summary


def test_a_score_that_is_high_on_val_is_not_underfitting():
    losses = 0.3 + falling(12, 0.8, 0.0, 9)
    assert kind(course(losses, losses, seen_score=[0.926] * 12, val_score=[0.963] * 12), images=27) == "sound"


def test_a_network_that_has_learned_nothing_is_not_said_to_overfit():
    """As seen on twelve val images: the loss on them is lowest by chance, in the first epoch."""
    train, val = [0.682, 0.669, 0.661, 0.643, 0.639], [0.652, 0.687, 0.685, 0.688, 0.688]
    rows = course(train, val, seen_score=[0.583] * 5, val_score=[0.5] * 5)
    assert kind(rows, images=12) == "underfitting"


@pytest.mark.parametrize("train", [[2.3, 1.9, 1.6, 2.5, 6.0], [2.3, 2.9, 4.0, 8.0, 9.0]])
def test_a_training_loss_that_rises_again_is_diverging(train):
    rows = course(np.array(train), np.array(train) + 0.1, seen_score=[0.3] * 5, val_score=[0.3] * 5)
    found = diagnose("scratch", rows, images=500)
    assert (found.name, found.severity) == ("diverging", "warning")
    assert "a smaller --lr" in found.summary


def test_a_val_loss_that_jumps_is_noisy():
    val = 0.6 + 0.25 * np.resize([1, -1], 20)
    assert kind(course(falling(20), val)) == "noisy"
    assert "only 40 images" in diagnose("scratch", course(falling(20), val), images=40).summary


def test_a_wide_gap_is_told_and_a_gap_of_chance_is_not():
    rows = course(falling(12), falling(12, floor=0.5), seen_score=[1.0] * 12, val_score=[0.8] * 12)
    assert kind(rows) == "memorising"
    assert kind(rows, images=10) == "sound"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("epochs", [4, 8, 20, 40])
def test_sound_curves_are_not_accused(seed, epochs):
    """Falling, levelling off, with noise of a twentieth; smoothed labels keep the training loss above that on val."""
    train, seen = (
        noisy(falling(epochs, floor=0.6), 0.02, seed),
        noisy(falling(epochs, floor=0.03, speed=5), 0.005, seed),
    )
    val = noisy(falling(epochs, floor=0.25, speed=5), 0.0125, seed + 1)
    rows = course(train, val, seen=seen, seen_score=[0.985] * epochs, val_score=[0.93] * epochs)
    found = diagnose("scratch", rows, images=500)
    assert (found.name, found.severity) == ("sound", "info"), found.summary
    assert "nothing to do" in found.summary


def test_a_curve_that_falls_to_the_very_end_is_sound_where_all_is_learned():
    """As the rate falls to nothing, so does the loss: that alone calls for no more epochs."""
    losses = np.linspace(1.0, 0.1, 10)
    assert kind(course(losses + 0.5, losses, seen=losses, seen_score=[0.98] * 10, val_score=[0.96] * 10)) == "sound"


def test_too_few_epochs_and_old_histories_are_not_judged_by_what_they_lack():
    assert kind(course([2.0, 1.0], [2.0, 1.0])) == "short"
    assert kind([]) == "short"
    assert "1 epoch is too few" in diagnose("scratch", course([2.0], [2.0]), images=9).summary


def test_a_loss_that_is_no_number_is_not_taken_for_too_few_epochs():
    val = falling(10)
    val[3] = np.nan
    found = diagnose("scratch", course(falling(10), val), images=500)
    assert found.name == "unmeasured"
    assert "1 of 10 epochs have no loss that is a number" in found.summary
    assert found.rows[0]["best_epoch"] == 10
    assert kind(course(falling(10), [np.nan] * 10)) == "unmeasured"
    val = np.concatenate([np.linspace(1.5, 0.6, 5), np.linspace(0.62, 1.1, 10)])
    old = [{"train_loss": t, "val_loss": v, "val_accuracy": 0.97} for t, v in zip(falling(15), val, strict=True)]
    assert kind(old) == "overfitting"
    assert kind([row | {"val_loss": 0.2} for row in old]) == "sound"


def test_noise_is_told_from_a_trend():
    trend, random = np.linspace(3, 1, 400), np.random.default_rng(0)
    assert noise_of(trend) < 1e-12
    assert noise_of(trend + random.normal(0, 0.1, 400)) == pytest.approx(0.1, rel=0.15)
