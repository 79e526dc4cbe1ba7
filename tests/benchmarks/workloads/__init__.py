"""
The workloads by name, in the order of the table.

A workload is a module of this package with a ``WORKLOAD``. Whoever adds one must add its name here;
the interpreter that measures imports that one module and no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.metric import Workload

WORKLOADS = {
    "rtt": "round_trip",
    "submit": "submission",
    "map": "mapping",
    "chunks": "chunking",
    "bytes": "payload",
    "arrays": "array",
    "closure": "closure",
    "start": "start",
    "growth": "backlog",
    "asyncio": "event_loop",
    "raise": "failure",
    "footprint": "footprint",
    "neighbour": "neighbour",
    "millisecond": "millisecond",
}


def load(name: str) -> Workload:
    """Import a workload by its name."""
    module = importlib.import_module(f"{__name__}.{WORKLOADS[name]}")
    workload: Workload = module.WORKLOAD
    return workload
