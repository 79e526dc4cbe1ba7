"""
Large buffers go by shared memory: nobody notices but by the speed.
"""

from __future__ import annotations

import functools
import gc
import os
import pickle
from typing import Any

import pytest

from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.pool import large
from webworker_executor import (
    MessageChannel,
    WebWorkerExecutor,
    WorkerCrashedError,
    structured_clone,
)
from webworker_executor.link.memory import Store, store


@pytest.fixture
def small_store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """
    Let this process own two segments of memory at most.
    """
    monkeypatch.setattr(store, "max_segments", 2)
    return store


def test_there_and_back(pool: WebWorkerExecutor) -> None:
    """
    A large value arrives whole, whichever way the worker was started.
    """
    value = large.block(1)
    assert value == pool.submit(large.same, value).result(20.0)
    assert store.nbytes > 0
    assert [value] * 3 == list(pool.map(large.same, [value] * 3, timeout=20.0))


def test_many_buffers_of_one_value(forked: WebWorkerExecutor) -> None:
    """
    Several buffers of one value come in order, and each can be kept by itself.
    """
    values = [large.block(number, large.NBYTES + number) for number in range(1, 6)]
    back: Any = forked.submit(large.same, values).result(20.0)
    assert values == back
    kept = back[2]
    del back
    for number in range(20):
        assert large.block(number) == forked.submit(large.same, large.block(number)).result(20.0)
    assert values[2] == kept


def test_what_arrives_is_writable_and_ones_own(forked: WebWorkerExecutor) -> None:
    """
    Neither side sees what the other writes, whatever is sent meanwhile.
    """
    value = large.block(1)
    assert b"\1\2" == forked.submit(large.fill, [value], 2).result(20.0)
    assert large.is_filled(value, 1)
    back: Any = forked.submit(large.same, value).result(20.0)
    back.memory[:] = bytes(large.NBYTES)
    forked.submit(large.keep, value).result(20.0)
    value.memory[0] = 9
    for number in range(30):
        other: Any = forked.submit(large.same, large.block(number)).result(20.0)
        assert large.is_filled(other, number)
    assert [1] == forked.submit(large.fillings).result(20.0)
    assert large.is_filled(back, 0)
    forked.submit(large.let_go).result(20.0)


