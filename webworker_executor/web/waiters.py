"""
Those who wait for news, each with a call that wakes it.

Not for what the news is: whoever is woken looks again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Waiters(dict["object", "Callable[[], object]"]):
    """
    By whatever stands for who waits, the call that wakes it. Any thread may add and remove.

    Whoever waits adds itself first and looks then; whoever has news notes it first and wakes then;
    so one of them sees the other.
    """

    __slots__ = ()

    def wake(self) -> None:
        """Take all who wait, and let each look again."""
        while True:
            try:
                # One at a time, by a single function of C: somebody may come or go meanwhile.
                _, wake = self.popitem()
            except KeyError:
                return
            wake()
