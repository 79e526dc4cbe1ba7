"""
The executors that are measured side by side, and how each is made.

Not for the work that they are given: see ``workload``. Whoever adds one must say in its name how it
starts its workers: the name is all that a reader of the table sees.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable


def _loky(n_workers: int) -> Executor:
    from loky import ProcessPoolExecutor as LokyExecutor

    executor: Executor = LokyExecutor(n_workers)
    return executor


def _stdlib(method: str, n_workers: int) -> Executor:
    return ProcessPoolExecutor(n_workers, multiprocessing.get_context(method))


def _ours(launcher: str, n_workers: int) -> Executor:
    return WebWorkerExecutor(n_workers, launcher=launcher)


CONTENDERS: dict[str, Callable[[int], Executor]] = {
    "ours-spawn": partial(_ours, "spawn"),
    "ours-zygote": partial(_ours, "zygote"),
    "ours-fork": partial(_ours, "fork"),
    "stdlib-spawn": partial(_stdlib, "spawn"),
    "stdlib-forkserver": partial(_stdlib, "forkserver"),
    "stdlib-fork": partial(_stdlib, "fork"),
}
if importlib.util.find_spec("loky"):
    CONTENDERS["loky"] = _loky
