"""
A future for a call that could not be packed.
"""

from __future__ import annotations

import traceback
from concurrent.futures.process import _RemoteTraceback

from webworker_executor.pool.future import WorkerFuture


def fail_packing(error: BaseException) -> WorkerFuture:
    """
    Return a future that has failed, with the text of the traceback as the stdlib gives it.

    Args:
        error: What packing raised.
    """
    text = "".join(traceback.format_exception(error))
    error.__cause__ = _RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[arg-type]  # it is text, whatever typeshed says
    future = WorkerFuture()
    future._claim()
    future._finish(None, error.with_traceback(None))
    return future
