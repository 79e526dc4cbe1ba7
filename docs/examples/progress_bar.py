"""
Show a bar over all items of a map, and follow one long task by what it reports.
"""

import sys

from webworker_executor import WebWorkerExecutor, current_task, progress


def square(number: int) -> int:
    """Return the square."""
    return number * number


def add_up(stop: int) -> int:
    """Add numbers, and tell how far it is; that may be told as often as one likes."""
    task = current_task()
    total = 0
    for number in range(stop):
        total += number
        task.report(number + 1, stop)
    return total


hidden = not sys.stderr.isatty()

with WebWorkerExecutor(max_workers=2) as executor:
    squares = executor.map(square, range(1000), chunksize=50)
    print(sum(progress(squares, total=1000, disable=hidden)))

    futures = [executor.submit(add_up, stop) for stop in (10_000, 20_000)]
    results = [future.result() for future in progress(futures, disable=hidden)]
    print(sorted(results))
