"""
Scenarios of programs that end, are interrupted, killed or forked, or run out of descriptors.

Not for the verdicts of those whose program does not live to tell: `watch` makes them.

Whoever changes it must know that a scenario which returns None ends as programs end: with the
interpreter's own tidying up, which is what is asked.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from webworker_executor.conformance import tasks
from webworker_executor.conformance.scene import (
    FIFO,
    PATIENCE,
    count_right,
    describe_handle,
    describe_pool,
    perform,
    submit_numbers,
    tell,
)

if TYPE_CHECKING:
    from webworker_executor.conformance.subject import Subject

MARKS = "marks"
"""The file that tasks of these programs leave their numbers in."""

N_TASKS = 10


def _begin_two(subject: Subject, seconds: float = 60.0) -> None:
    face = subject.make()
    handles = [face.submit(tasks.say, os.environ[FIFO], seconds) for _ in range(2)]
    for handle in handles:
        face.wait_for(handle, 60.0)


def parent_is_killed(subject: Subject) -> str:
    """Nobody outlives the parent (whoever started this program kills it, and counts)."""
    _begin_two(subject)
    return "was not killed"


def parent_is_killed_busy(subject: Subject) -> str:
    """Nor does a worker that never comes back from C."""
    face = subject.make()
    handles = [face.submit(tasks.say_and_count, os.environ[FIFO]) for _ in range(2)]
    for handle in handles:
        face.wait_for(handle, 60.0)
    return "was not killed"


def parent_is_terminated(subject: Subject) -> str:
    """So it is with SIGTERM, which ends a program without a word."""
    _begin_two(subject)
    return "was not terminated"


def interrupt_with_block(subject: Subject) -> str:
    """Ctrl-C ends the program at once (whoever started this program presses it)."""
    face = subject.make()
    try:
        handles = [face.submit(tasks.say, os.environ[FIFO], 3.0) for _ in range(6)]
        for handle in handles:
            face.wait_for(handle, 60.0)
    finally:
        face.leave(*sys.exc_info())
    return "was not interrupted"


def interrupt_without_block(subject: Subject) -> str:
    """Ctrl-C ends the program at once, also where no `with` block is left."""
    face = subject.make()
    handles = [face.submit(tasks.say, os.environ[FIFO], 3.0) for _ in range(6)]
    for handle in handles:
        face.wait_for(handle, 60.0)
    return "was not interrupted"


def interrupt_at_terminal(subject: Subject) -> str:
    """A terminal sends Ctrl-C to all that runs in front: one message, and the prompt is back."""
    _begin_two(subject)
    return "was not interrupted"


def interrupt_and_go_on(subject: Subject) -> str:
    """A program that catches Ctrl-C goes on with its pool."""
    face = subject.make()
    handles = [face.submit(tasks.say, os.environ[FIFO], 0.5) for _ in range(2)]
    try:
        for handle in handles:
            face.wait_for(handle, 60.0)
        # The workers may have been faster than whoever presses the key.
        signal.sigtimedwait([], PATIENCE)
    except KeyboardInterrupt:
        ends = [describe_handle(face, handle) for handle in handles]
        told = "its tasks too" if ends == ["ok", "ok"] else ", ".join(ends)
        return f"{told}, {describe_pool(face)}"
    return "was not interrupted"


def exit_with_pending_work(subject: Subject) -> None:
    """What was submitted is done before the interpreter ends, as the stdlib has it."""
    face = subject.make()
    submit_numbers(face, tasks.mark_late, N_TASKS, os.path.abspath(MARKS))


def exit_by_exception(subject: Subject) -> None:
    """A `with` body that raises ends the program with that exception, and with status 1."""
    face = subject.make()
    try:
        submit_numbers(face, tasks.mark_late, N_TASKS, os.path.abspath(MARKS))
        raise ValueError("in the with block")
    finally:
        face.leave(*sys.exc_info())


def exit_while_idle(subject: Subject) -> None:
    """A pool that was used and forgotten ends with the program."""
    face = subject.make()
    handles = submit_numbers(face, tasks.mark, N_TASKS, os.path.abspath(MARKS))
    count_right(face, handles)
    # Kept, as a global of a program is.
    globals()["kept"] = face


def use_in_atexit(subject: Subject) -> None:
    """Whoever submits in an `atexit` handler gets an answer or a RuntimeError, and no hang."""
    face = subject.make()
    describe_pool(face)

    def submit_late() -> None:
        try:
            tell(describe_handle(face, face.submit(abs, -1)))
        except RuntimeError:
            tell("RuntimeError")
        with contextlib.suppress(RuntimeError):
            face.end()

    atexit.register(submit_late)


def fork_with_pool(subject: Subject) -> str:
    """A fork is told that the pool is not its own, and the parent is undisturbed."""
    face = subject.make()
    describe_pool(face)
    pending = submit_numbers(face, tasks.mark_late, N_TASKS, os.path.abspath(MARKS))
    pid = os.fork()
    if pid == 0:
        words = ["RuntimeError", "ok", "caller hangs"]
        word = ""
        try:
            face.wait_for(face.submit(abs, -1), PATIENCE / 2)
            word = "ok"
        except TimeoutError:
            word = "caller hangs"
        except RuntimeError:
            word = "RuntimeError"
        finally:
            os._exit(words.index(word) if word in words else 99)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told = {0: "refused", 1: "answered", 2: "fork hangs"}.get(code, f"exit status {code}")
    return f"{told}, {count_right(face, pending)} of the parent right, {describe_pool(face)}"


def forked_copy_exits(subject: Subject) -> str:
    """A fork that never touches the pool ends as it likes, by `sys.exit`, at once."""
    face = subject.make()
    describe_pool(face)
    pid = os.fork()
    if pid == 0:
        sys.exit(7)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return f"exit status {os.waitstatus_to_exitcode(status)}, {describe_pool(face)}"
        threading.Event().wait(0.01)
    os.kill(pid, signal.SIGKILL)
    return f"fork hangs, {describe_pool(face)}"


def children_ignored(subject: Subject) -> str:
    """A program that ignores SIGCHLD loses statuses, and nothing else."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    face = subject.make()
    handles = submit_numbers(face, tasks.same, N_TASKS)
    return f"{count_right(face, handles)} right, {describe_pool(face)}"


