"""
Tests of `webworker_executor.child.navigator`: what a worker runs on.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

import webworker_executor
from webworker_executor.child.navigator import navigator
from webworker_executor.link import cpus

if TYPE_CHECKING:
    from pathlib import Path


def test_the_machine_and_the_interpreter() -> None:
    """
    Processors, system and versions are those of this process.
    """
    assert 1 <= navigator.hardware_concurrency <= len(os.sched_getaffinity(0))
    assert f"Linux {os.uname().machine}" == navigator.platform
    assert f"webworker_executor/{webworker_executor.__version__} " in navigator.user_agent
    assert ".".join(map(str, sys.version_info[:3])) in navigator.user_agent
    assert True is navigator.on_line
    assert navigator.user_agent in repr(navigator)


def test_a_quota(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A container that gets one processor's time has one, however many it may run on.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(cpus, "_GROUPS", str(tmp_path))
    assert 4 == navigator.hardware_concurrency
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert 1 == navigator.hardware_concurrency


@pytest.mark.parametrize(
    ("value", "language"),
    [("de_AT.UTF-8", "de-AT"), ("C.UTF-8", "en"), ("POSIX", "en"), ("", "en"), ("fr", "fr")],
)
def test_language(monkeypatch: pytest.MonkeyPatch, value: str, language: str) -> None:
    """
    The language is that of the surroundings, as a tag.
    """
    monkeypatch.setenv("LC_ALL", value)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.delenv("LANG", raising=False)
    assert language == navigator.language
