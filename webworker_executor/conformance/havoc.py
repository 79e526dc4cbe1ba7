"""
Scenarios of tasks that attack their own worker: its descriptors, its signals, its very process.

Whoever changes it must know that innocent tasks run before and behind each: that they are right is
asked, whatever becomes of the task itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webworker_executor.conformance import tasks
from webworker_executor.conformance.scene import (
    PATIENCE,
    count_right,
    describe_handle,
    describe_pool,
    perform,
    submit_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.conformance.subject import Subject


def _harm(subject: Subject, fault: Callable[[], None]) -> str:
    face = subject.make()
    before = submit_numbers(face, tasks.same, 10)
    harmful = face.submit(fault)
    behind = submit_numbers(face, tasks.same, 10)
    told = describe_handle(face, harmful)
    rights = [count_right(face, handles, PATIENCE / 2) for handles in (before, behind)]
    n_right = sum(int(text.split()[0]) for text in rights)
    return f"{told}, {n_right} of 20 others right, {describe_pool(face)}"


def closes_descriptors(subject: Subject) -> str:
    """A task closes every descriptor it can."""
    return _harm(subject, tasks.close_everything)


def covers_channels(subject: Subject) -> str:
    """A task puts /dev/null in the place of every socket and pipe."""
    return _harm(subject, tasks.cover_channels)


def unblocks_channels(subject: Subject) -> str:
    """A task makes every socket and pipe non-blocking."""
    return _harm(subject, tasks.unblock_channels)


def writes_garbage(subject: Subject) -> str:
    """A task writes bytes without meaning into every socket and pipe."""
    return _harm(subject, tasks.write_garbage)


def changes_the_process(subject: Subject) -> str:
    """A task changes signal handlers, the signal mask, the folder, umask and sys.path."""
    return _harm(subject, tasks.change_the_process)


def forks_and_returns(subject: Subject) -> str:
    """A copy of the worker returns from the task too: only the worker answers."""
    face = subject.make()
    handles = submit_numbers(face, tasks.fork_and_return, 20)
    return f"{count_right(face, handles)} right, {describe_pool(face)}"


if __name__ == "__main__":
    perform(globals())
