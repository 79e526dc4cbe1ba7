"""
Signals that come at a given moment: where Python runs handlers, and where else it takes luck.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import webworker_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = (os.path.join(os.path.dirname(webworker_executor.__file__), ""),)
# What waits in the way of the standard library.
WAITING = (*PACKAGE, concurrent.futures.__path__[0], threading.__file__)


def ctrl_c() -> None:
    """Raise what Ctrl-C does: what most handlers here are for."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupted_after(name: str, handle: Callable[[], object]) -> Iterator[None]:
    """
    Send this process a signal when a function of C returns for the first time.

    Args:
        name: The function's; called by the package, on the main thread.
        handle: Called by the handler of the signal.
    """
    is_it = iter([False])

    def is_due(event: str, function: Any) -> bool:
        return event == "c_return" and function.__name__ == name and not next(is_it, True)

    with _interrupted(is_due, handle):
        yield
    assert next(is_it, None) is None, f"{name} was not called"


@contextlib.contextmanager
def interrupted_at(
    step: int, handle: Callable[[], object], within: tuple[str, ...] = PACKAGE
) -> Iterator[None]:
    """
    Send this process a signal at one of the places where Python runs handlers.

    Args:
        step: How many such places, on the main thread, come before.
        handle: Called by the handler of the signal.
        within: How the names of the files begin where they are.
    """
    steps = iter(range(step + 1))

    def is_due(event: str, _: Any) -> bool:
        return event in {"call", "c_return"} and next(steps, None) == step

    with _interrupted(is_due, handle, within):
        yield


class BrokenOff(BaseException):
    """What `broken_off` raises, so that nobody takes it for something else."""


def broken_off(
    call: Callable[[], object], every: int = 1, within: tuple[str, ...] = PACKAGE
) -> Iterator[int]:
    """
    Have a signal handler raise at one place of a call after the other, and give each step.

    Args:
        call: Made anew for each step; the last time it is not broken off.
        every: How many steps from one to the next.
        within: As for `interrupted_at`.

    Raises:
        AssertionError: It is not broken off anywhere.
    """
    struck: list[bool] = []

    def stop() -> None:
        struck.append(True)
        raise BrokenOff

    for step in itertools.count(0, every):
        struck.clear()
        with contextlib.suppress(BrokenOff), interrupted_at(step, stop, within):
            call()
        yield step
        if not struck:
            assert step, "the call has no such place"
            return


@contextlib.contextmanager
def _interrupted(
    is_due: Callable[[str, Any], bool],
    handle: Callable[[], object],
    within: tuple[str, ...] = PACKAGE,
) -> Iterator[None]:
    def watch(frame: Any, event: str, function: Any) -> None:
        if frame.f_code.co_filename.startswith(within) and is_due(event, function):
            signal.raise_signal(signal.SIGUSR1)

    # What others have left is not to be collected meanwhile: Python swallows what is raised in a
    # finalizer, and the signal would have come for nothing.
    was_collecting = gc.isenabled()
    gc.disable()
    before = signal.signal(signal.SIGUSR1, lambda *_: handle())
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGUSR1, before)
        if was_collecting:
            gc.enable()
