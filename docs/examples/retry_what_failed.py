"""
Try again what failed by chance: an exception that passes, and a worker that dies.
"""

import os
import tempfile
from pathlib import Path

from webworker_executor import WebWorkerExecutor, WorkerCrashedError


def n_tries(path: str) -> int:
    """Count the tries in a file, for the process may not live to remember them."""
    with open(path, "a") as file:
        file.write("x")
    return Path(path).stat().st_size


def fetch(path: str) -> str:
    """Be an exchange with a server that answers at the third try."""
    tries = n_tries(path)
    if tries < 3:
        raise ConnectionResetError("the server hung up")
    return f"fetched at try {tries}"


def compute(path: str) -> str:
    """Be a computation whose native code crashes at the first try."""
    tries = n_tries(path)
    if tries < 2:
        os.abort()
    return f"computed at try {tries}"


with tempfile.TemporaryDirectory() as folder, WebWorkerExecutor(max_workers=2) as executor:
    # The death of a worker is what is tried again where nothing else is said.
    print(executor.options(retries=1).submit(compute, f"{folder}/a").result())

    # Of exceptions, only those that are named.
    online = executor.options(retries=2, retry_on=ConnectionError)
    print(online.submit(fetch, f"{folder}/b").result())
    try:
        online.submit(int, "three").result()
    except ValueError as error:
        print("at once:", error)

    # Both kinds, each of which has two tries more.
    both = executor.options(retries=2, retry_on=(WorkerCrashedError, ConnectionError))
    print(list(both.map(fetch, [f"{folder}/c", f"{folder}/d"])))

    # The last failure is the one that is told.
    try:
        executor.options(retries=1, retry_on=ConnectionError).submit(fetch, f"{folder}/e").result()
    except ConnectionError as error:
        print("given up:", error)
