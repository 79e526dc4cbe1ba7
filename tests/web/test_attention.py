"""
Tests of `webworker_executor.web.attention`: the host's threads are used only when they must be.
"""

from __future__ import annotations

import gc
import socket
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from webworker_executor.link.reactor import READ, WRITE
from webworker_executor.web.attention import Attention

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watched:
    """Notes what its socket is ready for."""

    def __init__(self, end: socket.socket) -> None:
        self.attention = Attention(self, end.fileno(), threading.RLock())
        self.came: Inbox[int] = Inbox()

    def ready(self, events: int) -> None:
        # In this order: whoever hears of it may have it go on at once.
        self.attention.pause()
        self.came(events)

    def finish_at_exit(self) -> None:
        raise AssertionError("nothing was posted here")


def is_idle(attention: Attention) -> bool:
    """Whether it has not taken the host's threads up."""
    return not attention.call_soon_unless_idle(int)


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


def test_what_has_let_go_of_the_threads_is_not_called(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Nor does it take them up again for that; while it has them, it is."""
    watched, called = Watched(pair[0]), Inbox[int]()
    attention = watched.attention
    assert not attention.call_soon_unless_idle(lambda: called(1))
    assert is_idle(attention)
    attention.want_read(True)
    assert attention.call_soon_unless_idle(lambda: called(2))
    assert 2 == called.get()
    attention.forget()
    attention.release()
    assert not attention.call_soon_unless_idle(lambda: called(3))
    assert (True, True) == (is_idle(attention), called.is_empty)


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
