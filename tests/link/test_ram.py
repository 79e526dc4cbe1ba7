"""
How much memory there is, as the kernel and a control group tell it.
"""

from __future__ import annotations

import io
from typing import Any

import pytest

from webworker_executor.link import ram


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """
    Stand in for the kernel's files; what is not among them is not there.
    """
    files: dict[str, str] = {}

    def look(path: str, encoding: str) -> Any:
        if path not in files or encoding != "ascii":
            raise FileNotFoundError(path)
        return io.StringIO(files[path])

    monkeypatch.setattr(ram, "open", look, raising=False)
    return files


def test_this_machine() -> None:
    """
    Some of it is in use.
    """
    assert 0 < ram.available_nbytes() < ram.total_nbytes()


def test_a_machine_that_tells_nothing(files: dict[str, str]) -> None:
    """
    All that is there may be available.
    """
    assert not files
    assert ram.total_nbytes() == ram.available_nbytes()


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_a_control_group(files: dict[str, str], limit: str, used: str) -> None:
    """
    It may have less than the machine has, and may use more than it may have.
    """
    files["/proc/meminfo"] = "MemTotal: 90 kB\nMemAvailable:   50 kB\nBuffers: 1 kB\n"
    assert 50 * 1024 == ram.available_nbytes()
    files[f"/sys/fs/cgroup/{limit}"] = "20000\n"
    files[f"/sys/fs/cgroup/{used}"] = "15000\n"
    assert (20000, 5000) == (ram.total_nbytes(), ram.available_nbytes())
    files[f"/sys/fs/cgroup/{used}"] = "25000\n"
    assert 0 == ram.available_nbytes()


def test_a_group_without_limit(files: dict[str, str]) -> None:
    """
    The kernel says so in a word.
    """
    files["/proc/meminfo"] = "MemAvailable: 50 kB\n"
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    files["/sys/fs/cgroup/memory.current"] = "15000\n"
    assert 50 * 1024 == ram.available_nbytes() < ram.total_nbytes()
