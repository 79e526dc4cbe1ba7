"""
The desk: what comes for which task, on two threads without a lock.
"""

from __future__ import annotations

import math
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.child.desk import Desk
from webworker_executor.web import running
from webworker_executor.web.message import PLAIN
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    CANCEL,
    COUNT,
    CREDIT,
    DIVIDE,
    DIVIDED,
    RECALL,
    SAYING_SHIFT,
    SIGNAL,
    SIGNAL_ORDER,
    TASK_MESSAGE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webworker_executor.wire.frame import Parts


class Runner:
    """
    Runs a task in name only.
    """

    def __init__(self) -> None:
        self.running = 0

    def post(self, parts: Parts, fds: Sequence[Any], check: Any = None, *_: object) -> None:
        raise AssertionError("nobody says anything here")


def message(ident: int, saying: int = PLAIN) -> Frame:
    return Frame(TASK_MESSAGE, ident | saying << SAYING_SHIFT, b"")


def test_what_comes_for_a_task_waits_for_it() -> None:
    """
    Messages and credits apart, in order, with what a message says as their ident.
    """
    desk = Desk(Runner())
    assert not desk.is_used
    frames = [message(7), message(7, CREDIT), message(7)]
    for frame in frames:
        desk.take(frame)
    assert [frames[0], frames[2]] == list(desk.inboxes[7])
    assert [frames[1]] == list(desk.credits[7])
    assert [PLAIN, CREDIT, PLAIN] == [frame.ident for frame in frames]
    assert desk.is_used


def test_all_is_put_away_with_the_task() -> None:
    """
    Nothing of one task reaches another.
    """
    desk = Desk(Runner())
    desk.runner.running = 7
    desk.take(message(7))
    desk.take(message(6))
    desk.take(Frame(CANCEL, 7, b""))
    desk.put_away()
    left = (desk.is_used, desk.inboxes, desk.cancels, desk.unwanted)
    assert not any(left)


def test_a_task_given_up_before_it_began_is_known_once() -> None:
    """
    Whoever comes to it passes over it.
    """
    desk = Desk(Runner())
    desk.runner.running = 6
    desk.take(Frame(CANCEL, 7, b""))
    assert not desk.is_used
    assert not desk.is_given_up(6)
    assert desk.is_given_up(7)
    assert not desk.is_given_up(7)


def test_news_of_tasks_that_are_gone_does_not_pile_up() -> None:
    """
    Of those that went elsewhere nothing stays, of those that had ended the latest.
    """
    desk = Desk(Runner())
    desk.take(Frame(CANCEL, 7, b""))
    desk.forget(7)
    assert not desk.is_given_up(7)
    for ident in range(1, 10_001):
        desk.take(Frame(CANCEL, ident, b""))
    assert len(desk.unwanted) <= 4096
    # As many as a host sends ahead may still come.
    assert all(desk.is_given_up(ident) for ident in range(10_000 - 1024, 10_001))


@pytest.mark.parametrize(
    ("running", "until", "n_signals"),
    [(0, math.inf, 0), (6, math.inf, 0), (7, math.inf, 1), (7, 0.0, 0)],
)
def test_a_signal_is_for_one_task(running: int, until: float, n_signals: int) -> None:
    """
    The process gets it while just that task runs, not between tasks, and not later than told.
    """
    seen: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        desk = Desk(Runner())
        desk.runner.running = running
        desk.take(Frame(SIGNAL, 7, SIGNAL_ORDER.pack(signal.SIGUSR1, until)))
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert [signal.SIGUSR1] * n_signals == seen


@pytest.mark.parametrize(("until", "n_signals"), [(math.inf, 1), (0.0, 0)])
def test_a_signal_for_no_task_is_for_the_control_thread(until: float, n_signals: int) -> None:
    """
    No other thread of the process can get it.
    """
    pending: list[set[signal.Signals]] = []

    def take() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
        Desk(Runner()).take(Frame(SIGNAL, 0, SIGNAL_ORDER.pack(signal.SIGURG, until)))
        pending.append(signal.sigpending())

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert [{signal.SIGURG} if n_signals else set()] == pending


def test_other_frames_are_none_of_its_business() -> None:
    """
    They are left alone.
    """
    desk = Desk(Runner())
    desk.take(Frame(RECALL, 0, b""))
    assert not desk.is_used


class Talker(Runner):
    """
    Keeps what is said.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Parts] = []

    def post(self, parts: Parts, fds: Sequence[Any], check: Any = None, *_: object) -> None:
        self.said.append(parts)


class Three:
    """
    A task that has three steps left.
    """

    def divide(self, tell: Callable[[int], object]) -> None:
        tell(3)


def test_a_task_that_runs_can_be_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The one that is meant, if it is one that consists of steps; the host hears how many are left.
    """
    runner = Talker()
    desk = Desk(runner)
    runner.running = 7
    desk.take(Frame(DIVIDE, 7, b""))
    monkeypatch.setattr(running, "divisible", (7, Three()))
    desk.take(Frame(DIVIDE, 8, b""))
    assert [] == runner.said
    desk.take(Frame(DIVIDE, 7, b""))
    assert [encode(DIVIDED, 7, COUNT.pack(3))] == runner.said
