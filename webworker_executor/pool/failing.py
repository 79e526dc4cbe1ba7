"""
A future for a call that could not be packed.
"""

from __future__ import annotations

import traceback
from concurrent.futures.process import _RemoteTraceback

from webworker_executor.pool.future import WorkerFuture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.pool.pool import Pool


_OWN = __name__.partition(".")[0] + "."


def fail_packing(
    pool: Pool, error: BaseException, fn: Callable[..., Any], args: object, kwargs: object
) -> WorkerFuture[Any]:
    """
    Return a future that has failed, with the text of the traceback as the stdlib gives it.

    A note tells which argument it was. The error itself stays as the stdlib's is.

    Args:
        pool: Counts it, and starts a worker as for any call.
        error: What packing raised.
        fn: What was to be called.
        args: With these.
        kwargs: And these.

    Raises:
        RuntimeError: As ``Pool.open``.
    """
    pool.want_worker()
    with pool.lock:
        pool.promises.tally.n_unpackable += 1
    # A function of ours stands around the user's, and so do our arguments around its own.
    if not (getattr(fn, "__module__", None) or "").startswith(_OWN):
        from webworker_executor.web.culprit import point_out

        point_out(error, {"args": args, "kwargs": kwargs, "fn": fn})
    text = "".join(traceback.format_exception(error))
    error.__cause__ = _RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[arg-type]  # it is text, whatever typeshed says
    future: WorkerFuture[Any] = WorkerFuture()
    future._claim()
    future._finish(None, error.with_traceback(None))
    return future
