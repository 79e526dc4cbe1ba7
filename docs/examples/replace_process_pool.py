"""
Run one program on both classes, with nothing changed but the class.
"""

import concurrent.futures
import multiprocessing

from webworker_executor import WebWorkerExecutor


def collatz_length(number: int) -> int:
    """Count the steps of the Collatz sequence down to 1."""
    length = 1
    while number != 1:
        number = 3 * number + 1 if number % 2 else number // 2
        length += 1
    return length


def longest(executor: concurrent.futures.Executor) -> tuple[int, int]:
    """Find the longest sequence that begins below 5000, as any user of an executor would."""
    with executor:
        futures = {executor.submit(collatz_length, n): n for n in range(4990, 5000)}
        done = concurrent.futures.as_completed(futures)
        best = max((future.result(), futures[future]) for future in done)
        lengths = executor.map(collatz_length, range(1, 5000), chunksize=500, timeout=60)
        return max(best, max((length, n) for n, length in enumerate(lengths, 1)))


if __name__ == "__main__":  # The standard library's class needs this where it spawns; ours never.
    spawn = multiprocessing.get_context("spawn")
    print("ProcessPoolExecutor:", longest(concurrent.futures.ProcessPoolExecutor(2, spawn)))
    print("WebWorkerExecutor:  ", longest(WebWorkerExecutor(2)))
