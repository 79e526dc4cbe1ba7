"""
Whom the event of an abort is still to come to.

Not for what comes before the event: see ``algorithms``. The thing to know before a change: a signal
handler may raise at any line, and the next abort tells those who are left, and nobody twice.
"""

from __future__ import annotations

from webworker_executor.web.alone import Alone
from webworker_executor.web.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webworker_executor.web.listener import Listener


class Untold:
    """
    The listeners of an abort, each of whom is told once.

    Args:
        listeners: Those who listen now; who comes later is not told.

    Attributes:
        event: What they are called with.
    """

    __slots__ = ("_alone", "_current", "_left", "event")

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.event = Event("abort")
        # And of each, whether it may have left its list because it was about to be told.
        self._left = dict.fromkeys(listeners, False)
        self._current: Listener | None = None
        self._alone = Alone()

    def __bool__(self) -> bool:
        return bool(self._left)

    def tell(self, dispatch: Callable[[Event], object]) -> None:
        """
        Tell those who are left, unless that is being done.

        Args:
            dispatch: Calls ``listeners`` with the event.
        """
        self._strike_out()
        if self._left:
            self._alone.do(lambda: dispatch(self.event))

    def listeners(self, may_call: Callable[[Listener], bool]) -> Iterator[Listener]:
        """
        Give those who are left, in their order.

        Args:
            may_call: Whether one is to be called. If only once, it leaves its list by this.
        """
        event = self.event
        for listener, has_left in tuple(self._left.items()):
            if event._is_stopped:
                self._left.clear()
                return
            self._left[listener] = listener.is_once and not listener.is_removed
            if may_call(listener) or has_left:
                # `Listener.call` takes the latter away in the breath in which it calls.
                self._current = event._frame = listener
                yield listener
                self._strike_out()
            else:
                self._left.pop(listener, None)

    def _strike_out(self) -> None:
        if self._current is not None and self.event._frame is None:
            self._left.pop(self._current, None)
            self._current = None
