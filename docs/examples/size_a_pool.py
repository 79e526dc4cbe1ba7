"""
Give a pool more workers while there is much to do, and fewer afterwards.
"""

import queue
import time

from webworker_executor import PoolEvent, WebWorkerExecutor, scope


def work(seconds: float) -> int:
    """Work for a while, and return the place of the worker."""
    time.sleep(seconds)  # stands for work
    assert scope.index is not None  # in a worker of a pool
    return scope.index


def n_workers(executor: WebWorkerExecutor) -> int:
    """Count the workers that are there."""
    return len(executor.statistics().workers)


events: queue.SimpleQueue[PoolEvent] = queue.SimpleQueue()
with WebWorkerExecutor(max_workers=2, idle_timeout=0.5, min_workers=1) as executor:
    executor.observe(events.put)
    futures = [executor.submit(work, 0.5) for _ in range(12)]
    executor.resize(4)
    print("at four:", sorted({future.result() for future in futures}))

    executor.resize(2)
    futures = [executor.submit(work, 0.3) for _ in range(8)]
    print("at two:", sorted({future.result() for future in futures}))

    while n_workers(executor) > 1:
        events.get(timeout=30.0)
    print("after a rest:", n_workers(executor), "worker")
    print("a task all the same:", executor.submit(abs, -7).result())
