"""Signs of life that processes give each other, so that none waits for one that is gone.

Whatever a process waits for, a thread of its own looks after the others: all write down in a store that they are alive,
and when one has not for too long, or has written down why it gave up, the process ends.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from torch._C._distributed_c10d import Store

from linnaea.runtime.ranks import Place
from linnaea.runtime.saying import flush, say

GONE = "gone"
TOLD = "the first process told why"
EXIT = 1
GRACE = 5.0  # seconds in which a process that is told to end may do so by itself
OFTEN = 1.0  # seconds between two signs


class Watch:
    """Gives signs of life and watches those of the others, until `stop`; `end` is called with what was seen."""

    def __init__(self, store: Store, place: Place, patience: float, end: Callable[[str], None] | None = None) -> None:
        self.store, self.place, self.patience = store, place, patience
        self.end = end or self._end
        self.over, self.pause = threading.Event(), min(OFTEN, patience / 5)
        self.thread = threading.Thread(target=self._watch, daemon=True, name="signs of life")
        self.thread.start()

    def stop(self) -> None:
        """Give no more signs, and watch no more."""
        self.over.set()
        self.thread.join(GRACE)

    def give_up(self, reason: str) -> None:
        """Tell the others that this process ends, and why; "" where people were told. The first reason stays."""
        with suppress(RuntimeError):  # whoever keeps the store may be the one that is gone
            self.store.compare_set(GONE, "", reason or TOLD)

    def reason(self) -> str:
        """Why a process gave up; "" where none has."""
        try:
            return self.store.get(GONE).decode() if self.store.check([GONE]) else ""
        except RuntimeError as error:
            return f"the process that keeps count of the others is gone ({str(error).splitlines()[0][:200]})"

    def lost(self) -> str:
        """Which of the others gives no sign of life for a while, in words; "" where all do or one has said why."""
        others = [rank for rank in range(self.place.ranks) if rank != self.place.rank]
        try:
            before = [self._sign(rank) for rank in others]
            time.sleep(2.5 * self.pause)
            silent = [rank for rank, sign in zip(others, before, strict=True) if self._sign(rank) == sign]
        except RuntimeError:
            return self.reason()
        return "" if self.reason() or not silent else self._gone(silent[0], 2.5 * self.pause)

    def _watch(self) -> None:
        seen = {rank: (b"", time.monotonic()) for rank in range(self.place.ranks) if rank != self.place.rank}
        count = 0
        while not self.over.wait(self.pause):
            count += 1
            try:
                self.store.set(f"alive/{self.place.rank}", str(count))
                lost = self.reason() or self._silent(seen)
            except RuntimeError:
                lost = self.reason()
            if lost and not self.over.is_set():
                self.end(lost)
                return

    def _silent(self, seen: dict[int, tuple[bytes, float]]) -> str:
        """Which of the others has been silent for too long, in words; "" where none has."""
        now = time.monotonic()
        for rank, (last, when) in seen.items():
            sign = self._sign(rank)
            if sign != last:
                seen[rank] = (sign, now)
            elif now - when > self.patience:
                return self._gone(rank, self.patience)
        return ""

    def _sign(self, rank: int) -> bytes:
        key = f"alive/{rank}"
        return self.store.get(key) if self.store.check([key]) else b""

    def _gone(self, rank: int, seconds: float) -> str:
        return (
            f"process {rank} of {self.place.ranks} has given no sign of life for {seconds:.0f} s: it was killed, or "
            "its machine is gone"
        )

    def _end(self, reason: str) -> None:
        """End this process, wherever it waits, unless it ends by itself."""
        if reason == TOLD:
            os._exit(EXIT)
        if self.over.wait(GRACE):
            return
        say(
            f"Error: {self.place} ends, because {reason}. The run goes on with the same command and --resume.", err=True
        )
        flush()
        os._exit(EXIT)
