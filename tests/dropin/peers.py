"""
The pools that the tables compare, each as a subject of `webworker_executor.conformance`.

Not for how they are used: that is behind the subject's face.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from typing import TYPE_CHECKING

from webworker_executor.conformance.subject import OURS, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

SUBJECTS = {
    "webworker-spawn": Subject(OURS, (("launcher", "spawn"),)),
    "webworker-fork": Subject(OURS, (("launcher", "fork"),)),
    "webworker-zygote": Subject(OURS, (("launcher", "zygote"),)),
    "stdlib-fork": Subject("concurrent.futures:ProcessPoolExecutor", (("mp_context", "fork"),)),
    "stdlib-forkserver": Subject(
        "concurrent.futures:ProcessPoolExecutor", (("mp_context", "forkserver"),)
    ),
    "mp.Pool": Subject("multiprocessing:Pool"),
    "loky": Subject("loky:ProcessPoolExecutor"),
    "pebble": Subject("pebble:ProcessPool"),
    "mpire": Subject("mpire:WorkerPool"),
    "deadpool": Subject("deadpool:Deadpool"),
    "billiard": Subject("billiard:Pool"),
}

PEERS = tuple(name for name in SUBJECTS if not name.startswith("webworker"))


def is_installed(name: str) -> bool:
    """Say whether a pool can be tried here."""
    module = SUBJECTS[name].target.partition(":")[0]
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def describe_versions(names: Iterable[str]) -> str:
    """Say what a table was measured with."""
    versions = [f"CPython {platform.python_version()}"]
    of_modules = importlib.metadata.packages_distributions()
    for name in names:
        versions += [
            f"{name} {importlib.metadata.version(distribution)}"
            for distribution in of_modules.get(name, ())
        ]
    return ", ".join(versions)
