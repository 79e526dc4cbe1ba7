"""
Tests of `webworker_executor.web.messaging`: posting, whatever the way is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.belongings import (
    break_off_anywhere,
    n_open,
    post_from_task,
    take_all,
    take_for_task,
    transfer_once,
    use,
)
from webworker_executor import WebWorkerExecutor, Worker
from webworker_executor.errors import DataCloneError
from webworker_executor.web.messaging import MessageTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor.wire.frame import Parts

LIMIT = 20.0


class Looped(MessageTarget):
    """Keeps what it posts, laid out."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Parts] = []

    def _post(self, parts: Parts, fds: Sequence[Any], *_: object) -> None:
        self.posted.append(parts)


def test_a_target_without_a_way_says_so() -> None:
    """The base class alone cannot post."""
    with pytest.raises(NotImplementedError):
        MessageTarget().post_message(1)


def test_what_has_another_side_stays() -> None:
    """It is named as a whole, not by what it is made of, and so is what to send instead."""
    way = r"^message\[1\] cannot be sent: a Looped stays where it was made; make a MessageChannel"
    with pytest.raises(DataCloneError, match=way):
        Looped().post_message([1, Looped()])


def test_a_post_is_one_frame() -> None:
    """A message is laid out when it is posted."""
    target = Looped()
    target.post_message("x")
    assert 1 == len(target.posted)


def test_what_writes_at_once_has_nothing_to_wait_for() -> None:
    """Whoever posts may ask anything that takes messages how much still waits."""
    target = Looped()
    target.post_message("x")
    target.drain(0)
    assert 0 == target.buffered_amount


@pytest.mark.slow
def test_a_transfer_to_a_worker_that_is_broken_off_has_been_made_or_not() -> None:
    """Wherever a signal handler raises: all of it arrives, or all is usable as before."""
    with Worker(take_all, launcher="fork") as worker:
        # A copy of this process has copies of what this one has, until it is a worker.
        worker.receive(LIMIT)
        transfer_once(worker)
        worker.post_message("count")
        before = worker.receive(LIMIT).data
        check_transfers(worker)
        worker.post_message("count")
        assert before == worker.receive(LIMIT).data


@pytest.mark.slow
def test_a_transfer_to_a_worker_of_a_pool_that_is_broken_off_has_been_made_or_not() -> None:
    """The same."""
    with WebWorkerExecutor(1, launcher="fork") as executor:
        executor.submit(take_all).result(LIMIT)
        check_transfers(executor.workers[0])


@pytest.mark.slow
def test_a_transfer_to_a_task_that_is_broken_off_has_been_made_or_not() -> None:
    """The same."""
    with WebWorkerExecutor(1, launcher="fork") as executor:
        future = executor.submit(take_for_task)
        # What may not have been received is kept, to be sent once more.
        assert "begun" == future.messages().receive(LIMIT).data
        check_transfers(future)
        future.post_message("end")
        future.result(LIMIT)


@pytest.mark.slow
def test_a_transfer_to_the_host_that_is_broken_off_has_been_made_or_not() -> None:
    """The same, from a task and from the scope of its worker."""
    with WebWorkerExecutor(1, launcher="fork") as executor:
        future = executor.submit(post_from_task)
        use(future.messages().receive(LIMIT))
        before = n_open()
        for target in (future.messages(), executor.workers[0]):
            while (event := target.receive(LIMIT)).ports:
                use(event)
        # Fewer where a test before this one has left something to be closed. Of what is lost here
        # there is one for each of some hundred steps.
        assert n_open() <= before
        for kept, gone in future.result(LIMIT):
            assert min(kept, gone) > 20


def check_transfers(over: Any) -> None:
    transfer_once(over)
    before = n_open()
    kept, gone = break_off_anywhere(over)
    assert min(kept, gone) > 20
    assert before == n_open()
