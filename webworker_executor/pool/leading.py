"""
A thread that waits for the result of the only task of a worker reads the answer itself.

Whoever waits may be called away at any time: because the task was aborted, its worker died or got
more to do, or somebody else waits for the same worker. It then sleeps like everybody else.
"""

from __future__ import annotations

import time

from webworker_executor.web.lazy import ENDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.pool.call import Call
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.pool.reports import Reports


def lead(call: Call, process: WorkerProcess, reports: Reports, timeout: float | None) -> None:
    """
    Wait for a call by reading for it.

    Args:
        call: A call whose future is not done.
        process: Who has it.
        reports: Who takes the answer.
        timeout: Seconds to wait at most; ``None`` for ever.
    """
    link = process.data
    if link is None:
        return
    leading = link.leading
    inflight = process.worker.inflight
    # Looked at without the pool's lock: a wrong guess costs a change of threads, no more.
    if len(inflight) != 1 or call.worker is not process.worker or not process.started.is_set():
        leading.end_lease()
        return
    holder = leading.begin()
    if holder is None:
        # Somebody who waits for this worker may stand in a signal handler of whoever leads.
        leading.end_lease()
        return
    future = call.future
    try:
        if future._leader is not None:
            # One at a time: somebody leads for it still, on the link of the worker that had it.
            return
        # Whoever settles the future otherwise rings. The state is looked at after this.
        future._leader = holder
        deadline = None if timeout is None else time.monotonic() + timeout
        is_awaited = True
        while True:
            if not is_awaited or future._state in ENDED:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            holder.wait(left)
            if future._state in ENDED:
                return
            is_awaited = leading.read(holder, reports.take_led, process, link, call)
    finally:
        if future._leader is holder:
            future._leader = None
        try:
            leading.end(holder)
        except BaseException:
            # A signal handler has raised: nobody else knows of what was read for others.
            leading.end(holder)
            raise
