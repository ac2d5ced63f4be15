"""Which network is a student: the one that was named, or one of about a fifth of its teacher's size."""

from functools import cache
from pathlib import Path

import torch

from linnaea.errors import UsageError
from linnaea.models import Model
from linnaea.models.bodies import create_body, require_network, standard
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.models.network import Network
from linnaea.models.weights import read_weights

SHARE = 0.2  # of the teacher's weights
SLACK = 1.25  # times that, where a member of an ensemble is as near
STUDENTS = (  # known to learn well, the smallest first, with weights that may be used for anything
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilenetv3_small_075",
    "mobilenetv3_small_100",
    "mobilenetv2_100",
    "tf_efficientnet_lite0",
    "mobilenetv3_large_100",
    "resnet18",
    "resnet34",
)
BYTES = 4e-6  # 10^6 bytes of a number


def student_for(teacher: Model) -> "str | Network":
    """The largest of the known students within a fifth of a teacher; of an ensemble, a member that is small enough.

    Raises UsageError for a teacher that is too small for any.
    """
    limit = SHARE * teacher.megabytes
    if isinstance(teacher, Ensemble):
        members = [one for one in teacher.models if isinstance(one, Network) and one.megabytes <= SLACK * limit]
        if members:
            return max(members, key=lambda one: one.megabytes)
    fitting = [name for name in STUDENTS if body_megabytes(name) <= limit]
    if not fitting:
        prunable = ", or use --method prune" if isinstance(teacher, Network) else ""
        raise UsageError(
            f"the teacher takes {teacher.megabytes:.2f} MB, and no known student a fifth of that: name one with "
            f"--student{prunable}."
        )
    return fitting[-1]


def name_of(student: str) -> str:
    """The network that `--student` means: its own name, or that which a file of weights says."""
    return read_weights(Path(student)).network if Path(student).exists() else student


def require_smaller(student: str, teacher: Model) -> None:
    """Raise UsageError for an unknown network, and for one that is not smaller than its teacher."""
    name = name_of(student)
    require_network(name)
    own = body_megabytes(name)
    if own >= teacher.megabytes:
        raise UsageError(
            f"the student {name} takes {own:.1f} MB and its teacher {teacher.megabytes:.1f}: name a smaller network "
            "with --student, or leave it out for one of about a fifth."
        )


@cache
def body_megabytes(name: str) -> float:
    """The weights of a network without its classes, in 10^6 bytes, told without memory for them."""
    with torch.device("meta"):
        body = create_body(name, standard(name).size, {})
    return sum(one.numel() for one in body.parameters()) * BYTES
