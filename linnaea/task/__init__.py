"""A task says what scores mean: activation and the metric that fits; `linnaea.decisions` has its rules."""

from linnaea.task.contract import TASKS, Task
from linnaea.task.inferring import infer_task

__all__ = ["TASKS", "Task", "infer_task"]
