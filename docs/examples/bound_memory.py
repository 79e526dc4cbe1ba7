"""
Hold tasks to a limit of memory, and replace a worker that does not give up what it has had.
"""

import os

from webworker_executor import WebWorkerExecutor

MIB = 1 << 20
CACHE: list[bytes] = []


def allocate(nbytes: int) -> str:
    """Have so much memory for a moment."""
    return f"{len(bytearray(nbytes)) // MIB} MiB"


def leak(nbytes: int) -> int:
    """Keep so much memory for ever, and return the worker's pid."""
    CACHE.append(b"x" * nbytes)
    return os.getpid()


with WebWorkerExecutor(1, memory_limit=1024 * MIB, max_memory_per_child=256 * MIB) as executor:
    for size in (100, 4000, 200):
        try:
            print(size, "->", executor.submit(allocate, size * MIB).result())
        except MemoryError:
            print(size, "-> too much")

    pids = [executor.submit(leak, 150 * MIB).result() for _ in range(4)]
    print("two tasks, then a new worker:", [pids.index(pid) for pid in pids])
