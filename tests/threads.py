"""
Calls in many threads, for tests of what happens when they meet, and errors thrown into a wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from tests.link.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
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
        AssertionError: One has not returned within half a minute.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait(20)
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def each_in_order(call: Callable[[Callable[[], object]], object]) -> bool:
    """
    Have many threads ask for calls at once, and wait until all were made.

    Args:
        call: Takes a call, to be made later.

    Returns:
        Whether those of each thread were made in the order in which it asked.
    """
    made = Inbox[tuple[int, int]]()

    def ask(thread: int) -> None:
        for number in range(500):
            call(partial(made, (thread, number)))

    run_together(*[partial(ask, thread) for thread in range(8)])
    # Sorting keeps the order of what is equal.
    in_order = sorted(made.take(4000), key=itemgetter(0))
    return in_order == [(thread, number) for thread in range(8) for number in range(500)]


def fork_while_held(
    locks: Iterable[AbstractContextManager[object]], in_the_copy: Callable[[], object]
) -> int:
    """
    Fork while another thread holds some locks, which nobody gives back in the copy.

    Args:
        locks: What is held; taken in this order.
        in_the_copy: Called there. It has half a minute.

    Returns:
        The exit status of the copy: 0 if the call has returned something true.
    """
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            is_held.set()
            is_over.wait(40)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)
            status = 0 if in_the_copy() else 1
        finally:
            os._exit(status)
    is_over.set()
    thread.join()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
