"""
What a worker imports before it changes its user, who may not be allowed to read these files.

That is what the package itself needs for messages that arrive and leave, for the objects that can
be in them, and for errors. Not for what a script imports: that must lie where its user can read. A
worker that keeps its user imports each of these when it needs it.
"""

from __future__ import annotations

from importlib import import_module

# Those that the package imports within functions, and the interpreter by itself.
_OF_STDLIB = (
    "array",
    "asyncio",
    "ctypes",
    "dataclasses",
    "encodings.ascii",
    "fcntl",
    "inspect",
    "linecache",
    "logging",
    "mmap",
    "multiprocessing.connection",
    "resource",
    "select",
    "traceback",
    "urllib.parse",
)
# Each brings along what stands at its top.
_OF_PACKAGE = (
    "child.navigator",
    "link.cpus",
    "link.exchange",
    "link.lending",
    "link.memory",
    "web.atomics",
    "web.beacon",
    "web.broadcast",
    "web.culprit",
    "web.delivery",
    "web.derived",
    "web.environment",
    "web.estate",
    "web.lent",
    "web.locks",
    "web.luggage",
    "web.movable",
    "web.outcome",
    "web.proxy",
    "web.shared",
    "web.timer",
    "web.transferable",
    "wire.array",
    "wire.by_value",
    "wire.failure",
)


def take_along() -> None:
    """Import it all: as many modules as an executor has, and a tenth of a second."""
    for name in _OF_STDLIB:
        import_module(name)
    for name in _OF_PACKAGE:
        import_module(f"webworker_executor.{name}")