def test_a_result_outlives_its_executor() -> None:
    """
    An array is there after the worker, the executor and the pool of memory have gone.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        back: Any = pool.submit(large.same, large.block(3)).result(20.0)
    with WebWorkerExecutor(1, launcher="fork") as pool:
        pool.submit(large.same, large.block(4)).result(20.0)
    assert large.is_filled(back, 3)
    back.memory[0] = 1
    assert 1 == back.memory[0]


def test_memory_is_used_again(forked: WebWorkerExecutor) -> None:
    """
    A thousand rounds need no more memory and no more descriptors than ten.
    """

    def go(count: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
        for number in range(count):
            value = large.block(number % 256)
            assert value == forked.submit(large.same, value).result(20.0)
        del value
        gc.collect()
        return store.nbytes, large.state(), forked.submit(large.state).result(20.0)

    before = go(10)
    after = go(1000)
    # What comes back late is waited for by nobody: another segment or two are in use meanwhile.
    spare = 4
    assert before[0] + spare * 327_680 >= after[0]
    for n_before, n_after in zip((*before[1], *before[2]), (*after[1], *after[2]), strict=True):
        assert n_before + 2 * spare >= n_after


def test_results_that_are_kept_do_not_use_it_up(forked: WebWorkerExecutor) -> None:
    """
    A hundred results are kept, and each is as it came.
    """
    backs: list[Any] = [
        forked.submit(large.same, large.block(number)).result(20.0) for number in range(100)
    ]
    assert all(large.is_filled(back, number) for number, back in enumerate(backs))
    n_fds, _ = large.state()
    assert n_fds < 100


def test_calls_that_wait_have_their_own_copy(forked: WebWorkerExecutor) -> None:
    """
    A value may change after submit, also if the task waits for a long time.
    """
    value = large.block(0)
    futures = []
    for number in range(50):
        value.memory[:] = bytes([number]) * large.NBYTES
        futures.append(forked.submit(large.is_filled, value, number))
    assert all(future.result(20.0) for future in futures)


@pytest.mark.usefixtures("small_store")
def test_without_room_it_goes_by_the_socket(forked: WebWorkerExecutor) -> None:
    """
    Where no segment is to be had, values arrive as well.
    """
    values = [large.block(number) for number in range(8)]
    for _ in range(2):
        futures = [forked.submit(large.same, value) for value in values]
        assert values == [future.result(20.0) for future in futures]
    assert len(store._kept.segments) <= 2


def test_plain_buffers(forked: WebWorkerExecutor) -> None:
    """
    Bytes and bytearrays, also large, are themselves.
    """
    for plain in (bytes(large.NBYTES), bytearray(large.NBYTES)):
        back = forked.submit(large.same, plain).result(20.0)
        assert type(plain) is type(back)
        assert plain == back
        back = forked.submit(large.same, pickle.PickleBuffer(plain)).result(20.0)
        assert plain == back
        assert type(plain) is type(back)


def test_what_a_handler_lets_go_of(
    forked: WebWorkerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The host may use it again at once, and not only when the worker has got its next task.
    """
    channel = MessageChannel()
    forked.submit(large.let_go_when_told, channel.port2).result(20.0)
    monkeypatch.setattr(store, "max_segments", 1)
    gc.collect()
    assert 1 == forked.submit(large.keep, large.block(1)).result(20.0)
    assert None is store.shelve([memoryview(bytes(large.NBYTES))])
    channel.port1.post_message(None)
    wait_until(lambda: store.shelve([memoryview(bytes(large.NBYTES))]))


def test_a_worker_that_dies_gives_back_what_it_had(forked: WebWorkerExecutor) -> None:
    """
    Twenty deaths with arguments in hand: the segments are free again, and none was added.
    """
    for number in range(20):
        with pytest.raises(WorkerCrashedError):
            forked.submit(large.die_with, large.block(number)).result(20.0)
        assert forked.submit(large.is_filled, large.block(number), number).result(20.0)
    assert len(store._kept.segments) <= 4


def test_a_fork_in_a_task_has_memory_of_its_own(forked: WebWorkerExecutor) -> None:
    """
    After a fork neither copy sees what the other writes, as with any other memory.
    """
    value = large.block(1)
    for _ in range(3):
        mine, theirs = forked.submit(large.write_in_fork, value).result(20.0)
        assert (1 * 256 + 8, 7 * 256 + 1) == (mine, theirs)


def test_a_fork_of_the_host(forked: WebWorkerExecutor) -> None:
    """
    What a program has received stays its own when it forks, and is not written over.
    """
    back: Any = forked.submit(large.same, large.block(1)).result(20.0)
    assert (1 * 256 + 8, 7 * 256 + 1) == large.write_in_fork(back)
    pid = os.fork()
    if pid == 0:
        # Whatever is sent from here on must not be seen there.
        ok = all(large.is_filled(back, 1) for _ in range(1)) if back.memory[1] == 1 else True
        os._exit(0 if ok else 1)
    for number in range(10):
        forked.submit(large.same, large.block(number)).result(20.0)
    assert 0 == os.waitpid(pid, 0)[1]
    assert (1, 8) == tuple(back.memory[:2])


def test_values_kept_by_a_worker_are_copied_at_last(forked: WebWorkerExecutor) -> None:
    """
    A worker keeps a hundred values: each is as it came, and the host's memory is not used up.
    """
    for number in range(100):
        forked.submit(large.keep, large.block(number)).result(20.0)
    assert list(range(100)) == forked.submit(large.fillings).result(20.0)
    assert len(store._kept.segments) < 64
    forked.submit(large.let_go).result(20.0)


