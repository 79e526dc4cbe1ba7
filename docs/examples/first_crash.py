"""
Lose a worker, and go on.
"""

import os
import signal

from webworker_executor import WebWorkerExecutor, WorkerCrashedError


def square(number: int) -> int:
    """Square a number, but die of 3, as if the system had run out of memory."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


with WebWorkerExecutor(max_workers=2) as executor:
    futures = [executor.submit(square, number) for number in range(6)]
    for number, future in enumerate(futures):
        try:
            print(number, "squared is", future.result())
        except WorkerCrashedError as crash:
            print(number, "was lost: its worker was killed by", crash.signal_name)

    print("and on it goes:", executor.submit(square, 12).result())
