"""
Tests of `webworker_executor.child.host_target`: what a worker knows of those who read it.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.child.posting import (
    BLOCK,
    LIMIT,
    N_BLOCKS,
    N_LARGE,
    post_and_drain,
    post_and_drain_nothing,
    post_and_drain_scope,
    post_broken_off,
    post_large_and_drain,
)
from tests.patience import wait_until
from webworker_executor import TaskAborted, WebWorkerExecutor, Worker
from webworker_executor.child.host_target import FREE_NBYTES, REGISTERED_NBYTES, HostTarget
from webworker_executor.web.message import LENT_NBYTES
from webworker_executor.wire.place import LadenParts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.web.launchers import LauncherName


def test_what_a_reader_may_leave_is_less_than_what_is_free() -> None:
    """
    Or a writer would wait for a receipt that nobody owes.
    """
    assert REGISTERED_NBYTES < FREE_NBYTES


@given(
    st.lists(st.tuples(st.integers(1, 3 * REGISTERED_NBYTES), st.booleans()), max_size=60),
    st.data(),
)
def test_the_amount_is_what_is_not_acknowledged(
    sizes: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """
    To within what is on its way to the next receipt; and nothing when all is taken.
    """
    target, n_due, n_posted, n_taken = HostTarget(), 0, 0, 0
    since = [0]
    for size, is_laden in sizes:
        n_posted += size
        since[-1] += size
        parts: list[Any] = [bytes(size)]
        if is_laden:
            # It goes in shared memory, beside a part of one byte.
            parts = LadenParts([bytes(1)])
            parts.nbytes = size - 1
        counting = target._counting(parts)
        for step in counting:
            step()
        if counting:
            n_due += 1
            since.append(0)
        if n_due and data.draw(st.booleans()):
            target._acknowledged()
            n_due -= 1
            n_taken += since.pop(0)
        assert max(0, n_posted - n_taken - FREE_NBYTES) == target.buffered_amount
    for _ in range(n_due):
        target._acknowledged()
    assert 0 == target.buffered_amount
    # One too many, of an earlier attempt at a task, is none.
    target._acknowledged()
    target.drain(0.0)


@pytest.fixture
def pool(launcher: LauncherName) -> Iterator[WebWorkerExecutor]:
    """
    Make a pool of one worker.
    """
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        yield executor


def n_read(messages: Any) -> int:
    return sum(event.data == BLOCK for event in messages)


def wait_for_all(messages: Any) -> None:
    wait_until(lambda: N_BLOCKS + 1 == len(messages._inbox))


def test_a_task_can_wait_for_its_reader(pool: WebWorkerExecutor) -> None:
    """
    What it has posted beyond a MiB counts until it is read, and it rests as long.
    """
    future = pool.submit(post_and_drain)
    messages = future.messages()
    wait_for_all(messages)
    assert not future.done()
    assert N_BLOCKS == n_read(messages)
    overhead = 64 * N_BLOCKS
    assert 0 <= future.result(LIMIT) - (N_BLOCKS * len(BLOCK) - FREE_NBYTES) < overhead


@pytest.mark.parametrize("n_bytes", [LENT_NBYTES, FREE_NBYTES, 3 * FREE_NBYTES])
def test_what_goes_in_shared_memory_is_counted_as_the_rest(
    pool: WebWorkerExecutor, n_bytes: int
) -> None:
    """
    A task that posts it to a slow reader rests as long.
    """
    future = pool.submit(post_large_and_drain, n_bytes)
    messages = future.messages()
    wait_until(lambda: N_LARGE + 1 == len(messages._inbox))
    assert not future.done()
    assert [n_bytes] * N_LARGE == [len(messages.receive(LIMIT).data) for _ in range(N_LARGE)]
    overhead = 256 * N_LARGE
    assert 0 <= future.result(LIMIT) - (N_LARGE * n_bytes - FREE_NBYTES) < overhead


def test_listeners_are_readers(pool: WebWorkerExecutor) -> None:
    """
    Whatever they do with it.
    """
    future, came = pool.submit(post_and_drain), list[Any]()
    future.onmessage = lambda event: came.append(event.data)
    assert future.result(LIMIT) >= 0
    wait_until(lambda: N_BLOCKS + 1 == len(came))


def test_the_wait_has_an_end(pool: WebWorkerExecutor) -> None:
    """
    Nothing is lost then.
    """
    future = pool.submit(post_and_drain, 0.05)
    with pytest.raises(TimeoutError, match=r"bytes still wait in <RunningTask #\d+> after 0\.05 s"):
        future.result(LIMIT)
    assert N_BLOCKS == n_read(future.messages())


def test_an_abort_ends_the_wait(pool: WebWorkerExecutor) -> None:
    """
    As it ends that for a message; the worker goes on.
    """
    pid = pool.submit(post_and_drain_nothing).result(LIMIT)
    future = pool.submit(post_and_drain)
    messages = future.messages()
    wait_for_all(messages)
    wait_until(lambda: messages.heeds)
    future.abort()
    with pytest.raises(TaskAborted):
        future.result(LIMIT)
    assert pid == pool.submit(post_and_drain_nothing).result(LIMIT)


def test_the_end_of_an_executor_waits_for_no_reader(launcher: LauncherName) -> None:
    """
    Whoever would read is in shutdown(); what was posted can be read after that.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.submit(post_and_drain)
        wait_for_all(future.messages())
        raw = pool.submit(post_and_drain_scope)
    assert future.result(0.0) > 0
    assert raw.result(0.0) >= 0
    assert N_BLOCKS == n_read(future.messages())


def test_a_worker_of_a_pool_can_wait_for_its_reader(pool: WebWorkerExecutor) -> None:
    """
    Its own channel is counted by itself.
    """
    future = pool.submit(post_and_drain_scope)
    inbox = pool.workers[0]._inbox
    wait_until(lambda: N_BLOCKS == len(inbox))
    assert not future.done()
    for _ in range(N_BLOCKS):
        assert BLOCK == pool.workers[0].receive(LIMIT).data
    assert future.result(LIMIT) > 0


DRAINING = """
for _ in range(64):
    post_message(bytes(1 << 16))
scope.drain()
post_message("drained")
"""


def test_a_post_that_is_broken_off_is_counted_if_it_goes(pool: WebWorkerExecutor) -> None:
    """
    Wherever a signal handler raises: nobody waits for the reader of what has not left.
    """
    future = pool.submit(post_broken_off)
    n_came = len([*future.messages()])
    n_places = future.result(LIMIT)
    assert 1 < n_came < n_places


def draining(launcher: LauncherName) -> Worker:
    """
    Start a script that has posted all, and waits for its reader.
    """
    worker = Worker(source=DRAINING, launcher=launcher)
    wait_until(lambda: N_BLOCKS == worker.statistics().n_waiting)
    return worker


def test_a_script_can_wait_for_its_reader(launcher: LauncherName) -> None:
    """
    Its last word comes after all has been read.
    """
    with draining(launcher) as worker:
        for _ in range(N_BLOCKS):
            assert BLOCK == worker.receive(LIMIT).data
        assert "drained" == worker.receive(LIMIT).data


def test_a_script_that_waits_hears_that_it_is_to_end(launcher: LauncherName) -> None:
    """
    It is not forced.
    """
    assert 0 == draining(launcher).terminate(timeout=None).result(LIMIT)


def test_a_script_whose_reader_is_gone_waits_no_more(launcher: LauncherName) -> None:
    """
    Who lets go of a worker has lost interest in what it says.
    """
    worker = draining(launcher)
    lifetime = worker.lifetime
    del worker
    gc.collect()
    lifetime.result(LIMIT)
