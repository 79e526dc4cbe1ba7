"""
The number of a proxy's request, in front of the request and of its answer.

Not for what stands behind it: see ``proxy``. The thing to know before a change: unpacking runs from
front to back, and the number is noted as it is passed. So it is known of a message that fails to
unpack, too; to guess it from the order of the calls would be wrong as soon as two threads call:
they may be noted in one order and posted in the other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_passed = threading.local()


class RequestIdent:
    """
    The first part of a message, whose number is read by ``take_ident`` where it is unpacked.

    Args:
        number: Of the request.
    """

    __slots__ = ("_number",)

    def __init__(self, number: int | None) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Callable[[int | None], RequestIdent], tuple[int | None]]:
        return _pass, (self._number,)


def _pass(number: int | None) -> RequestIdent:
    _passed.number = number
    return RequestIdent(number)


def take_ident() -> int | None:
    """
    Return the number of the message that this thread has unpacked last, wholly or in part.

    Returns:
        ``None`` if it failed before its number. Asked again, ``None`` as well: of the next message
        it would be the wrong one.
    """
    number: int | None = _passed.__dict__.pop("number", None)
    return number
