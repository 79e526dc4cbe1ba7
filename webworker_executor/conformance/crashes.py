"""
Scenarios of workers that die, stop, or never come to be.

Whoever changes it must know that it is the `__main__` module of its program, and that whom a worker
takes with it is the question: innocent tasks run beside each crash, and behind it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from webworker_executor.conformance import tasks
from webworker_executor.conformance.scene import (
    FIFO,
    PATIENCE,
    count,
    count_right,
    describe_handle,
    describe_pool,
    kill,
    listening,
    perform,
    submit_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.conformance.face import Face
    from webworker_executor.conformance.subject import Subject

LARGE_NBYTES = 48 << 20

DELAYS = (0.0, 0.003, 0.012)
"""Seconds between a transfer's start and the worker's death."""


def _fail_to_start() -> None:
    raise ValueError("initializer")


def _die_at_start() -> None:
    os._exit(3)


def _hang_at_start() -> None:
    threading.Event().wait(60)


def one_crash(subject: Subject) -> str:
    """A crash costs the task that crashed."""
    face = subject.make()
    handles: list[Any] = []
    verdicts = []
    calls: list[tuple[Callable[..., object], int]] = [(os._exit, 1), *((abs, -n) for n in range(4))]
    for fn, number in calls:
        try:
            handles.append(face.submit(fn, number))
        except Exception as exc:
            # The crash was noticed before this call, and broke the pool.
            verdicts.append(type(exc).__name__)
    told = (describe_handle(face, handle) for handle in handles)
    verdicts += ["hangs" if text == "caller hangs" else text for text in told]
    return f"{count(verdicts)}, {describe_pool(face)}"


def segfault(subject: Subject) -> str:
    """So does native code that fails."""
    face = subject.make()
    crashed = face.submit(tasks.crash)
    behind = submit_numbers(face, tasks.same, 10)
    right = count_right(face, behind)
    return f"{describe_handle(face, crashed)}, {right} others right, {describe_pool(face)}"


def killed_while_idle(subject: Subject) -> str:
    """Nobody notices; a submit at that very moment works."""
    face = subject.make()
    verdicts = []
    for number in range(5):
        try:
            kill(face.wait_for(face.submit(os.getpid), PATIENCE))
            handle = face.submit(abs, -number)
        except Exception as exc:
            verdicts.append(type(exc).__name__)
        else:
            verdicts.append(describe_handle(face, handle))
        if "caller hangs" in verdicts:
            break
    return f"{count(verdicts)}, {describe_pool(face)}"


def killed_while_running(subject: Subject) -> str:
    """The tasks that ran there fail, those that wait do not."""
    face = subject.make()
    with listening() as wait_for_tasks:
        running = [face.submit(tasks.say, os.environ[FIFO], 60.0) for _ in range(2)]
        pids = wait_for_tasks(2)
        waiting = submit_numbers(face, tasks.same, 10)
        for pid in pids:
            kill(pid)
    right = count_right(face, waiting)
    told = ["hang" if text == "caller hangs" else "fail" for text in _describe_all(face, running)]
    return f"{count(told)}, {right} others right, {describe_pool(face)}"


def killed_while_receiving(subject: Subject) -> str:
    """At any byte of an argument, one task at most is lost."""
    return _die_in_transfer(subject, lambda face: face.submit(len, bytes(LARGE_NBYTES)))


def killed_while_sending(subject: Subject) -> str:
    """At any byte of a result, one task at most is lost."""
    return _die_in_transfer(subject, lambda face: face.submit(bytes, LARGE_NBYTES))


def _die_in_transfer(subject: Subject, begin: Callable[[Face], Any]) -> str:
    face = subject.make(1)
    ends = []
    for delay in DELAYS:
        try:
            pid = face.wait_for(face.submit(os.getpid), PATIENCE)
            handle = begin(face)
            threading.Timer(delay, kill, [pid]).start()
            ends.append(describe_handle(face, handle, 2 * PATIENCE))
            alive = describe_pool(face)
        except Exception as exc:
            alive = f"pool dead ({type(exc).__name__})"
        if ends[-1:] == ["caller hangs"] or alive != "pool usable":
            break
    told = "caller hangs" if "caller hangs" in ends else "each task ends"
    return f"{told}, {alive}"


def stopped_worker(subject: Subject) -> str:
    """SIGSTOP delays the worker's own task, and no other."""
    face = subject.make()
    with listening() as wait_for_tasks:
        held = face.submit(tasks.say, os.environ[FIFO], 0.5)
        (pid,) = wait_for_tasks(1)
        os.kill(pid, signal.SIGSTOP)
    others = submit_numbers(face, tasks.same, 20)
    right = count_right(face, others)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    return f"{right} others right, then {describe_handle(face, held)}"


def copy_holds_descriptors(subject: Subject) -> str:
    """A death is seen though a forked copy holds whatever the worker held."""
    face = subject.make()
    lost = describe_handle(face, face.submit(tasks.fork_and_die))
    return f"{'caller hangs' if lost == 'caller hangs' else 'seen'}, {describe_pool(face)}"


def initializer_raises(subject: Subject) -> str:
    """The real reason is told."""
    try:
        face = subject.make(initializer=_fail_to_start)
        face.wait_for(face.submit(abs, -1), PATIENCE)
    except TimeoutError:
        return "caller hangs"
    except Exception as exc:
        cause = f"from {type(exc.__cause__).__name__}" if exc.__cause__ else "without cause"
        return f"{type(exc).__name__} {cause}"
    return "ignored, the task runs"


def initializer_dies(subject: Subject) -> str:
    """A worker that never comes to be is no endless loop."""
    try:
        face = subject.make(initializer=_die_at_start)
    except Exception as exc:
        return type(exc).__name__
    # A pool may try again, after pauses.
    handle = face.submit(abs, -1)
    return describe_handle(face, handle, 3 * PATIENCE)


def initializer_hangs(subject: Subject) -> str:
    """A call can be given up, and the pool too."""
    face = subject.make(initializer=_hang_at_start)
    executor = face.executor
    handles = [face.submit(abs, -1) for _ in range(10)]
    told = [describe_handle(face, handles[0], 0.5)]
    told.append("cancelled" if handles[-1].cancel() else "not cancelled")
    waiter = threading.Thread(
        target=executor.shutdown, kwargs={"wait": False, "cancel_futures": True}, daemon=True
    )
    waiter.start()
    waiter.join(PATIENCE)
    told.append("shutdown hangs" if waiter.is_alive() else "shutdown returns")
    return ", ".join("TimeoutError" if text == "caller hangs" else text for text in told)


def _describe_all(face: Face, handles: list[Any]) -> list[str]:
    return [describe_handle(face, handle) for handle in handles]


if __name__ == "__main__":
    perform(globals())
