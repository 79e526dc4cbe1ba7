"""
What the variable ``WEBWORKER_DEBUG`` asks for: lines on standard error, whatever the program logs.

``lifetime`` has the package's own loggers say all that they can say, and ``frames`` has each frame
named that goes between this program and one of its workers. Several are separated by commas.
Imported only where the variable is set, and looked at once, when the first link is imported.

Source: Node.js, ``NODE_DEBUG``; node-webworkers, which prints messages by it.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

from webworker_executor.wire.frame import HEADER
from webworker_executor.wire.kinds import NAMES

if TYPE_CHECKING:
    from webworker_executor.link.local import Link
    from webworker_executor.wire.frame import Frame

WORDS = ("frames", "lifetime")
_frames = logging.getLogger("webworker_executor.link.frames")


def begin(value: str) -> bool:
    """
    Do what the variable asks for.

    Args:
        value: Its value.

    Returns:
        Whether frames are to be told.
    """
    asked = {word.strip() for word in value.split(",") if word.strip()}
    unknown = sorted(asked - set(WORDS))
    if unknown:
        warnings.warn(
            f"WEBWORKER_DEBUG knows {' and '.join(WORDS)}, and not {', '.join(unknown)}",
            RuntimeWarning,
            stacklevel=2,
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(name)s: %(message)s"))
    package = logging.getLogger("webworker_executor")
    if "lifetime" in asked:
        package.setLevel(logging.DEBUG)
        package.addHandler(handler)
    elif "frames" in asked:
        _frames.setLevel(logging.DEBUG)
        _frames.addHandler(handler)
    return "frames" in asked


def tell_frames(link: Link) -> None:
    """Have a new link tell of each frame that it is given or has read."""
    append, on_frames = link.append, link._on_frames

    def told_append(entry: Any) -> None:
        nbytes, parts, fds = entry
        _, kind, *_, ident = HEADER.unpack_from(b"".join(parts[:1]))
        _tell(link, "sends", kind, ident, nbytes, len(fds))
        append(entry)

    def told_on_frames(frames: list[Frame]) -> None:
        for frame in frames:
            nbytes = len(frame.payload) + sum(memoryview(part).nbytes for part in frame.buffers)
            _tell(link, "has read", frame.kind, frame.ident, nbytes, len(frame.fds))
        on_frames(frames)

    link.append, link._on_frames = told_append, told_on_frames
    # A thread that reads in the reactor's place would pass it by.
    link.leading.begin = lambda: None  # type: ignore[method-assign]  # of this one


def _tell(link: Link, does: str, kind: int, ident: int, nbytes: int, n_fds: int) -> None:
    name = NAMES.get(kind, hex(kind))
    fds = f", {n_fds} descriptors" if n_fds else ""
    _frames.debug("%r %s %s #%d, %d bytes%s", link, does, name, ident, nbytes, fds)
