"""The processes that were started together: how they meet, what the first has the others do, and how they part."""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from linnaea.errors import LinnaeaError
from linnaea.learning.memory import ShortageError
from linnaea.learning.processes.liveness import Watch
from linnaea.learning.processes.passing import Passed, unpacked
from linnaea.runtime.ranks import ALONE, PATIENCE, Place, patience_in

FURTHER = ". This is typically caused"  # by gloo's advice on what to look at
PARTING = 2.0  # seconds
MEETING = 300.0  # seconds that machines may be apart in starting
UNLIMITED = timedelta(days=30)  # collectives wait: whether others live is watched apart from them
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
logger = logging.getLogger("linnaea")


class LostError(LinnaeaError):
    """The processes cannot go on together."""

    exit_code = 1


class Party:
    """One of several processes: its `place`, and whether it is `inside` a function that all of them are in."""

    def __init__(self, place: Place, watch: Watch, strategy: str) -> None:
        self.place, self.watch, self.strategy, self.inside = place, watch, strategy, False
        self.passed = Passed(Path(tempfile.gettempdir()) / f"linnaea-shared-{os.getpid()}")

    def call(self, content: bytes | None) -> bytes | None:
        """What the first process has all of them do; None that they part."""
        box = [content]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def all_ready(self) -> None:
        """Wait until all have come here."""
        distributed.all_gather_object([None] * self.place.ranks, None)

    def serve(self) -> None:
        """Do what the first process calls for, until they part."""
        logger.setLevel(logging.CRITICAL)  # the first one tells
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, signal.SIG_DFL
            )  # there is nothing to put in order, and what waits must not hold it up
        while (content := self.call(None)) is not None:
            name, arguments, options = unpacked(content)
            self.all_ready()
            module, _, function = name.partition(":")
            self.inside = True
            try:
                getattr(import_module(module), function).__wrapped__(*arguments, **options)
            except ShortageError:  # the others may have more memory
                raise
            except LinnaeaError:
                pass  # it was raised by the first one as well, who says so
            finally:
                self.inside = False

    @property
    def on_one_machine(self) -> bool:
        """Whether all processes share a file system for certain."""
        return self.place.local_ranks == self.place.ranks


_PARTY: list[Party] = []  # the one this process is in


def shared() -> Place:
    """Its place where this process does the same as others, each on its own part; alone everywhere else."""
    return _PARTY[0].place if _PARTY and _PARTY[0].inside else ALONE


def current() -> Party | None:
    """The processes that this one was started with; None where it is the only one."""
    return _PARTY[0] if _PARTY else None


def all_of_them() -> int:
    """How many processes will work together when the first one calls; 1 where it is the only one."""
    return _PARTY[0].place.ranks if _PARTY else 1


def agreed(decide: Callable[[], Result]) -> Result:
    """What the first of several processes decides, which all of them then do; `decide` is called there alone."""
    if not shared().several:
        return decide()
    box: list[Any] = [decide() if shared().first else None]
    distributed.broadcast_object_list(box, src=0)
    result: Result = box[0]
    return result


@contextmanager
def first_before_others() -> Iterator[None]:
    """Meanwhile the first of several processes works alone; after it the others do, all at once."""
    party = _PARTY[0] if shared().several else None
    if party is not None and not party.place.first:
        party.all_ready()
    try:
        yield
    finally:
        if party is not None and party.place.first:
            party.all_ready()


def strategy() -> str:
    """How the processes share a network: "ddp" or "fsdp"."""
    return _PARTY[0].strategy if _PARTY else "ddp"


def together(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A decorator: when the first of several processes calls the function, all others do, with the same arguments.

    Arguments are passed as they are pickled. A LinnaeaError must be raised by all alike, which lets them go on;
    whatever else is raised ends all of them.
    """
    name = f"{function.__module__}:{function.__qualname__}"

    @wraps(function)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if not _PARTY or _PARTY[0].inside:
            return function(*arguments, **options)
        party = _PARTY[0]
        content = party.passed.packed(name, arguments, options)
        try:
            party.call(content)
            party.all_ready()
            party.passed.remove()
            party.inside = True
            return function(*arguments, **options)
        except LinnaeaError as error:
            if isinstance(error, ShortageError):  # others may have more memory
                raise _lost(party, error) from error
            raise
        except Exception as error:
            raise _lost(party, error) from error
        finally:
            party.inside = False

    return call


def _lost(party: Party, error: Exception) -> LostError:
    """What ended the common work: what another process wrote down or, where none did, what this one met."""
    if isinstance(error, LostError):
        return error
    own = f"{party.place} met {type(error).__name__}: {str(error).split(FURTHER)[0]}"
    lost = party.watch.lost()  # which takes a while, in which another, of which this is a consequence, may say why
    party.watch.give_up(lost or own)
    return LostError(
        f"the {party.place.ranks} processes ended, because {party.watch.reason() or own}. The run goes on with "
        "the same command and --resume."
    )


@contextmanager
def joined(place: Place, device: str, way: str) -> Iterator[Party | None]:
    """Meet the other processes; None where there are none. All part at the end, however it comes.

    `device` is what all of them compute on, `way` "ddp" or "fsdp". Raises LostError where not all of them come.
    """
    if not place.several:
        yield None
        return
    party = _met(place, device, way)
    _PARTY.append(party)
    try:
        yield party
        if place.first:
            party.call(None)
        else:
            party.watch.stop()  # before the first, which may keep the store, ends
        party.all_ready()
    except Exception as error:
        raise _parted(party, error) from error
    except BaseException:
        party.watch.give_up("")
        raise
    finally:
        party.watch.stop()
        _PARTY.remove(party)
        party.passed.remove()
    distributed.destroy_process_group()


def _met(place: Place, device: str, way: str) -> Party:
    patience = patience_in()
    meeting = timedelta(seconds=patience if PATIENCE in os.environ else MEETING)
    os.environ["LOCAL_RANK"] = str(place.local_rank)
    try:
        store, _, _ = next(rendezvous("env://", timeout=meeting))
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        if device == "cuda":
            torch.cuda.set_device(place.local_rank)
        distributed.init_process_group(
            backend,
            store=PrefixStore("linnaea", store),
            rank=place.rank,
            world_size=place.ranks,
            timeout=UNLIMITED,
        )
    except (RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0][:300]
        raise LostError(
            f"{place} did not find the others at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} within "
            f"{meeting.total_seconds():.0f} s ({said}): start all {place.ranks} of them."
        ) from None
    return Party(place, Watch(store.clone(), place, patience), way)


def _parted(party: Party, error: Exception) -> Exception:
    """Have the others end, and say what is to be said of it."""
    if isinstance(error, LinnaeaError) and party.place.first:
        party.watch.give_up("")
        time.sleep(PARTING)  # where it keeps the store, the others must still read it
        return error
    return _lost(party, error)
