"""
Look into a pool: what its workers are doing, and what has happened to them.
"""

import os
import time

from webworker_executor import PoolEvent, WebWorkerExecutor, current_task


def wait_for_ever() -> None:
    """Say that it begins, and be stuck."""
    current_task().post_message("I begin")
    time.sleep(3600)  # stands for a task that hangs


def crash() -> None:
    """End the worker."""
    os._exit(1)


events: list[PoolEvent] = []
with WebWorkerExecutor(max_workers=1) as executor:
    executor.observe(events.append)
    executor.submit(abs, -1).result()
    executor.submit(crash).exception()

    stuck = executor.submit(wait_for_ever)
    print(next(iter(stuck.messages())).data)
    for worker, stacks in executor.dump_stacks().items():
        for line in stacks.splitlines():
            if line.endswith(" in wait_for_ever"):
                print(f"worker {worker.index} is in {line.rpartition(' ')[2]}")
    stuck.abort()
    statistics = executor.statistics()

for event in events:
    print(f"{event.kind}: worker {event.worker}, {event.task or 'no task'}")
print(
    f"{statistics.n_submitted} submitted: {statistics.n_done} done, "
    f"{statistics.n_crashed} crashed, {statistics.n_aborted} aborted"
)
