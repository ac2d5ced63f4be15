"""A thread that lets the disk have what was written, a second later at most, while the server goes on."""

import os
import threading
from collections.abc import Callable

SECOND = 1.0


class Syncing:
    """Waits for the disk whenever that is wanted, about once in a second; `handle` gives a copy of the file's."""

    def __init__(self, handle: Callable[[], int]) -> None:
        self._handle = handle
        self._failure: OSError | None = None
        self._wanted, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="linnaea-log-sync", daemon=True)
        self._thread.start()

    def wanted(self) -> None:
        """Something was written."""
        self._wanted.set()

    def raise_failure(self) -> None:
        """Raise the OSError by which the disk has refused since this was last asked for."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Wait for no more."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wanted.wait()
            self._wanted.clear()
            if self._stopped.wait(SECOND):  # what is written meanwhile goes along
                return
            try:
                handle = self._handle()
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            except OSError as error:
                self._failure = error
