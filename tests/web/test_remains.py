"""
Tests of `webworker_executor.web.remains`: what is left of a process group has its time, no more.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.patience import wait_until
from tests.threads import fork_while_held
from webworker_executor.launch import procfs
from webworker_executor.launch.launcher import Child
from webworker_executor.web import remains
from webworker_executor.web.host import host
from webworker_executor.web.remains import end_later

SECONDS = 10.0
LEADER = "trap '' TERM; sleep 60 >&2 & echo $!; exec sleep 60 >&2"


class Group:
    """A leader that has been killed, and the process that it has started, which has not."""

    def __init__(self) -> None:
        near, far = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, far, 1)]
        pid = os.posix_spawn(
            "/bin/sh", ["sh", "-c", LEADER], os.environ, file_actions=actions, setpgroup=0
        )
        os.close(far)
        with open(near) as file:
            self.left = int(file.readline())
        self.leader = Child(pid)
        self.leader.send_signal(signal.SIGKILL)
        wait_until(self.leader.reap)

    def end_later(self, until: float | None) -> None:
        """Do as the reactor would; a user of the host, meanwhile, has it there."""
        done = threading.Event()
        reactor, _ = host.acquire(self)
        reactor.call_soon(lambda: end_later(self.leader, until))
        reactor.call_soon(done.set)
        assert done.wait(SECONDS)
        host.release(self)

    @property
    def is_alive(self) -> bool:
        return procfs.state_of(self.left) not in {None, "Z"}

    def kill(self) -> None:
        os.kill(self.left, signal.SIGKILL)

    def finish_at_exit(self, *, interrupted: bool) -> None: ...

    def disown_after_fork(self) -> None: ...


@pytest.mark.parametrize("seconds", [-1.0, 0.05])
def test_what_is_left_is_ended_when_its_time_is_over(seconds: float) -> None:
    """It ignores SIGTERM, and its leader is long gone."""
    group = Group()
    assert group.is_alive
    group.end_later(time.monotonic() + seconds)
    wait_until(lambda: not group.is_alive)


def test_what_was_not_stopped_goes_on() -> None:
    """Nobody has asked for its end."""
    group = Group()
    group.end_later(None)
    assert group.is_alive
    group.kill()


def test_what_ends_by_itself_is_not_waited_for() -> None:
    """The host has nobody to keep its threads for."""
    group = Group()
    group.end_later(time.monotonic() + 3600.0)
    (user,) = host._users
    assert isinstance(user, remains.Remains)
    group.kill()
    wait_until(lambda: not host._users)


def test_what_is_left_is_ended_with_the_program() -> None:
    """At once: nobody would do it later."""
    group = Group()
    group.end_later(time.monotonic() + 3600.0)
    (user,) = host._users
    user.finish_at_exit(interrupted=False)
    wait_until(lambda: not group.is_alive)
    assert [] == host._users


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_in_a_forked_copy_it_is_the_parents() -> None:
    """The copy has no descriptor of it, and ends nobody."""
    group = Group()
    group.end_later(time.monotonic() + 3600.0)
    (user,) = host._users
    assert isinstance(user, remains.Remains)

    def use() -> bool:
        user.finish_at_exit(interrupted=False)
        return not user._held and group.is_alive

    assert 0 == fork_while_held([], use)
    assert group.is_alive
    group.kill()
    wait_until(lambda: not host._users)


def test_without_pidfds_it_is_ended_while_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later, the number might be another's."""
    group = Group()
    monkeypatch.setattr(remains, "pidfd_open", lambda pid: None)
    group.end_later(time.monotonic() + 3600.0)
    wait_until(lambda: not group.is_alive)
    assert [] == host._users
