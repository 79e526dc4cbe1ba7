"""
A future for a call that could not be packed.
"""

from __future__ import annotations

import traceback
from concurrent.futures.process import _RemoteTraceback

from webworker_executor.pool.future import WorkerFuture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.pool.pool import Pool


def fail_packing(pool: Pool, error: BaseException) -> WorkerFuture:
    """
    Return a future that has failed, with the text of the traceback as the stdlib gives it.

    Args:
        pool: Counts it, and starts a worker as for any call.
        error: What packing raised.

    Raises:
        RuntimeError: As ``Pool.open``.
    """
    pool.want_worker()
    with pool.lock:
        pool.promises.tally.n_unpackable += 1
    text = "".join(traceback.format_exception(error))
    error.__cause__ = _RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[arg-type]  # it is text, whatever typeshed says
    future = WorkerFuture()
    future._claim()
    future._finish(None, error.with_traceback(None))
    return future
