"""
Submit from a source that has no end, and never hold more than a few tasks.
"""

import itertools
from concurrent.futures import Future

from webworker_executor import PoolFullError, WebWorkerExecutor


def square(number: int) -> int:
    """Return a number times itself."""
    return number * number


with WebWorkerExecutor(2, max_pending=8) as executor:
    total = 0
    most = 0

    def add(future: Future[int]) -> None:
        global total
        total += future.result()

    for number in itertools.takewhile(lambda n: n < 1000, itertools.count()):
        # Waits while eight are not done.
        executor.submit(square, number).add_done_callback(add)
        counts = executor.statistics()
        most = max(most, counts.n_pending + counts.n_running)

print("sum:", total)
print("never more than eight:", most <= 8)

with WebWorkerExecutor(1, max_pending=1, when_full="raise") as executor:
    first = executor.submit(sum, range(50_000_000))
    try:
        executor.submit(square, 5)
    except PoolFullError as error:
        print(error)