def no_descriptors(subject: Subject) -> str:
    """Without descriptors a call fails or waits; with them it ends, and the pool works again."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    alive = "pool usable"
    # A start fails at another place with each descriptor more.
    for n_spare in range(0, 12, 2):
        face = subject.make()
        # The limit is about numbers, so a gap further down would be a descriptor to spare.
        n_open = 1 + max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + n_spare, limits[1]))
        try:
            handle = face.submit(abs, -1)
            describe_handle(face, handle, 0.2)
        except Exception:
            handle = None
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        if handle is not None and describe_handle(face, handle) == "caller hangs":
            return f"caller hangs, {describe_pool(face)}"
        alive = describe_pool(face)
        if alive != "pool usable":
            break
    return f"the call ends, {alive}"


def many_pools(subject: Subject) -> str:
    """A thousand pools made and ended, some of them used, leave nothing behind."""

    def cycle(is_used: bool) -> None:
        face = subject.make(1)
        if is_used:
            face.wait_for(face.submit(abs, -1), PATIENCE)
        face.end()

    # What is made once and kept is no leak.
    for _ in range(2):
        cycle(True)
    before = _held()
    for number in range(1000):
        cycle(number % 100 == 0)
    # Threads and processes take a moment to go.
    deadline = time.monotonic() + PATIENCE / 2
    while (after := _held()) != before and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    kinds = ("descriptors", "threads", "processes")
    more = [
        f"{now - then} {kind} more"
        for now, then, kind in zip(after, before, kinds, strict=True)
        if now > then
    ]
    return ", ".join(more) or "flat"


def _held() -> tuple[int, int, int]:
    n_children = 0
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children") as stream:
            n_children += len(stream.read().split())
    return len(os.listdir("/proc/self/fd")), threading.active_count(), n_children


if __name__ == "__main__":
    perform(globals())
