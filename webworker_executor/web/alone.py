"""
One at a time: who comes while another is at it leaves the work to that one, and does not wait.

Not for work that must not be left: see ``threading.RLock``. The thing to know before a change: a
signal handler may come in at any line, for the same work, or raise there; so what decides are
single steps of C.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Alone:
    """Makes a call unless another is being made through it, by any thread or by this one."""

    __slots__ = ("_comers",)

    def __init__(self) -> None:
        self._comers: dict[object, None] = {}

    def do(self, call: Callable[[], object]) -> None:
        """
        Make a call, unless one is being made.

        Args:
            call: What it raises is raised here, and the next one may make its call.
        """
        comer = object()
        try:
            self._comers[comer] = None
            if tuple(self._comers)[0] is comer:  # noqa: RUF015  # an iterator is two steps
                call()
        finally:
            # One step of C, and the first one here: no signal handler can raise before it.
            self._comers.pop(comer, None)
