"""
Registered messages: whoever posted one hears when it has been taken.

Not for why a worker wants to know: see ``child.host_target``.

The thing to know before a change: a message is taken when nobody holds its frame any more. So it
does not matter by what way it goes, to a listener, to `receive`, or away with the inbox of somebody
who has lost interest; and no interruption between two steps can keep the receipt back. Only what
cannot be unpacked says so by itself, for the error holds the frame as long as somebody keeps it.
"""

from __future__ import annotations

from functools import partial

from webworker_executor.wire.frame import Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Receipts:
    """
    The receipts that are owed for registered messages.

    Attributes:
        are_early: Whether they are given as the messages come, because whoever would take these
            waits for those who sent them.
    """

    def __init__(self) -> None:
        # Each is taken out by a single step of C, so that it is given once.
        self._owed: dict[object, Callable[[], object]] = {}
        self.are_early = False

    def owe(
        self,
        frame: Frame,
        give: Callable[[], object],
        finalizer: Callable[[Callable[[], object]], Callable[[], object]],
    ) -> Frame:
        """
        Take in a registered message; on the thread that reads.

        Args:
            frame: The message.
            give: Gives the receipt. Called once, in any thread.
            finalizer: As `Reactor.finalizer`.

        Returns:
            The message, for an inbox; whoever lets go of it last gives the receipt.
        """
        key = object()
        self._owed[key] = give
        # Looked at after it was stored: `give_early` stores the flag and takes out then.
        if self.are_early:
            self.settle(key)
        return _Registered(frame, partial(self.settle, key), finalizer)

    def settle(self, key: object) -> None:
        """Give a receipt, unless it was given; any thread."""
        give = self._owed.pop(key, None)
        if give is not None:
            give()

    def give_early(self) -> None:
        """Give all receipts, and from now on each when its message comes."""
        self.are_early = True
        for key in tuple(self._owed):
            self.settle(key)


class _Registered(Frame):
    __slots__ = ("__del__", "let_go")

    def __init__(
        self,
        frame: Frame,
        settle: Callable[[], object],
        finalizer: Callable[[Callable[[], object]], Callable[[], object]],
    ) -> None:
        super().__init__(frame.kind, frame.ident, frame.payload, frame.buffers, frame.fds)
        # Have the receipt given now.
        self.let_go = settle
        self.__del__ = finalizer(settle)
