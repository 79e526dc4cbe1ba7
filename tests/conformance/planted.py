"""
Executors that are bad on purpose, each in its own way, for the tool to find out.

Scenarios' programs import this module by name, so it may import nothing of a test runner.
"""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Hanging(Executor):
    """Takes calls, and never does one."""

    def __init__(self, max_workers: int, **options: Any) -> None:
        self.max_workers = max_workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


class HangingForEver(Hanging):
    """Does not even come back from `submit`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        threading.Event().wait()
        raise AssertionError


class Lying(Hanging):
    """Says 0, whatever it is asked."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(0)
        return future


class Refusing(Hanging):
    """Takes no call."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise OSError("no calls today")


class Exiting(Hanging):
    """Ends the program where others would start workers."""

    def __init__(self, max_workers: int, **options: Any) -> None:
        os._exit(5)


class Local(Hanging):
    """Has no workers: does each call where it stands."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as exc:
            future.set_exception(exc)
        return future


class Leaking(Hanging):
    """Opens a descriptor for each pool, and keeps it."""

    def __init__(self, max_workers: int, **options: Any) -> None:
        if os.dup(1) > 500:
            os.closerange(500, 1000)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Orphaning(ProcessPoolExecutor):
    """Starts a process that no end of the program ends, in a session of its own."""

    def __init__(self, max_workers: int, **options: Any) -> None:
        super().__init__(max_workers, **options)
        self.orphan = subprocess.Popen(["sleep", "60"], start_new_session=True)
