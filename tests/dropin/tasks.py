"""Calls that workers import by name. A module of its own, so that a worker loads little."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any, NoReturn

STATE: list[object] = []


def echo(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments."""
    return args, kwargs


def add(left: int, right: int) -> int:
    """Return the sum."""
    return left + right


def double(number: int) -> int:
    """Return the number twice."""
    return 2 * number


def fail_at(bad: int, number: int) -> int:
    """Return the number, or raise ValueError for a bad one."""
    if number == bad:
        raise ValueError(number)
    return number


def throw(exc: BaseException) -> NoReturn:
    """Raise what is given."""
    raise exc


def throw_class(cls: type[BaseException]) -> NoReturn:
    """Raise an instance with two arguments."""
    raise cls("one", 2)


def die() -> None:
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def describe_thread() -> tuple[bool, bool, bool]:
    """Say whether this is the main thread, and whether SIGINT and SIGTERM are handled as usual."""
    return (
        threading.current_thread() is threading.main_thread(),
        signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
    )


def describe_process() -> tuple[tuple[int, ...], int | None, bool, int]:
    """Say who this process is to multiprocessing, and what files may be made."""
    process, parent = multiprocessing.current_process(), multiprocessing.parent_process()
    umask = os.umask(0)
    os.umask(umask)
    pid = None if parent is None else parent.pid
    return process._identity, pid, process.daemon, umask


def remember(*values: object) -> None:
    """Keep values in this worker; an initializer."""
    STATE.extend(values)


def recall() -> list[object]:
    """Return what this worker keeps."""
    return STATE


def refuse(reason: str) -> NoReturn:
    """Fail; an initializer."""
    raise ValueError(reason)


def put(queue: Any, value: object) -> None:
    """Put a value into a manager's queue."""
    queue.put(value)


class Doubler:
    """A callable object, and one with a method."""

    def double(self, number: int) -> int:
        """Return the number twice."""
        return 2 * number

    __call__ = double
