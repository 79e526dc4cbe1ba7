"""
Events: what a handler is called with. Imported by workers too, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MessageEvent:
    """
    A message that arrived.

    Attributes:
        type: Always ``"message"``.
        data: The receiver's own copy of what was posted.
        source: The worker that posted it, where the host receives; ``None`` inside a worker.

    Source: HTML, ``MessageEvent``.
    """

    __slots__ = ("data", "source")
    type = "message"

    def __init__(self, data: Any, source: Any = None) -> None:
        self.data = data
        self.source = source

    def __repr__(self) -> str:
        return f"<MessageEvent data={self.data!r:.60}>"
