"""
Calls of one kind, made one after the other and in order, though several threads make calls.

Not for where they are made: that is said when one is made. The events thread hands its queue on
while a call takes long, and whoever must not be entered twice has an object of this. Nobody waits
for a turn: whoever comes while a call is made leaves the next one to that thread, which asks for a
thread anew when it is done, so that other calls have their turn between.
"""

from __future__ import annotations

from collections import deque
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[[], object]
    Place = Callable[[Call], object]


class InTurn:
    """Makes calls, none of them while another is being made."""

    __slots__ = ("_calls", "_claims")

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._claims: dict[str, object] = {}

    def call(self, call: Call, place: Place) -> None:
        """
        Make a call after those that wait; any thread.

        Args:
            call: What it raises is raised where it is made, and keeps the next one from nothing.
            place: Makes a call, sooner or later and in whichever thread; or has it made.
        """
        # First of all: what a signal handler leaves behind here is made with the next one.
        self._calls.append(call)
        place(partial(self._make_one, place))

    def _make_one(self, place: Place) -> None:
        claimant = object()
        calls, claims = self._calls, self._claims
        try:
            # If not, another thread makes a call. It looks here again.
            if claims.setdefault("turn", claimant) is claimant and calls:
                # No call stands between these steps: a signal handler that raised there would take
                # one along.
                call = calls[0]
                del calls[0]
                call()
        finally:
            # Nor between these: the turn would be nobody's for ever.
            if "turn" in claims and claims["turn"] is claimant:
                del claims["turn"]
                if calls:
                    place(partial(self._make_one, place))
