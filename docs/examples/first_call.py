"""
Call functions in worker processes.
"""

import os

from webworker_executor import WebWorkerExecutor


def smallest_factor(number: int) -> int:
    """Find the smallest factor above 1, by trying."""
    factor = 2
    while number % factor:
        factor += 1
    return factor


with WebWorkerExecutor(max_workers=2) as executor:
    future = executor.submit(smallest_factor, 1_000_003)
    print("one call:", future.result())

    numbers = [91, 97, 1001, 7919]
    for number, factor in zip(numbers, executor.map(smallest_factor, numbers), strict=True):
        print(f"{number} is", "prime" if factor == number else f"a multiple of {factor}")

    print("in another process:", executor.submit(os.getpid).result() != os.getpid())
