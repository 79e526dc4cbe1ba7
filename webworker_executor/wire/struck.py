"""
Tell what a signal handler has raised from what it has struck.

Not for what has no frame, as the handler that Python has for Ctrl-C.
"""

from __future__ import annotations

from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_TAKES_MORE = 0x04  # CO_VARARGS


def is_a_handlers(error: BaseException) -> bool:
    """
    Whether an error comes from a signal handler, by its traceback.

    Args:
        error: As caught by what may have been struck.

    Source: Python, ``signal``: a handler is given the frame that it has interrupted. That is its
    caller's, which nobody else is given.
    """
    return any(_has_its_callers(frame, caller) for caller, frame in pairwise(frames_of(error)))


def frames_of(error: BaseException) -> list[FrameType]:
    """Return the frames of a traceback, from the one that has caught the error."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames


def _has_its_callers(frame: FrameType, caller: FrameType) -> bool:
    code, values = frame.f_code, frame.f_locals
    n_named = code.co_argcount
    given = [values.get(name) for name in code.co_varnames[:n_named]]
    if code.co_flags & _TAKES_MORE:
        given += values.get(code.co_varnames[n_named + code.co_kwonlyargcount], ())
    # Not by `==`, which is code of a user.
    return any(value is caller for value in given)
