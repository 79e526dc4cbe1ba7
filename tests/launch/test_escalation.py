"""
Tests of `webworker_executor.launch.escalation`: one measure after the other, until a process ends.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from webworker_executor.launch import escalation
from webworker_executor.launch.escalation import Escalation
from webworker_executor.launch.launcher import Child

if TYPE_CHECKING:
    from webworker_executor.link.reactor import Reactor

SECONDS = 10.0


class Owner:
    """
    Has an escalation, and waits for what it tells.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.escalation = Escalation(reactor, self.tell)
        self._told: queue.SimpleQueue[object] = queue.SimpleQueue()

    def tell(self, news: object) -> None:
        self._told.put(news)

    def take(self, child: Child) -> None:
        self.reactor.call_soon(lambda: self.escalation.take(child, lambda: self.tell(child)))

    def told(self) -> object:
        return self._told.get(timeout=SECONDS)


def start_stubborn() -> Child:
    """
    Start a process that ignores SIGTERM.
    """
    near, far = os.pipe()
    command = "trap '' TERM; echo; exec sleep 60 >&2"
    actions = [(os.POSIX_SPAWN_DUP2, far, 1)]
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ, file_actions=actions)
    os.close(far)
    with open(near, "rb") as file:
        assert b"\n" == file.read(1)
    return Child(pid)


def test_who_ignores_sigterm_is_killed(reactor: Reactor) -> None:
    """
    After the grace that was given.
    """
    owner, child = Owner(reactor), start_stubborn()
    owner.take(child)
    reactor.call_soon(lambda: owner.escalation.terminate(0.01))
    assert child is owner.told()
    assert (-signal.SIGKILL, signal.SIGKILL) == (child.exitcode, owner.escalation.last_signal)


def test_a_signal_waits_for_its_process(reactor: Reactor) -> None:
    """
    It is sent when the process is there; before that nobody is told anything.
    """
    owner = Owner(reactor)
    owner.escalation.kill()
    child = start_stubborn()
    owner.take(child)
    assert child is owner.told()
    assert -signal.SIGKILL == child.exitcode


def test_the_last_measure_set_is_the_one_taken(reactor: Reactor) -> None:
    """
    And none when it is over; a process that comes then is killed.
    """
    owner = Owner(reactor)
    late: queue.SimpleQueue[str] = queue.SimpleQueue()

    def set_some() -> None:
        owner.escalation.later(0.0, lambda: late.put("first"))
        owner.escalation.later(0.0, close)

    def close() -> None:
        owner.escalation.later(0.0, lambda: late.put("cancelled"))
        owner.escalation.close()
        owner.escalation.later(0.0, lambda: late.put("too late"))
        reactor.call_at(0.0, lambda: late.put("over"))

    reactor.call_soon(set_some)
    assert "over" == late.get(timeout=SECONDS)
    child = start_stubborn()
    owner.take(child)
    reactor.call_soon(lambda: child.watch(reactor, lambda: late.put("killed")))
    assert "killed" == late.get(timeout=SECONDS)
    assert owner.escalation.child is None


@pytest.mark.slow
def test_what_does_not_come_is_not_waited_for(reactor: Reactor) -> None:
    """
    A SIGKILL for a process that nobody starts ends in an error, once.
    """
    owner = Owner(reactor)
    owner.escalation.kill()
    assert isinstance(owner.told(), TimeoutError)


def test_what_cannot_be_watched_is_killed(reactor: Reactor) -> None:
    """
    Its owner would not hear of its end. Here the kernel refuses because it is watched already.
    """
    owner, child = Owner(reactor), start_stubborn()

    def take_twice() -> None:
        child.watch(reactor, lambda: None)
        try:
            owner.escalation.take(child, lambda: None)
        except OSError as error:
            owner.tell(error)

    reactor.call_soon(take_twice)
    assert isinstance(owner.told(), OSError)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.reap()
    assert -signal.SIGKILL == child.exitcode


def fork_still() -> Child:
    """
    Fork a process that waits for a lock that nobody will free.
    """
    lock = threading.Lock()
    lock.acquire()
    pid = os.fork()
    if not pid:
        lock.acquire()
    return Child(pid, is_copy=True)


def test_a_copy_that_stands_still_before_it_is_up_is_killed(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It waits for a lock of a thread that it does not have.
    """
    monkeypatch.setattr(escalation, "STANDSTILL_SECONDS", 0.1)
    owner = Owner(reactor)
    child = fork_still()
    owner.take(child)
    assert child is owner.told()
    assert -signal.SIGKILL == child.exitcode
    assert "it waits for a lock" in owner.escalation.why


@pytest.mark.parametrize("how", ["up", "running", "stopped", "program"])
def test_a_copy_that_may_still_come_is_let_be(
    how: str, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One that has a second thread, runs, or is stopped; and where the program itself stood still.
    """
    looks: queue.SimpleQueue[tuple[int, str, int] | None] = queue.SimpleQueue()
    standing: dict[str, tuple[int, str, int]] = {"up": (2, "S", 7), "stopped": (1, "T", 7)}
    n_looks = itertools.count(1)

    def standing_of(_: int) -> tuple[int, str, int]:
        found = standing.get(how) or (1, "S", next(n_looks) if how == "running" else 7)
        looks.put(found)
        return found

    monkeypatch.setattr(escalation, "STANDSTILL_SECONDS", 0.01)
    monkeypatch.setattr(escalation, "standing_of", standing_of)
    if how == "program":
        # It is always as late as that.
        monkeypatch.setattr(escalation, "LAST_SECONDS", -1.0)
    owner = Owner(reactor)
    child = fork_still()
    owner.take(child)
    for _ in range(1 if how == "up" else 4):
        looks.get(timeout=SECONDS)
    assert child.is_alive()
    assert not owner.escalation.why
    reactor.call_soon(owner.escalation.kill)
    assert child is owner.told()
    owner.escalation.close()
