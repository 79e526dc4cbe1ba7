"""
Where a comparison was made: numbers without their machine say nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import webworker_executor
from tests.benchmarks.contender import CONTENDERS


def describe() -> dict[str, str]:
    """
    Describe the machine and what is installed on it.

    Returns:
        Each thing's name and what it is, in the order in which to show them.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(_versions()),
    }


def load_average() -> str:
    """Return how many processes wanted to run in the last 1, 5 and 15 minutes."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _versions() -> list[str]:
    peers = filter(None, (contender.distribution for contender in CONTENDERS.values()))
    versions = [f"webworker-executor {webworker_executor.__version__}"]
    for name in [*peers, "numpy"]:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return versions
