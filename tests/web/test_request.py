"""
Tests of `webworker_executor.web.request`: replies, and who waits for them.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, as_completed, wait
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import WAITING, broken_off
from tests.patience import wait_until
from webworker_executor import MessageChannel, PortClosedError, Reply, expose, release, wrap
from webworker_executor.web import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0


class Gate:
    """Lets go of what it is given when it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def take(self, value: object) -> object:
        assert self.opened.wait(SECONDS)
        return value


@contextlib.contextmanager
def gate() -> Any:
    """Give a gate of this process, and a proxy of it."""
    with MessageChannel() as channel:
        value = Gate()
        expose(value, channel.port1)
        try:
            yield value, wrap(channel.port2)
        finally:
            value.opened.set()


def test_a_reply_is_a_future_of_the_standard_library() -> None:
    """
    It runs from the first, is never cancelled, and ``wait`` and ``as_completed`` take it.
    """
    with gate() as (value, remote):
        replies: list[Reply] = [remote.take(number) for number in range(3)]
        assert all(isinstance(reply, Future) for reply in replies)
        assert {(False, True, False, False)} == {
            (reply.cancel(), reply.running(), reply.done(), reply.cancelled()) for reply in replies
        }
        assert (set(), set(replies)) == wait(replies, 0.0)
        with pytest.raises(TimeoutError):
            replies[0].result(-1)
        seen: list[Any] = []
        replies[0].add_done_callback(seen.append)
        value.opened.set()
        assert {0, 1, 2} == {reply.result() for reply in as_completed(replies, SECONDS)}
        assert 3 == len(wait(replies, SECONDS, FIRST_COMPLETED).done)
        wait_until(lambda: seen == replies[:1])
        with pytest.raises(InvalidStateError):
            replies[0].set_result(4)


def test_what_the_holder_of_a_reply_sets_is_its_outcome() -> None:
    """The answer that comes is too late, and disturbs nobody."""
    with gate() as (value, remote):
        first, second, third = (remote.take(number) for number in range(3))
        first.set_result("mine")
        second.set_exception(KeyError("mine"))
        value.opened.set()
        assert 2 == third.result(SECONDS)
        assert ("mine", KeyError) == (first.result(), type(second.exception()))


def test_a_reply_is_not_sent() -> None:
    """A copy would never be resolved."""
    with pytest.raises(TypeError, match=r"cannot be sent: .*Pass its result\(\)$"):
        pickle.dumps(Reply(None))


def look(reply: Reply) -> object:
    return reply.result(0.001)


def watch(reply: Reply) -> None:
    reply.add_done_callback(repr)


def count(reply: Reply) -> object:
    return wait([reply], 0.001)


@pytest.mark.parametrize("call", [look, watch, count, repr, Reply.cancel])
def test_whoever_is_broken_off_holds_no_reply_up(
    call: Callable[[Reply], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Wherever a signal handler raises while somebody waits, this answer comes, and the next one.

    The proxy's thread settles them, for which a lock that is left held would be the end.
    """

    def try_it() -> None:
        # The latter is of `wait`, whose lock was not taken.
        with contextlib.suppress(TimeoutError, RuntimeError):
            call(reply)

    monkeypatch.setattr(lazy, "PATIENCE", 0.01)
    with gate() as (value, remote):
        reply = remote.take(-1)
        for step in broken_off(try_it, within=WAITING):
            other = remote.take(step)
            value.opened.set()
            assert (-1, step) == (reply.result(SECONDS), other.result(SECONDS))
            value.opened.clear()
            reply = remote.take(-1)


def test_a_release_that_is_broken_off_fails_what_waits() -> None:
    """Wherever a signal handler raises; what was asked later fails, too."""

    with contextlib.ExitStack() as ends:

        def ask() -> tuple[Any, Reply]:
            channel = ends.enter_context(MessageChannel())
            remote = wrap(channel.port2)
            return remote, remote.take(1)

        def give_up() -> None:
            release(remote)

        remote, reply = ask()
        for step in broken_off(give_up):
            # Before the first of these places nothing has begun.
            if step < 3:
                release(remote)
            assert isinstance(reply.exception(SECONDS), PortClosedError)
            assert isinstance(remote.take(2).exception(SECONDS), PortClosedError)
            remote, reply = ask()
        release(remote)


def test_a_reply_waits_on_a_thread_of_its_own_for_who_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its state stays while ``wait`` holds the lock, and the next answer comes all the same."""
    monkeypatch.setattr(lazy, "PATIENCE", SECONDS)
    with gate() as (value, remote):
        first, second = remote.take(1), remote.take(2)
        with first._condition:
            value.opened.set()
            assert (2, False) == (second.result(SECONDS), first.done())
        assert 1 == first.result(SECONDS)


def test_where_no_thread_can_be_started_a_reply_waits_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No answer is lost."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lazy, "PATIENCE", 0.01)
    with gate() as (value, remote):
        first, second = remote.take(1), remote.take(2)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with first._condition:
            value.opened.set()
            assert [1, 2] == [reply.result(SECONDS) for reply in (first, second)]
