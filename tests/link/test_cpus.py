"""
How many processors a process may keep busy, as its affinity and its control group tell it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from webworker_executor.link import cpus
from webworker_executor.link.cpus import count_cpus

if TYPE_CHECKING:
    from pathlib import Path

N_CPUS = 8


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """
    Stand in for a machine of eight processors, and for the files of a control group.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(N_CPUS)))
    monkeypatch.setattr(cpus, "_GROUPS", str(tmp_path))
    (tmp_path / "cpu").mkdir()
    return tmp_path


def test_this_machine() -> None:
    """
    Some, and no more than the process may run on.
    """
    assert 1 <= count_cpus() <= len(os.sched_getaffinity(0))


def test_no_group(group: Path) -> None:
    """
    All that it may run on.
    """
    assert not (group / "cpu.max").exists()
    assert N_CPUS == count_cpus()


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("1000 100000\n", 1),
        ("9900000 100000\n", N_CPUS),
        ("max 100000\n", N_CPUS),
        ("nonsense\n", N_CPUS),
        ("0 0\n", N_CPUS),
        ("", N_CPUS),
    ],
)
def test_a_group_of_the_second_version(group: Path, told: str, count: int) -> None:
    """
    Its quota is rounded up, and never to nothing.
    """
    (group / "cpu.max").write_text(told)
    assert count == count_cpus()


@pytest.mark.parametrize(
    ("quota", "period", "count"),
    [("250000", "100000", 3), ("10000", "50000", 1), ("-1", "100000", N_CPUS), ("1", "", N_CPUS)],
)
def test_a_group_of_the_first_version(group: Path, quota: str, period: str, count: int) -> None:
    """
    The same in two files.
    """
    (group / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (group / "cpu" / "cpu.cfs_period_us").write_text(period)
    assert count == count_cpus()
