"""
Tests of `webworker_executor.link.end`: an end of a stream that is owned.
"""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING

import pytest

from webworker_executor.link.end import End

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_takes_the_descriptor_over() -> None:
    """The socket it is made of has none any more, and it blocks where it is read."""
    near, far = socket.socketpair()
    near.setblocking(False)
    with far:
        end = End(near)
        assert (-1, True) == (near.fileno(), end.getblocking())
        end.close()


def test_it_is_closed_in_silence() -> None:
    """Dropped, also in a circle of references, it closes and warns nobody."""
    near, far = socket.socketpair()
    with far:
        circle: list[object] = [End(near)]
        circle.append(circle)
        del circle
        gc.collect()
        assert b"" == far.recv(1)


@pytest.mark.parametrize("stop", [End.stop_reading, lambda end: end.stopper()()])
def test_a_reader_can_be_woken(stop: Callable[[End], object]) -> None:
    """It reads the end, and what was written before arrives."""
    near, far = socket.socketpair()
    with far, End(near) as end:
        end.send(b"x")
        stop(end)
        assert b"" == end.recv(1)
        assert b"x" == far.recv(1)
    with End(socket.socket(socket.AF_UNIX)) as alone:
        alone.stop_reading()


def test_who_is_gone_has_no_reader_to_wake() -> None:
    """In a finalizer nobody could hear of the error."""
    near, far = socket.socketpair()
    end = End(near)
    stop = end.stopper()
    with far:
        end.close()
        stop()
        stop()
        # Until then it was closed on one side only.
        assert b"" == far.recv(1)
    near, far = socket.socketpair()
    with End(near) as end:
        far.close()
        end.stopper()()
