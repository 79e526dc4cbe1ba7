"""
Signals that come at a given moment: right after the return of a function of C.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupted_after(name: str, handle: Callable[[], object]) -> Iterator[None]:
    """
    Send this process a signal when a function returns for the first time, on the main thread.

    Args:
        name: The function's; it is one of C.
        handle: Called by the handler, once; may raise.
    """
    has_come = False

    def watch(frame: Any, event: str, function: Any) -> None:
        nonlocal has_come
        if event == "c_return" and function.__name__ == name and not has_come:
            has_come = True
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: handle())
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGUSR1, before)
    assert has_come, f"{name} was not called"
