"""
How a worker's process can end, as errors that say what happened, why, and what to do.
"""

from __future__ import annotations

from webworker_executor.errors import (
    HandshakeError,
    HandshakeTimeoutError,
    MaxDurationError,
    WorkerCrashedError,
    WorkerStartError,
)
from webworker_executor.launch.exit_status import how_it_ended, signal_name


def not_started(title: str, cause: BaseException) -> WorkerStartError:
    """There is no process."""
    error = WorkerStartError(f"{title} could not be started: {cause}")
    error.errno = cause.errno if isinstance(cause, OSError) else None
    error.__cause__ = cause
    return error


def unwanted(title: str) -> WorkerStartError:
    """It was stopped too soon, as somebody wanted."""
    return WorkerStartError(f"{title} was terminated before it was ready.")


def unready(title: str, pid: int | None, exitcode: int | None, why: str = "") -> HandshakeError:
    """It ended and had never said that it is a worker."""
    reason = f"It was killed because {why}." if why else "See its standard error for the reason."
    return HandshakeError(
        f"{title} (pid {pid}) {how_it_ended(exitcode)} before it was ready. {reason}",
        "exited",
        exitcode,
    )


def late(title: str, seconds: float) -> HandshakeTimeoutError:
    """It has said nothing in time."""
    return HandshakeTimeoutError(
        f"{title} was not ready within {seconds:g} s and is stopped. A program must say that it is "
        "a worker; a slow one needs a longer handshake_timeout.",
        "timeout",
    )


def disowned(title: str) -> RuntimeError:
    """Whatever becomes of it, this process will not hear."""
    return RuntimeError(
        f"{title} belongs to the process that this one was forked from, which alone hears of it. "
        "Make a worker of its own here."
    )


def ran_too_long(title: str, seconds: float) -> MaxDurationError:
    """It has used its time."""
    return MaxDurationError(
        f"{title} ran for the {seconds:g} s that max_duration allows and is stopped."
    )


def closed_channel(
    title: str, pid: int | None, *, was_ready: bool
) -> HandshakeError | WorkerCrashedError:
    """Nothing can be said to it any more."""
    text = f"{title} (pid {pid}) closed its channel and ran on; it is stopped."
    if was_ready:
        return WorkerCrashedError(text, pid=pid)
    return HandshakeError(f"{text} It was not ready yet.", "closed")


def crashed(
    title: str, pid: int | None, exitcode: int | None, stack: str | None = None
) -> WorkerCrashedError:
    """Nobody asked for its end."""
    error = WorkerCrashedError(
        f"{title} (pid {pid}) {how_it_ended(exitcode)}. Whatever it held is gone; its messages up "
        "to then have been delivered.",
        pid=pid,
        exitcode=exitcode,
        signal_name=signal_name(exitcode),
        stack=stack,
    )
    if stack:
        error.add_note(f"The worker's last words:\n{stack}")
    return error
