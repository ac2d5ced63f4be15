"""What is searched where nobody said it: what matters most for the kind of model."""

from linnaea.errors import UsageError
from linnaea.experiments.search.space import Choices, Range, Space, given_in
from linnaea.learning.optimizers import BATCHES, usual_rate
from linnaea.learning.rungs import Step
from linnaea.options import Learning

AROUND = (20.0, 5.0)  # times below and above the usual rate
COMPACT_RATE = 0.4  # that of the compact network


def default_space(step: Step, learning: Learning) -> Space:
    """The rate around the usual one, label smoothing and, of pretrained networks, the decay of rates with depth.

    What `learning` says already is not searched. Raises UsageError where nothing of the step can be searched.
    """
    if "optimizer" not in step.rung.recipe:
        raise UsageError(
            f"{step.name} is fitted in closed form, or chooses its own strength on val, and there is no usual space "
            'for it: name a network, or give a --space such as model = ["hog+svm", "hog+forest"].'
        )
    pretrained = "layer_decay" in step.rung.recipe
    start = "fine_tuning" if pretrained else "from_scratch"
    own = learning.optimizer is None and step.name in ("scratch", "compact")
    usual = COMPACT_RATE if own else usual_rate(learning.optimizer or "adamw", start, BATCHES[start])
    below, above = AROUND
    parameters: list[Range | Choices] = [
        Range("learning_rate", float(f"{usual / below:.2g}"), float(f"{usual * above:.2g}"), log=True),
        Range("label_smoothing", 0.0, 0.3),
    ]
    if pretrained:
        parameters.append(Range("layer_decay", 0.5, 1.0))
    space = Space(tuple(parameters)).without(given_in(learning))
    if not space.parameters:
        raise UsageError(
            f"{', '.join(space.names) or 'all of the usual space'} is given: name what to search in --space."
        )
    return space
