"""Schedules that do not end at zero: constant, cycles, staying at a share, and falling where val stands still."""

from linnaea.learning.schedules.contract import SCHEDULES, Moment

FALLING = 0.5  # of a training by `swa`: as long it falls
LOWEST = 0.1  # of the highest rate: where a cycle begins and ends
PATIENCE = 2  # epochs
BETTER = 1e-4  # of the loss: what counts as one


@SCHEDULES.register("constant", title="Constant", meaning="Stays as it is.", order=5, warm_up=0.0)
def constant(moment: Moment) -> float:
    """The highest rate all the time."""
    return 1.0


@SCHEDULES.register(
    "cyclical",
    title="Cyclical",
    meaning="Rises from a tenth and falls back to it, several times, in triangles.",
    order=6,
    amount=("the number of cycles", 3, 1, 100),
    warm_up=0.0,
)
def cyclical(moment: Moment) -> float:
    """Smith 2017."""
    assert moment.amount is not None, "it takes a number"
    place = (moment.done * moment.amount) % 1
    return LOWEST + (1 - LOWEST) * (1 - abs(2 * place - 1))


@SCHEDULES.register(
    "swa",
    title="Averaging",
    meaning="Falls linearly to a share over the first half and stays there, where weights can be averaged.",
    order=9,
    amount=("the share it stays at", 0.2, 0.001, 1),
    warm_up=0.05,
)
def swa(moment: Moment) -> float:
    """Izmailov et al. 2018."""
    assert moment.amount is not None, "it takes a number"
    return moment.amount + (1 - moment.amount) * max(0.0, 1 - moment.done / FALLING)


@SCHEDULES.register(
    "plateau",
    title="Plateau",
    meaning="Is multiplied by a factor whenever the loss on val has not fallen for more than two epochs.",
    order=7,
    amount=("the factor", 0.1, 0.001, 0.99),
    warm_up=0.05,
)
def plateau(moment: Moment) -> float:
    """What counts as a fall is at least a ten-thousandth of the loss."""
    assert moment.amount is not None, "it takes a number"
    best, waited, share = float("inf"), 0, 1.0
    for loss in moment.losses:
        if loss < best * (1 - BETTER):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > PATIENCE:
            share, waited = share * moment.amount, 0
    return share
