"""
Calls in many threads, for tests of what happens when they meet, and errors thrown into a wait.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextlib.contextmanager
def struck(
    error: type[BaseException], is_time: Callable[[FrameType | None], object]
) -> Iterator[None]:
    """
    Have a signal handler raise an error in the main thread, once, as soon as it is time for it.

    The signal comes again and again: one that comes just before a thread goes to sleep is not seen
    by CPython until it wakes.

    Args:
        error: What is raised, with a text.
        is_time: Asked by the handler, with the frame that it struck.
    """
    main = threading.main_thread().ident
    assert main is not None
    is_over = False

    def strike(number: int, frame: FrameType | None) -> None:
        nonlocal is_over
        if not is_over and is_time(frame):
            is_over = True
            raise error("from the handler")

    def send() -> None:
        pause = threading.Event()
        while not is_over:
            signal.pthread_kill(main, signal.SIGUSR1)
            pause.wait(0.01)

    before = signal.signal(signal.SIGUSR1, strike)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over = True
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def run_together(*calls: Callable[[], object]) -> None:
    """
    Make calls in threads that begin at the same moment, and wait for all.

    Args:
        calls: One for each thread.

    Raises:
        AssertionError: One has not returned within ten seconds.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait(5)
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
