"""
Tests of `webworker_executor.web.attention`: the host's threads are used only when they must be.
"""

from __future__ import annotations

import gc
import socket
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from tests.link.interrupts import broken_off
from tests.patience import wait_until
from webworker_executor.link.reactor import READ, WRITE
from webworker_executor.web.attention import Attention
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watched:
    """Notes what its socket is ready for."""

    def __init__(self, end: socket.socket) -> None:
        self.attention = Attention(self, end.fileno(), threading.RLock())
        self.came: Inbox[int] = Inbox()
        self.finished: Inbox[str] = Inbox()

    def ready(self, events: int) -> None:
        # In this order: whoever hears of it may have it go on at once.
        self.attention.pause()
        self.came(events)

    def finish(self) -> None:
        self.attention.forget()
        self.attention.release()
        self.finished(threading.current_thread().name)

    def finish_at_exit(self) -> None:
        raise AssertionError("nothing was posted here")


def is_idle(attention: Attention) -> bool:
    """Whether it has not taken the host's threads up."""
    return attention._reactor is None


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets."""
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_nothing_is_taken_before_something_is_wanted(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Idle until the first wish; told what is ready; paused and going on as asked."""
    watched = Watched(pair[0])
    attention = watched.attention
    attention.want_write(False)
    assert (True, False) == (is_idle(attention), attention.is_reading)
    attention.want_read(True)
    assert (False, True) == (is_idle(attention), attention.is_reading)
    pair[1].send(b"x")
    assert READ == watched.came.get()
    attention.want_write(True)
    assert watched.came.is_empty
    attention.go_on()
    assert READ | WRITE == watched.came.get()
    attention.forget()
    attention.release()
    assert is_idle(attention)


def test_what_nobody_has_any_more_finishes_where_the_threads_are(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """It is closed at once where they are not taken up, and they are not taken up for that."""
    for is_taken_up, is_over, expected in [
        (False, False, ["close"]),
        (True, False, ["webworker-reactor"]),
        (True, True, []),
    ]:
        watched, seen = Watched(pair[0]), list[str]()
        farewell = watched.attention.farewell(partial(seen.append, "close"))
        if is_taken_up:
            watched.attention.want_read(True)
        if is_over:
            watched.attention.forget()
            watched.attention.release()
        farewell()
        farewell()
        if expected == ["webworker-reactor"]:
            seen.append(watched.finished.get())
        assert expected == seen
        watched.attention.forget()
        watched.attention.release()


def test_a_take_up_that_is_broken_off_leaves_the_threads_to_nobody(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Wherever a signal handler raises, what is dropped after that leaves nothing."""

    def renew() -> Callable[[], object]:
        alone[:] = [Watched(pair[0])]
        return alone[0].attention.farewell(bool)

    alone: list[Watched] = []
    drop = renew()
    for _ in broken_off(lambda: alone[0].attention.call_soon(bool)):
        drop()
        wait_until(lambda: not host._users)
        drop = renew()


def test_what_is_waited_for_is_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    """Whoever waits for something is not collected; whoever waits for nothing is."""
    watched = Watched(pair[0])
    is_gone = threading.Event()
    reference = weakref.ref(watched, lambda _: is_gone.set())
    attention = watched.attention
    attention.want_read(True)
    del watched
    gc.collect()
    assert reference() is not None
    attention.want_read(False)
    gc.collect()
    # The reactor may still have it in its hands.
    assert is_gone.wait(10.0)
    attention.release()


def test_what_was_waited_for_a_moment_is_not_kept(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A wish that is taken back before the reactor heard of it keeps nobody."""
    watched = Watched(pair[0])
    is_gone, may_hear = threading.Event(), threading.Event()
    reference = weakref.ref(watched, lambda _: is_gone.set())
    attention = watched.attention
    attention.call_soon(may_hear.wait)
    attention.want_read(True)
    attention.want_read(False)
    may_hear.set()
    del watched
    gc.collect()
    assert is_gone.wait(10.0)
    assert reference() is None
    attention.release()
