"""
Tell a task that kills its worker from one that was merely unlucky, and try the unlucky one again.
"""

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webworker_executor import BrokenWorkerPool, WebWorkerExecutor, WorkerCrashedError


def load(name: str, folder: str) -> str:
    """Load an image; `huge` always takes too much memory, `large` only at its first try."""
    first_try = not Path(folder, name).exists()
    Path(folder, name).touch()
    if name == "huge" or (name == "large" and first_try):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{name} loaded"


def call(executor: WebWorkerExecutor, fn: Callable[..., Any], *args: Any, tries: int = 2) -> Any:
    """Call a function that may be called twice, and try again after a crash."""
    for n_left in reversed(range(tries)):
        try:
            return executor.submit(fn, *args).result()
        except WorkerCrashedError as crash:
            print(f"  {crash.task} was killed by {crash.signal_name}, {n_left} tries left")
    return f"{args[0]} given up"


with tempfile.TemporaryDirectory() as folder:
    with WebWorkerExecutor(max_workers=2) as executor:
        for name in ("small", "large", "huge", "tiny"):
            print(call(executor, load, name, folder))

    with WebWorkerExecutor(max_workers=2, on_crash="break") as executor:
        try:
            executor.submit(load, "huge", folder).result()
        except BrokenWorkerPool:
            print("with on_crash='break' the whole pool is lost, as the standard library's is")
