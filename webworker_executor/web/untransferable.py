"""
What may not be given up, whoever lists it: a port or a buffer that other code relies on.

Source: Node.js, ``markAsUntransferable``.
"""

from __future__ import annotations

import weakref

# By identity: a user's __eq__ and __hash__ have no say in this. Gone with the object.
_marked: dict[int, weakref.ref[object]] = {}


def mark_untransferable(item: object) -> None:
    """
    Have a transfer list that names an object refused with ``DataCloneError``, in this process.

    For what other code goes on to use: a port that a library shares, a view of its memory. To mark
    it again changes nothing, and there is no way back.

    Args:
        item: What must stay: a port, a socket, a file, a ``memoryview``...

    Raises:
        TypeError: Nothing can be noted of such an object: no weak reference to it can be made, as
            of a ``bytearray``. Mark and hand out a ``memoryview`` of it.

    Source: Node.js, ``markAsUntransferable``.
    """
    ident = id(item)
    try:
        _marked[ident] = weakref.ref(item, lambda _: _marked.pop(ident, None))
    except TypeError as error:
        raise TypeError(
            f"{type(item).__name__} objects cannot be marked: {error}; mark and hand out a "
            "memoryview of it, or keep it out of the lists"
        ) from None


def is_marked_as_untransferable(item: object) -> bool:
    """
    Whether an object was marked by ``mark_untransferable``.

    Args:
        item: Any object.

    Source: Node.js, ``isMarkedAsUntransferable``.
    """
    return id(item) in _marked
