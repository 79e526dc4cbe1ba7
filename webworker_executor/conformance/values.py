"""
Scenarios of what goes to a worker and what comes back.

Whoever changes it must know that it is the `__main__` module of its program: functions and classes
here are what users define in theirs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from webworker_executor.conformance import tasks
from webworker_executor.conformance.scene import (
    PATIENCE,
    describe,
    describe_call,
    describe_handle,
    describe_pool,
    perform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.conformance.face import Face
    from webworker_executor.conformance.subject import Subject

LARGE_NBYTES = 24 << 20


class NeedsArgumentsError(Exception):
    """An exception that cannot be made from its `args` alone."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code


class FalsyError(Exception):
    """An exception that is false, as one with a length of 0 is."""

    def __len__(self) -> int:
        return 0


class DemandError(BaseException):
    """An exception that is no `Exception`."""


class FailsToUnpickle:
    """Packs well and cannot be unpacked."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return _raise_value_error, ("cannot be unpacked",)


def _raise_value_error(reason: str) -> None:
    raise ValueError(reason)


def _raise_needs_arguments() -> None:
    raise NeedsArgumentsError(3, "a full disk")


def _raise_class(cls: type[BaseException]) -> None:
    raise cls


def _raise_from_cause() -> None:
    try:
        1 / 0  # noqa: B018  # it is to raise
    except ZeroDivisionError as exc:
        raise ValueError("outer") from exc


def _return_lock() -> object:
    return threading.Lock()


def _return_fails_to_unpickle() -> FailsToUnpickle:
    return FailsToUnpickle()


def lambda_task(subject: Subject) -> str:
    """A lambda goes to a worker."""
    return describe(subject.make(), lambda: 1)


def unpicklable_argument(subject: Subject) -> str:
    """An argument that cannot be packed fails its own call."""
    return describe_call(subject, id, threading.Lock())


def argument_fails_to_unpickle(subject: Subject) -> str:
    """An argument that cannot be unpacked fails its own call."""
    return describe_call(subject, id, FailsToUnpickle())


def mutated_argument(subject: Subject) -> str:
    """What is sent is what it was when it was submitted."""
    face = subject.make()
    argument = [1]
    handles = [face.submit(time.sleep, 0.2) for _ in range(8)]
    handles.append(face.submit(list, argument))
    argument.append(2)
    return "intact" if face.wait_for(handles[-1], PATIENCE) == [1] else "corrupted"


def context_variable(subject: Subject) -> str:
    """The context of `submit` is the context of the task."""
    face = subject.make()
    describe_pool(face)
    tasks.LANGUAGE.set("set by the caller")
    told = face.wait_for(face.submit(tasks.read_language), PATIENCE)
    return "yes" if told == "set by the caller" else "no"


def unpicklable_result(subject: Subject) -> str:
    """A result that cannot be packed fails its own call."""
    return describe_call(subject, _return_lock)


def result_fails_to_unpickle(subject: Subject) -> str:
    """A result that cannot be unpacked fails its own call."""
    return describe_call(subject, _return_fails_to_unpickle)


def large_both_ways(subject: Subject) -> str:
    """Neither side waits for the other to read."""
    face = subject.make()
    large = os.urandom(1 << 20) * (LARGE_NBYTES >> 20)
    handles = [face.submit(tasks.same, large) for _ in range(4)]
    small = describe(face, abs, -1)
    for handle in handles:
        try:
            if face.wait_for(handle, 4 * PATIENCE) != large:
                return "corrupted"
        except TimeoutError:
            return "caller hangs"
    return "intact" if small in ("ok", "caller hangs") else small


def required_arguments(subject: Subject) -> str:
    """An exception with required arguments comes back whole."""
    face = subject.make()
    try:
        face.wait_for(face.submit(_raise_needs_arguments), PATIENCE)
    except NeedsArgumentsError as exc:
        verdict = "right exception" if exc.code == 3 else "exception without its attributes"
    except TimeoutError:
        verdict = "caller hangs"
    except BaseException as exc:
        verdict = type(exc).__name__
    else:
        verdict = "no exception"
    return f"{verdict}, {describe_pool(face)}"


def unpicklable_exception(subject: Subject) -> str:
    """An exception that cannot be packed still tells what it is."""
    face = subject.make()
    told = "no exception"
    try:
        face.wait_for(face.submit(tasks.throw_unpicklable), PATIENCE)
    except TimeoutError:
        told = "caller hangs"
    except BaseException as exc:
        lines = "".join(traceback.format_exception(exc))
        told = "told" if "ValueError: a lock inside" in lines else f"{type(exc).__name__} alone"
    return f"{told}, {describe_pool(face)}"


def falsy_exception(subject: Subject) -> str:
    """An exception that is false is one all the same."""
    face = subject.make()
    return f"{_describe_raised(face, FalsyError)}, {describe_pool(face)}"


def base_exception(subject: Subject) -> str:
    """An exception that is no `Exception` comes back like others."""
    face = subject.make()
    return f"{_describe_raised(face, DemandError)}, {describe_pool(face)}"


def exit_in_task(subject: Subject) -> str:
    """`sys.exit` in a task is an exception like others."""
    return describe_call(subject, sys.exit, 3)


def remote_frames(subject: Subject) -> str:
    """The frames of the worker and the cause are objects here."""
    face = subject.make()
    handle = face.submit(_raise_from_cause)
    try:
        face.wait_for(handle, PATIENCE)
    except ValueError as exc:
        names = {frame.f_code.co_name for frame, _ in traceback.walk_tb(exc.__traceback__)}
        frames = "yes" if _raise_from_cause.__name__ in names else "no"
        cause = "yes" if isinstance(exc.__cause__, ZeroDivisionError) else "no"
        return f"{frames} / {cause}"
    return "no exception"


def _describe_raised(face: Face, cls: type[BaseException]) -> str:
    told = describe_handle(face, face.submit(_raise_class, cls))
    return "right exception" if told == cls.__name__ else told


if __name__ == "__main__":
    perform(globals())
