"""
Tests of `webworker_executor.child.surroundings`: what a process sets for itself.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.child import surroundings
from webworker_executor.launch.limits import Limits, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def in_a_fork(check: Callable[[], bool]) -> bool:
    """
    Do something in a copy of this process, and tell whether it went as it should.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitpid(pid, 0)[1] == 0


def settings_with(**changes: Any) -> Any:
    options: dict[str, Any] = {"cwd": None, "limits": None, "nice": 0, "user": None, "group": None}
    return settings(**{**options, **changes})


def test_everything_at_once(tmp_path: Path) -> None:
    """
    Directory, mask, niceness and limits are set.
    """
    cpu = max(os.sched_getaffinity(0))
    own = settings_with(
        cwd=str(tmp_path), nice=2, umask=0o77, limits=Limits(open_files=77), cpu_affinity=[cpu]
    )
    before, host = os.nice(0), os.getpid()

    def check() -> bool:
        surroundings.apply(own, host)
        return (str(tmp_path), before + 2, 0o77, (77, 77), {cpu}) == (
            os.getcwd(),
            os.nice(0),
            os.umask(0),
            resource.getrlimit(resource.RLIMIT_NOFILE),
            os.sched_getaffinity(0),
        )

    assert in_a_fork(check)


@pytest.mark.parametrize("leads_group", [False, True])
def test_a_session(leads_group: bool) -> None:
    """
    Of its own, also for who leads a group, as every worker that was spawned does.
    """
    own, host = settings_with(start_new_session=True), os.getpid()

    def check() -> bool:
        if leads_group:
            os.setpgid(0, 0)
        surroundings.apply(own, host)
        return os.getpid() == os.getsid(0)

    assert in_a_fork(check)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_another_user() -> None:
    """
    User, group and no other groups; and the way back is closed.
    """
    own, host = settings_with(user=65534, group=65533), os.getpid()

    def check() -> bool:
        surroundings.apply(own, host)
        try:
            os.setuid(0)
        except PermissionError:
            return (65534, 65533, [65533]) == (os.getuid(), os.getgid(), os.getgroups())
        return False

    assert in_a_fork(check)


def test_what_is_refused(tmp_path: Path) -> None:
    """
    The kernel's refusal is the caller's to tell.
    """
    with pytest.raises(FileNotFoundError):
        surroundings.apply(settings_with(cwd=str(tmp_path / "missing")), os.getppid())
