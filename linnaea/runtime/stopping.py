"""Being stopped where nothing is half done: Ctrl-C and SIGTERM wait for the end of a step."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

PATIENCE = 20.0  # seconds that a signal waits, at most
Handler = Callable[[int, FrameType | None], Any]


class Stopping:
    """While it is entered, the first signal is only noted; `asked` says so, and `leave` then does what it would have.

    A second signal, or `PATIENCE` seconds, and it is done at once. Only signals that something answers in Python wait,
    and only in the main thread, where they arrive.
    """

    def __init__(self) -> None:
        self._before: dict[int, Handler] = {}
        self._arrived: int | None = None
        self._timer: threading.Timer | None = None

    @property
    def asked(self) -> bool:
        """Whether a signal has arrived."""
        return self._arrived is not None

    def leave(self) -> None:
        """Do what the signal does where nobody holds it back."""
        if self._arrived is not None:
            self._before[self._arrived](self._arrived, None)

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error is None:
            self.leave()  # it came after the last step

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._arrived is not None:
            self._before[number](number, frame)
            return
        self._arrived = number
        self._timer = threading.Timer(PATIENCE, _to_main_thread, (number,))
        self._timer.daemon = True
        self._timer.start()


def _to_main_thread(number: int) -> None:
    """Send a signal to where it is answered, which also ends a wait there."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
