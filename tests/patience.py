"""
Waiting for what tells nobody: the one place where tests look again and again.

Not for anything that has an event, a future or a message to wait for.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


# How long it is until the next look.
PAUSE = 0.01


def wait_until(
    is_so: Callable[[], object], seconds: float = 20.0, tell: Callable[[], object] = str
) -> None:
    """
    Look until something is so.

    The looks are counted, and no clock is read: a machine that stands still, or gives others its
    time, makes nobody late.

    Args:
        is_so: Asked every hundredth of a second.
        seconds: How long at most, on a machine that has nothing else to do.
        tell: Says how it is instead.

    Raises:
        AssertionError: It has not come to that.
    """
    pause = threading.Event()
    for _ in range(round(seconds / PAUSE)):
        if is_so():
            return
        pause.wait(PAUSE)
    assert is_so(), f"it has not come to that within {seconds:g} seconds {tell()}"


class Stopwatch:
    """
    Says how long something took, for promises such as "within a second".

    As in :func:`wait_until`, what is counted are the pauses of a thread: all of a standstill of the
    machine is one. To be used in a ``with`` statement, around programs that run apart.
    """

    def __init__(self) -> None:
        self._ticks: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over.wait(PAUSE):
            self._ticks.append(monotonic())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def since(self, moment: float) -> float:
        """Return the seconds since then: a time of ``monotonic``, which all processes share."""
        return PAUSE * sum(tick > moment for tick in self._ticks)
