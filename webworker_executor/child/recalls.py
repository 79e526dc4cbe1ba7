"""
Recalls of everything: how a worker that has heard nothing comes to terms with a host that went on.

The host has counted the recall in the ledger, and has left a mark on either link. What the worker
comes to before the mark among its tasks it passes over: the host has had it back since. A worker
imports this module at its start.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.wire.frame import IDENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Recalls:
    """
    The recalls of everything that a worker has come to.

    Args:
        answer: Tells the host, with the numbers of tasks that were passed over; any thread.
        forget: Drops what came for a task by its number; any thread.

    Attributes:
        count_byte: How often it was done, as the ledger has it where none is under way.
    """

    __slots__ = (
        "_answer",
        "_forget",
        "_n_answered",
        "_n_aside",
        "_n_marks",
        "_passed",
        "count_byte",
    )

    def __init__(self, answer: Callable[[bytes], object], forget: Callable[[int], object]) -> None:
        self._answer = answer
        self._forget = forget
        self._n_marks = self._n_aside = self._n_answered = self.count_byte = 0
        self._passed: deque[int] = deque()

    def pass_over(self, ident: int) -> None:
        """Leave a task to the host; on the main thread."""
        self._passed.append(ident)

    def come_to_mark(self) -> None:
        """Come to the mark among the tasks: those behind it are the worker's. The main thread."""
        self._n_marks += 1
        self.count_byte = self._n_marks & 0xFF
        self._tell()

    def come_to_mark_aside(self) -> None:
        """Come to the mark on the control link; on its thread."""
        self._n_aside += 1
        self._tell()

    def _tell(self) -> None:
        # By who comes second, main or control thread: a task that was passed over may be sent here
        # again after the answer, and shall not find what was on its way to it before. If both come
        # at once, both may answer, and the host hears twice that it is heard.
        n_whole = min(self._n_marks, self._n_aside)
        if self._n_answered >= n_whole:
            return
        self._n_answered = n_whole
        idents = []
        while self._passed:
            idents.append(self._passed.popleft())
            self._forget(idents[-1])
        self._answer(b"".join(map(IDENT.pack, idents)))