def test_arrays(pool: WebWorkerExecutor) -> None:
    """
    An array of numpy arrives writable, aligned, and in its own memory.
    """
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(100_000, dtype=numpy.float64).reshape(100, 1000)
    back = pool.submit(large.same, array).result(20.0)
    assert (array == back).all()
    assert back.flags.writeable
    assert back.flags.aligned
    column = back[:, 3]
    del back
    for _ in range(5):
        pool.submit(large.same, numpy.zeros_like(array)).result(20.0)
    assert (array[:, 3] == column).all()


@pytest.mark.parametrize("n_elements", [3, 100_000])
def test_what_cannot_be_written_to_can_where_it_arrives(
    forked: WebWorkerExecutor, n_elements: int
) -> None:
    """
    As an argument, a result and a message, by itself and in something else.
    """
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(n_elements)
    array.flags.writeable = False
    for value in (array, [array]):
        assert 2.0 * n_elements == forked.submit(large.sum_of_more, value).result(20.0)
    for came in (
        forked.submit(large.over_bytes, bytes(8 * n_elements)).result(20.0),
        *forked.submit(large.over_bytes, bytes(8 * n_elements), 2).result(20.0),
        structured_clone(array),
    ):
        came += 1
    with MessageChannel() as channel:
        channel.port1.post_message({"array": array})
        channel.port2.receive(20.0).data["array"].fill(0)


def test_no_signal_handler_strikes_where_a_value_goes(forked: WebWorkerExecutor) -> None:
    """
    The end of a loan is told within C: what a handler raised between two steps would be swallowed.
    """
    values = [forked.submit(large.same, large.block(1)).result(20.0)]
    with interrupted_at(0, functools.partial(pytest.fail, "a handler was called")):
        values.clear()


@pytest.mark.parametrize("chunksize", [None, 1, 10])
def test_a_map_of_a_callable_with_a_large_buffer(
    pool: WebWorkerExecutor, chunksize: int | None
) -> None:
    """
    The buffer is sent once, and no task sees what another, here or in another worker, has written.
    """
    value = large.block(0)
    fn = functools.partial(large.touch, value)
    numbers = range(200)
    if chunksize is None or chunksize == 10:
        # A chunk is one task, as in the standard library: its calls share their callable.
        seen = list(pool.map(fn, numbers, chunksize=chunksize, timeout=20.0))
        assert seen.count(0) >= 1
        assert all(now in {0, 1 + (index - 1) % 250} for index, now in enumerate(seen))
    else:
        assert [0] * 200 == list(pool.map(fn, numbers, chunksize=chunksize, timeout=20.0))
    assert large.is_filled(value, 0)


def test_the_state_of_a_mapped_callable(forked: WebWorkerExecutor) -> None:
    """
    Each task finds the callable as it was when the map began.
    """
    fn = large.Toucher(large.block(0))
    assert [(0, 1)] * 30 == list(forked.map(fn, range(30), chunksize=1, timeout=20.0))
    fn.value.memory[0] = 9
    assert [(9, 1)] * 30 == list(forked.map(fn, range(30), chunksize=1, timeout=20.0))


def test_a_mapped_callable_is_forgotten(forked: WebWorkerExecutor) -> None:
    """
    After the map neither side keeps its memory in use.
    """
    fn = functools.partial(large.touch, large.block(0))
    for _ in range(20):
        assert [0] * 3 == list(forked.map(fn, range(3), chunksize=1, timeout=20.0))
    assert len(store._kept.segments) <= 4
    _, n_mappings = forked.submit(large.state).result(20.0)
    assert n_mappings <= 8


def test_a_worker_that_dies_in_a_map_with_a_large_buffer(pool: WebWorkerExecutor) -> None:
    """
    Its successor gets the buffer, too.
    """
    fn = functools.partial(large.touch_or_die, large.block(3))
    results = pool.map(fn, range(40), chunksize=1, timeout=20.0)
    assert [3] * 20 == [next(results) for _ in range(20)]
    with pytest.raises(WorkerCrashedError):
        next(results)
    assert [3] * 5 == list(pool.map(fn, range(5), chunksize=1, timeout=20.0))
