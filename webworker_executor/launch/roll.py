"""
The Python stacks of some processes: asked for together, and waited for no longer than told.

How one process is asked is told in ``witness``; here, what is said of one that gives no answer.
"""

from __future__ import annotations

import functools

from webworker_executor.launch import procfs
from webworker_executor.link.flag import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from webworker_executor.launch.launcher import Child
    from webworker_executor.launch.witness import Witness

    class Subject(Protocol):
        """A process that may be asked; hashed by its identity."""

        witness: Witness | None

        @property
        def child(self) -> Child | None:
            """The process, once there is one."""

        @property
        def pid(self) -> int | None:
            """Its process id, ``None`` before there is a process."""


# What the kernel calls states of a process in which it answers nobody. proc_pid_stat(5).
SILENT = {
    "T": "stopped by a signal such as SIGSTOP; it goes on after SIGCONT",
    "t": "stopped by a debugger",
    "Z": "dead",
    "X": "dead",
}
# How long the reactor may take to let go of those that gave no answer.
HAND_BACK_SECONDS = 1.0


class _Roll:
    """The answers of some processes; on the reactor's thread, but for ``wait``."""

    def __init__(self, processes: Sequence[Subject]) -> None:
        self.answers: dict[Subject, str] = {}
        self._processes = processes
        self._callbacks: dict[Subject, Callable[[str], None]] = {}
        self._is_done = Flag()
        self._is_over = Flag()

    def ask(self) -> None:
        for process in self._processes:
            state = procfs.state_of(process.pid)
            if process.witness is None or process.child is None or state in SILENT:
                self.answers[process] = ""
                continue
            callback = functools.partial(self._answered, process)
            self._callbacks[process] = callback
            process.witness.ask(process.child, callback)
        self._look()

    def _answered(self, process: Subject, text: str) -> None:
        self.answers[process] = text
        self._look()

    def _look(self) -> None:
        if len(self.answers) == len(self._processes):
            self._is_done.set()

    def finish(self) -> None:
        for process, callback in self._callbacks.items():
            if process.witness is not None and process not in self.answers:
                self.answers[process] = process.witness.forget(callback)
        self._is_over.set()

    def wait(self, timeout: float, call_soon: Callable[[Callable[[], None]], None]) -> None:
        try:
            self._is_done.wait(timeout)
        finally:
            # Also when a signal handler raises: whoever is still asked would be asked for ever.
            call_soon(self.finish)
        self._is_over.wait(HAND_BACK_SECONDS)


def ask(
    processes: Sequence[Subject], timeout: float, call_soon: Callable[[Callable[[], None]], None]
) -> dict[Subject, str]:
    """
    Ask processes for their stacks; any thread but the reactor's.

    Args:
        processes: Each at most once.
        timeout: Seconds to wait at most.
        call_soon: Has the reactor call something.

    Returns:
        What each has answered by then: nothing, or a part, of those that were too slow.
    """
    roll = _Roll(processes)
    call_soon(roll.ask)
    roll.wait(timeout, call_soon)
    return roll.answers


def silence(process: Subject, timeout: float) -> str:
    """Say why a process gave no answer, as far as can be seen from outside."""
    state = procfs.state_of(process.pid)
    if process.pid is None:
        why = "it is being created"
    elif process.child is None or not process.child.is_alive() or state is None:
        why = "it has ended"
    elif state in SILENT:
        why = f"it is {SILENT[state]}"
    elif process.witness is None:
        why = "it is not of Python, or no descriptor was left for its answer when it was started"
    else:
        why = f"none came in {timeout} s; the kernel calls its state {state}"
    return f"  <no answer: {why}>"
