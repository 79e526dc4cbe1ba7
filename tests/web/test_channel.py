"""
Tests of `webworker_executor.web.channel`: two ports of a pair.
"""

from __future__ import annotations

import contextlib
import gc
import os

import pytest

from tests.link.interrupts import ctrl_c, interrupted_at
from webworker_executor import MessageChannel
from webworker_executor.link import fds

LIMIT = 10.0


def test_what_one_port_posts_the_other_receives() -> None:
    """Both ways."""
    with MessageChannel() as channel:
        channel.port1.post_message("there")
        channel.port2.post_message("back")
        assert "there" == channel.port2.receive(LIMIT).data
        assert "back" == channel.port1.receive(LIMIT).data


def test_a_block_closes_both_ports() -> None:
    """At its end nothing is left open."""
    with MessageChannel() as channel:
        pass
    assert (True, True) == (channel.port1.closed, channel.port2.closed)


# What closes it is the socket itself, which tells of that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_making_that_is_broken_off_anywhere_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever a signal handler raises, each descriptor has an owner, who closes it."""
    # So that each end is laid higher.
    monkeypatch.setattr(fds, "LOWEST", 200)

    def n_open() -> int:
        return len(os.listdir("/proc/self/fd"))

    with MessageChannel():
        pass
    before, step, is_through = n_open(), 0, False
    while not is_through:
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c), MessageChannel():
            is_through = True
        gc.collect()
        assert before == n_open(), step
        step += 1
    assert step > 20
