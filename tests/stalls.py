"""Time that the machine took from a test, so that bounds on the product can bear it."""

import threading
import time
from types import TracebackType

BEAT_S = 0.05
NOTICED_S = 0.1


class Stalls:
    """Counts the seconds for which this process should have run and did not.

    A thread asks to be woken, and notes how late it is. On a machine that rests that is
    nothing; where it stands still, or others have it, everybody is late by as much.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Stalls":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        before, is_over = time.monotonic(), False
        while not is_over:
            is_over = self._is_over.wait(BEAT_S)
            now = time.monotonic()
            late = now - before - BEAT_S
            self.seconds += late if late > NOTICED_S else 0
            before = now
