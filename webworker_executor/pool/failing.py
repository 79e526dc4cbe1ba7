"""
What a submit ends in that did not do well: a future that has failed, or an exception.

In the handler of that exception only. What the call was to take along is here again, unless the
pool has the call.
"""

from __future__ import annotations

import traceback
from _pickle import PicklingError
from contextlib import suppress

from webworker_executor.pool.future import WorkerFuture
from webworker_executor.pool.mishaps import is_the_programs
from webworker_executor.pool.stream import forsake
from webworker_executor.web.blame import point_out
from webworker_executor.wire.failure import remote_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.pool import Pool


_OWN = __name__.partition(".")[0] + "."


def failed(error: BaseException) -> WorkerFuture[Any]:
    """Return a future of a call that is not even submitted."""
    future: WorkerFuture[Any] = WorkerFuture()
    future._claim()
    future._finish(None, error)
    return future


def fail(
    pool: Pool,
    call: Call,
    error: BaseException,
    fn: Callable[..., Any],
    args: object,
    kwargs: object,
) -> WorkerFuture[Any]:
    """
    Return a failed future where a call could not be packed, or something refuses to be given up.

    It has the text of the traceback as the stdlib gives it. A note tells which argument it was. The
    error itself stays as the stdlib's is.

    Args:
        pool: Counts it, and starts a worker as for any call.
        call: What was to be submitted.
        error: What that has raised.
        fn: What was to be called.
        args: With these.
        kwargs: And these.

    Raises:
        BaseException: The error, if it is why the pool has not taken the call, or a signal
            handler's; what that raises while the arguments are packed is meant for the program,
            too, and Ctrl-C always is.
        RuntimeError: As ``Pool.open``.
    """
    call.settle()
    is_refused = not call.is_packed or isinstance(error, PicklingError)
    if not is_refused or isinstance(error, KeyboardInterrupt) or is_the_programs(error):
        # Perhaps the task runs: nobody but the caller's frame has its future.
        forsake(fn, call.future)
        raise
    pool.want_worker()
    with pool.lock:
        pool.promises.tally.n_unpackable += 1
    # A function of ours stands around the user's, and so do our arguments around its own.
    if not (getattr(fn, "__module__", None) or "").startswith(_OWN):
        point_out(error, {"args": args, "kwargs": kwargs, "fn": fn})
    text = "".join(traceback.format_exception(error))
    with suppress(Exception):  # a program that cannot even import: the error itself counts
        error.__cause__ = remote_text(text)
    future: WorkerFuture[Any] = WorkerFuture()
    future._claim()
    future._finish(None, error.with_traceback(None))
    return future
