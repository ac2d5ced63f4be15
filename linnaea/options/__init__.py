"""Options of the verbs, each written once: type, default, help, check, and how it is spelled on the command line.

They come in groups, frozen dataclasses that verbs take as arguments. In Python the options are keyword arguments of the
verb, on the command line flags, in a recipe the keys of a table named as the group.
"""

from linnaea.options.access import Access
from linnaea.options.audit_logging import AuditLogging
from linnaea.options.compressing import Compressing
from linnaea.options.decision import Decision, Redecision
from linnaea.options.explaining import Explaining
from linnaea.options.grouping import Grouping
from linnaea.options.learning import Learning
from linnaea.options.machine import Machine
from linnaea.options.monitoring import Monitoring
from linnaea.options.option import Keyword, Only, Option, Options
from linnaea.options.preparation import Preparation
from linnaea.options.repetition import Repetition
from linnaea.options.retraining import Retraining
from linnaea.options.searching import Searching
from linnaea.options.serving import Hosting, Serving
from linnaea.options.things import ImageFiles, Labelled, Loggers, RunFolder, UnknownImages

__all__ = [
    "Access",
    "AuditLogging",
    "Compressing",
    "Decision",
    "Explaining",
    "Grouping",
    "Hosting",
    "ImageFiles",
    "Keyword",
    "Labelled",
    "Learning",
    "Loggers",
    "Machine",
    "Monitoring",
    "Only",
    "Option",
    "Options",
    "Preparation",
    "Redecision",
    "Repetition",
    "Retraining",
    "RunFolder",
    "Searching",
    "Serving",
    "UnknownImages",
]
