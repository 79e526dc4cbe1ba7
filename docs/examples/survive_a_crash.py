"""
Tell a task that kills its worker from one that was merely unlucky, which is tried again.
"""

import os
import signal
import tempfile
from pathlib import Path

from webworker_executor import BrokenWorkerPool, WebWorkerExecutor, WorkerCrashedError


def load(name: str, folder: str) -> str:
    """Load an image; `huge` always takes too much memory, `large` only at its first try."""
    first_try = not Path(folder, name).exists()
    Path(folder, name).touch()
    if name == "huge" or (name == "large" and first_try):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{name} loaded"


with tempfile.TemporaryDirectory() as folder:
    with WebWorkerExecutor(max_workers=2) as executor:
        # An image may be loaded twice, so each of these survives the death of one worker.
        twice = executor.options(retries=1)
        futures = {name: twice.submit(load, name, folder) for name in ("large", "huge", "tiny")}
        for name, future in futures.items():
            try:
                print(future.result())
            except WorkerCrashedError as crash:
                print(f"{name} given up: {crash.task} was killed by {crash.signal_name}")

    with WebWorkerExecutor(max_workers=2, on_crash="break") as executor:
        try:
            executor.submit(load, "huge", folder).result()
        except BrokenWorkerPool:
            print("with on_crash='break' the whole pool is lost, as the standard library's is")
