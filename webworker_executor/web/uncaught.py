"""
Exceptions that nobody caught: how they are told, and who hears of them last.

A process that is itself a worker passes them on; the child installs how. Any other writes them to
standard error. A worker imports this module at its start, so it imports the least.
"""

from __future__ import annotations

import sys

from webworker_executor.web.event import ErrorEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Pass = Callable[[ErrorEvent, str], object]

    Report = Callable[[BaseException], object]

_OWN = __file__.rpartition("/")[0].rpartition("/")[0] + "/"

_pass: list[Pass] = []
_report: list[Report] = []


def install(pass_on: Pass | None, report: Report | None = None) -> None:
    """
    Say what becomes of errors that nobody handled.

    Args:
        pass_on: Called with what came from a worker of this process, as an event, and a few words
            on where it came from; where handlers run. ``None`` goes back to standard error.
        report: Called with what a listener of this process has raised. ``None`` goes back to the
            log.

    Source: HTML, "report an exception", for the global of whoever made the worker.
    """
    _pass[:] = [] if pass_on is None else [pass_on]
    _report[:] = [] if report is None else [report]


def report_here(error: BaseException) -> bool:
    """Report what a listener has raised, if this process has a way of its own; tell whether."""
    for report in _report:
        report(error)
        return True
    return False


def is_passed_on() -> bool:
    """Whether this process tells somebody else of an error that is not handled here."""
    return bool(_pass)


def tell_last(event: ErrorEvent, origin: str) -> None:
    """
    Tell of an error that was not handled where it came to.

    Args:
        event: The error.
        origin: Where it came from, for a reader.
    """
    for pass_on in _pass:
        pass_on(event, origin)
        return
    stream = sys.stderr
    if stream is not None:
        text = event.traceback or f"{event.message}\n"
        stream.write(f"Uncaught in {origin}:\n{text}")
        stream.flush()


def error_event(error: BaseException, skip: int = 0) -> ErrorEvent:
    """
    Make the event that tells of an exception.

    Args:
        error: The exception.
        skip: How many of the outermost frames of its traceback are the caller's own.

    Source: HTML, "extract error information".
    """
    import traceback

    trace = error.__traceback__
    while skip > 0 and trace is not None:
        trace, skip = trace.tb_next, skip - 1
    try:
        told = traceback.TracebackException(type(error), error, trace, compact=True)
        text = "".join(told.format())
        # They would come last, where the exception's own type and text are looked for.
        told.__notes__ = None
        message = list(told.format_exception_only())[-1].strip()
    except Exception:
        # traceback meets the user's classes unguarded.
        message, text = type(error).__qualname__, ""
    filename, lineno, colno = _place(error, trace)
    return ErrorEvent(message, filename, lineno, colno, error, text)


def own_frames(trace: TracebackType | None) -> int:
    """Count the outermost frames that are this package's, which nobody wants to see."""
    count = 0
    while trace is not None and _is_own(trace):
        count += 1
        trace = trace.tb_next
    return count


def _is_own(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_OWN)


def _place(error: BaseException, trace: TracebackType | None) -> tuple[str, int, int]:
    """Find out where a user's code went wrong: what it called of ours may have raised for it."""
    last = None
    is_ours = True
    while trace is not None:
        is_ours = _is_own(trace)
        if not is_ours:
            last = trace
        trace = trace.tb_next
    if is_ours and isinstance(error, SyntaxError):
        # Of a file that was run by its name.
        return error.filename or "", error.lineno or 0, error.offset or 0
    if last is None:
        return "", 0, 0
    code = last.tb_frame.f_code
    column = None
    # A list of one entry per instruction, of two bytes each.
    for index, position in enumerate(code.co_positions()):
        if index == last.tb_lasti // 2:
            column = position[2]
            break
    return code.co_filename, last.tb_lineno or 0, 0 if column is None else column + 1
