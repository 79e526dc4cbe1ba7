"""
What one worker process has been told of callables, so that their calls need not bring them along.

Not for packing them: see ``wire.definition``.
"""

from __future__ import annotations

from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import DEFINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.link.local import Link
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.wire.definition import Definition


class Defined:
    """
    The definitions that a process has.

    Args:
        reactor: The I/O thread.

    Attributes:
        idents: Their numbers.
    """

    __slots__ = ("__weakref__", "_link", "_reactor", "idents")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._link: Link | None = None
        self.idents: set[int] = set()

    def tell(self, link: Link, definition: Definition) -> None:
        """Give a definition to the process's link, ahead of the calls that need it. Any thread."""
        link.post(encode(DEFINE, definition.ident, definition.payload, definition.buffers))
        self._link = link
        if definition.holders is not None:
            definition.holders.add(self)
        # Posted twice does no harm; noted before it was posted would.
        self.idents.add(definition.ident)

    def take_back(self, ident: int) -> None:
        """Have the process forget a definition, unless it is gone."""
        assert self._link is not None, "it has been told of that one"
        if self._link.is_closed:
            # As each is at the end of the interpreter, where the names below may be gone.
            return
        self._link.post(encode(DEFINE, ident))
        self.idents.discard(ident)
        # Not here: it may be a finalizer that calls, at any line of any thread.
        self._reactor.call_soon(self._link.flush)
