"""One label per image: of two classes, of more, or of a taxonomy."""

from linnaea.task.contract import TASKS, Task

TASKS.register("multiclass", title="Multiclass", meaning="One of three or more classes per image.", order=10)(
    Task("multiclass", metric="accuracy")
)
TASKS.register("binary", title="Binary", meaning="One of two classes per image.", order=20)(
    Task("binary", metric="accuracy")
)
TASKS.register(
    "hierarchical",
    title="Hierarchical",
    meaning="One of the classes per image, or a group of them, as a taxonomy has it.",
    order=40,
)(Task("hierarchical", metric="accuracy", hierarchical=True))
