"""
What the scenarios share: describing what a call came to, and being a program.

Each module of scenarios is a program: `python -m webworker_executor.conformance.values NAME`, with
the subject in the environment. It stands alone since some pools hang, and a hang must take no more
than one session with it.

Whoever changes it must know that a scenario which returns a text has judged itself, and leaves
without tidying up; one that returns None ends as programs end, and is judged from outside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

from webworker_executor.conformance.face import NotAskedError
from webworker_executor.conformance.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from webworker_executor.conformance.face import Face

PATIENCE = 5.0
"""Seconds after which a call that has not come back is said to hang."""

OUTCOME = "CONFORMANCE_OUTCOME"
"""The environment variable with the path of the file that takes what has come of a scenario."""

FIFO = "CONFORMANCE_FIFO"
"""The environment variable with the path of a named pipe that tasks say their pid into."""

TERMINAL = "CONFORMANCE_TERMINAL"
"""The environment variable with the path of a terminal, for a program that is to have one."""

FAILED = "fails: "
"""How an outcome begins that is an exception which the scenario did not expect."""


def describe(face: Face, fn: Callable[..., object], *args: object) -> str:
    """Submit a call and say what it came to: "ok", "caller hangs", or the exception's class."""
    try:
        handle = face.submit(fn, *args)
    except BaseException as exc:
        return type(exc).__name__
    return describe_handle(face, handle)


def describe_handle(face: Face, handle: Any, patience: float = PATIENCE) -> str:
    """Say what a call came to, of those that are under way."""
    try:
        face.wait_for(handle, patience)
    except TimeoutError as exc:
        return "caller hangs" if type(exc) is TimeoutError else type(exc).__name__
    except BaseException as exc:
        return type(exc).__name__
    return "ok"


def describe_pool(face: Face) -> str:
    """Say whether the pool still takes calls."""
    return "pool usable" if describe(face, abs, -1) == "ok" else "pool dead"


def describe_call(subject: Subject, fn: Callable[..., object], *args: object) -> str:
    """Submit a call to a new pool and say what it came to, and what the pool is worth then."""
    face = subject.make()
    return f"{describe(face, fn, *args)}, {describe_pool(face)}"


def count_right(face: Face, handles: Iterable[Any], patience: float = PATIENCE) -> str:
    """Say how many calls gave their own number in the line, "20 of 20"; all within some seconds."""
    deadline = monotonic() + patience
    handles = list(handles)
    n_right = 0
    for number, handle in enumerate(handles):
        with contextlib.suppress(BaseException):
            n_right += face.wait_for(handle, max(0.0, deadline - monotonic())) == number
    return f"{n_right} of {len(handles)}"


def count(words: Iterable[str]) -> str:
    """Say how often each word stands there: "4 ok, 1 ValueError"."""
    tally = Counter(words)
    return ", ".join(f"{tally[word]} {word}" for word in sorted(tally, key=str.lower))


def submit_numbers(face: Face, fn: Callable[..., object], n_calls: int, *args: object) -> list[Any]:
    """Submit calls with the numbers from 0 on; where the pool refuses, with None for a handle."""
    handles: list[Any] = []
    for number in range(n_calls):
        try:
            handles.append(face.submit(fn, *args, number))
        except Exception:
            handles.append(None)
    return handles


@contextlib.contextmanager
def listening(path: str | None = None) -> Iterator[Callable[[int], list[int]]]:
    """Read from the program's named pipe: give a function that waits for so many pids."""
    # Open for writing too: with a reader that never sees the end, no writer comes too late.
    fd = os.open(path or os.environ[FIFO], os.O_RDWR)
    with open(fd) as stream:
        yield lambda n_pids: [int(stream.readline()) for _ in range(n_pids)]


def kill(pid: int) -> None:
    """Kill a process, which may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def tell(outcome: str) -> None:
    """Write down what has come of the scenario."""
    path = os.environ[OUTCOME]
    with open(f"{path}.new", "w") as stream:
        stream.write(outcome)
    os.replace(f"{path}.new", path)


def perform(scenarios: Mapping[str, Any]) -> None:
    """
    Be the program of the scenario that the command line names.

    Args:
        scenarios: The globals of the module that is the program.
    """
    # A shell that starts something in the background has Ctrl-C ignored for it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if TERMINAL in os.environ:
        # The first terminal that the leader of a session opens is its own.
        terminal = os.open(os.environ[TERMINAL], os.O_RDWR)
        for fd in range(3):
            os.dup2(terminal, fd)
        os.close(terminal)
    scenario = scenarios[sys.argv[1]]
    try:
        outcome = scenario(Subject.here())
    except NotAskedError as exc:
        outcome = str(exc)
    if outcome is None:
        return
    tell(outcome)
    # A pool that hangs would hang its exit as well; the outcome is written down.
    os._exit(0)
