"""
Write an exception as `traceback.format_exception` would, at a tenth of its cost.

Not a formatter of its own: the text of every frame comes from `traceback` (see `stack`), and every
exception whose text needs more than one line is left to `traceback` altogether. The one thing to
know: the result must equal the standard library's on every Python version, and a property test
holds that. The exception is the chain of a falsy exception, which the standard library forgets.
"""

from __future__ import annotations

import sys

from webworker_executor.wire.anatomy import (
    cause_of,
    class_name,
    context_of,
    suppresses_context,
    trace_of,
)
from webworker_executor.wire.stack import known_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from webworker_executor.wire.stack import KnownFrame

# A message of 100 MB is legal, but no help.
MAX_TEXT_NCHARS = 1 << 20

_HEADER = "Traceback (most recent call last):\n"
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
_SHOWN_OF_REPEATED = 3
# Their text has carets, or suggestions ("Did you mean ...?").
_WORDY = (SyntaxError, NameError, AttributeError, ImportError)


def text_of(
    value: object, how: Callable[[object], str] = str, max_nchars: int = MAX_TEXT_NCHARS
) -> str:
    """
    Return `str()` or `repr()` of a value, or what tells that it failed.
    """
    try:
        # Not a subclass of str: that would bring the user's methods along.
        return _cut(str.__str__(how(value)), max_nchars)
    except BaseException:  # also SystemExit and RecursionError come out of the user's __str__
        return f"<{type(value).__name__}: {how.__name__}() failed>"


def why(error: BaseException) -> str:
    """
    Tell an error that happened on the way in one line, however odd its class.
    """
    return f"{type(error).__name__}: {text_of(error)}"


def failure_text(exc: BaseException, trace: TracebackType | None) -> str:
    """
    Tell an exception, its traceback and all that led to it.

    Args:
        exc: Whatever was raised.
        trace: Its traceback, perhaps without the frames of the worker's own loop.

    Returns:
        What `traceback.format_exception` would have given, at most about 1 MiB of characters of it.

    Raises:
        BaseException: Whatever the exception's own class raises when it is looked at.
    """
    pieces: list[str] = []
    seen: set[int] = set()
    current = exc
    while True:
        # A group prints its members' own chains in a box; that is not to be had one by one.
        if isinstance(current, BaseExceptionGroup):
            return _cut(_slowly(exc, trace, chain=True))
        seen.add(id(current))
        current_trace = trace if current is exc else trace_of(current)
        pieces.append(_piece(current, current_trace))
        cause, context = cause_of(current), context_of(current)
        if cause is not None and id(cause) not in seen:
            pieces.append(_CAUSE)
            current = cause
        elif context is None or suppresses_context(current) or id(context) in seen:
            return _cut("".join(reversed(pieces)))
        else:
            pieces.append(_CONTEXT)
            current = context


def _piece(exc: BaseException, trace: TracebackType | None) -> str:
    cls = type(exc)
    is_plain = (
        not issubclass(cls, _WORDY)
        and getattr(exc, "__notes__", None) is None
        and type(cls.__module__) is str
        and not hasattr(sys, "tracebacklimit")
    )
    if not is_plain:
        return _slowly(exc, trace, chain=False)
    try:
        text = str(exc)
    except BaseException:  # traceback catches as much, and says it in these words
        text = "<exception str() failed>"
    name = class_name(cls)
    last = f"{name}: {text}\n" if text else f"{name}\n"
    # What was never raised has no frames. `traceback` looks at all that led to it for one line.
    return last if trace is None else _HEADER + _frames_text(known_frames(trace)) + last


def _slowly(exc: BaseException, trace: TracebackType | None, *, chain: bool) -> str:
    import traceback

    return "".join(traceback.format_exception(type(exc), exc, trace, chain=chain))


def _frames_text(frames: list[KnownFrame]) -> str:
    lines: list[str] = []
    last: tuple[str, int | None, str] | None = None
    n_same = 0
    for known in frames:
        row = known.row
        place = (row[0], row[4] if row[5][0] is None else row[5][0], row[1])
        if place != last:
            lines.append(_repeated(n_same))
            last, n_same = place, 0
        n_same += 1
        if n_same <= _SHOWN_OF_REPEATED:
            lines.append(known.text)
    lines.append(_repeated(n_same))
    return "".join(lines)


def _repeated(n_same: int) -> str:
    n_more = n_same - _SHOWN_OF_REPEATED
    if n_more <= 0:
        return ""
    return f"  [Previous line repeated {n_more} more time{'s' if n_more > 1 else ''}]\n"


def _cut(text: str, max_nchars: int = MAX_TEXT_NCHARS) -> str:
    if len(text) <= max_nchars:
        return text
    half = max_nchars // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
