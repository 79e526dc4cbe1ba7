"""
Those who wait for news, each with a call that wakes it.

Not for what the news is: whoever is woken looks again.
"""

from __future__ import annotations

from collections import deque
from operator import call, itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BY_VALUE = itemgetter(1)


class Waiters(dict["object", "Callable[[], object]"]):
    """
    By whatever stands for who waits, the call that wakes it. Any thread may add and remove.

    Whoever waits adds itself first and looks then; whoever has news notes it first and wakes then;
    so one of them sees the other.
    """

    __slots__ = ()

    def wake(self) -> None:
        """Take all who wait, and let each look again."""
        try:
            # Within C, and one at a time: whoever was taken out is woken, though a signal handler
            # raises, and somebody may come or go meanwhile.
            deque(map(call, map(_BY_VALUE, iter(self.popitem, None))), maxlen=0)
        except KeyError:
            return
        except BaseException:
            # The call of a loop is one of Python. The others are not to wait for the next news.
            self.wake()
            raise
