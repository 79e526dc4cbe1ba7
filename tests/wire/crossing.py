"""
Take exceptions across, as the tests of failures do all the time.

Not tests.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from webworker_executor.wire.failure import pack_failure, unpack_failure

if TYPE_CHECKING:
    from types import TracebackType


def raised(exc: BaseException, cause: BaseException | None = None) -> Any:
    """
    Return an exception that was really raised.
    """
    try:
        raise exc from cause
    except BaseException as error:
        return error


def cross(exc: BaseException, skip: int = 0) -> Any:
    """
    Raise an exception if it was not yet, pack and unpack it.
    """
    if exc.__traceback__ is None:
        try:
            raise exc
        except BaseException:
            pass
    return unpack_failure(pack_failure(exc, skip))


def names(trace: TracebackType | None) -> list[str]:
    """
    Name the functions of a traceback, the outermost first.
    """
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(trace)]
