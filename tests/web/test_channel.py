"""
Tests of `webworker_executor.web.channel`: two ports of a pair.
"""

from __future__ import annotations

from webworker_executor import MessageChannel

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
