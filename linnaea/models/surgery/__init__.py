"""What is done to a body after it was made: it is narrowed, loses blocks, or layers become thin ones.

Each operation is told in JSON types and done again, in the same order, when a network is loaded: a compressed network
is kept as its name, what was done to it, and its tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from linnaea.errors import UsageError, suggest
from linnaea.models.surgery.factoring import factor
from linnaea.models.surgery.narrowing import narrow
from linnaea.models.surgery.skipping import skip

Operation = Mapping[str, Any]
OPERATIONS: Mapping[str, Callable[..., None]] = {"narrowed": narrow, "factored": factor, "skipped": skip}
__all__ = ["OPERATIONS", "Operation", "operate"]


def operate(body: nn.Module, operations: Sequence[Operation]) -> None:
    """Do these operations to a body, in place and in turn; each is a `kind` and its arguments.

    New tensors are to be filled afterwards. Raises UsageError for what is no operation, or does not fit the body.
    """
    for operation in operations:
        kind = operation.get("kind") if isinstance(operation, Mapping) else None
        if not isinstance(kind, str) or kind not in OPERATIONS:
            raise UsageError(
                f"what was done to the network is {kind!r}; expected one of {', '.join(OPERATIONS)}."
                f"{suggest(str(kind), OPERATIONS)}"
            )
        arguments = {name: value for name, value in operation.items() if name != "kind"}
        try:
            OPERATIONS[kind](body, **arguments)
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"the network cannot be {kind} as it is told: {error}.") from None
