"""
``map`` by way of ``submit`` alone: a stub executor shows what is submitted, and when.
"""

from __future__ import annotations

import itertools
import os
import re
import traceback
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import (
    add,
    double,
    exit_at,
    fail_at,
    fail_at_multiples,
    lock_at_multiples,
    pid_of,
    pipe_or_lock,
    wait_at,
)
from webworker_executor import PoolFullError, WebWorkerExecutor, WorkerCrashedError
from webworker_executor.pool import mapping
from webworker_executor.pool.mapping import Calls, MapOptions
from webworker_executor.pool.order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dropin.gate import Gate
    from tests.script import ScriptRunner


class StubExecutor:
    """
    Keeps futures that the test resolves.
    """

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.calls: list[tuple[Any, ...]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(args)
        future: Future[Any] = Future()
        self.futures.append(future)
        return future

    def answer(self, count: int) -> None:
        for future, args in zip(self.futures[:count], self.calls, strict=False):
            if not future.done():
                future.set_result(args)


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunksize_below_one_is_refused(size: int) -> None:
    """
    In the standard library's words.
    """
    with pytest.raises(ValueError, match=r"chunksize must be >= 1\."):
        MapOptions(chunksize=size)


@pytest.mark.parametrize("size", [2.5, 2.0, "3"])
def test_a_chunksize_that_is_no_integer_is_refused(size: Any) -> None:
    """
    At the call, by its name; nothing that is one is.
    """
    with pytest.raises(TypeError, match=rf"^chunksize must be an integer or None, not {size!r}$"):
        MapOptions(chunksize=size)


def test_a_bad_buffersize_is_refused() -> None:
    """
    In the words of Python 3.14.
    """
    with pytest.raises(ValueError, match="buffersize must be None or > 0"):
        MapOptions(buffersize=0)
    with pytest.raises(TypeError, match="buffersize must be an integer or None"):
        MapOptions(buffersize=1.5)  # type: ignore[arg-type]  # the mistake under test


def test_chunks_cut_everything_and_no_more() -> None:
    """
    The last chunk is shorter, and nothing is made of nothing.
    """
    for calls in (
        Calls.across((range(5),)),
        Calls((number,) for number in range(5)),
    ):
        assert [(0, 1), (2, 3), (4,)] == list(calls.chunks(2))
    pairs = Calls.across((range(3), range(4)))
    assert [[(0, 0), (1, 1)], [(2, 2)]] == list(pairs.chunks(2))
    nothing: list[int] = []
    for calls in (Calls.across((nothing,)), Calls(()), Calls.across(())):
        assert [] == list(calls.chunks(2))


def test_calls_can_be_told_as_tuples() -> None:
    """
    All of them, or some that were taken out.
    """
    assert [(0,), (1,)] == list(Calls.across((range(2),)).tuples())
    assert [(0, 5), (1, 6)] == list(Calls.across((range(2), range(5, 9))).tuples())
    taken = Calls.across((range(9),))
    assert [(0,), (1,)] == list(taken.tuples([0, 1]))
    assert [(1, 2)] == list(Calls([(1, 2)]).tuples())


def test_everything_is_submitted_at_once_without_a_buffersize() -> None:
    """
    The iterables are read before ``map`` returns, as the standard library does.
    """
    executor = StubExecutor()
    results = mapping.one_by_one(executor, add, [(1,), (2,)], MapOptions())
    assert [(1,), (2,)] == executor.calls
    executor.answer(2)
    assert [(1,), (2,)] == list(results)


def test_a_buffersize_bounds_what_is_under_way() -> None:
    """
    An infinite iterable is read no further than so many tasks ahead.
    """
    executor = StubExecutor()
    results = mapping.one_by_one(executor, add, zip(itertools.count()), MapOptions(buffersize=3))
    assert 3 == len(executor.calls)
    executor.answer(1)
    assert (0,) == next(results)
    assert 4 == len(executor.calls)


def test_dropping_the_iterator_cancels_what_has_not_begun() -> None:
    """
    Nobody will ask for the rest.
    """
    executor = StubExecutor()
    results = mapping.one_by_one(executor, add, [(1,), (2,), (3,)], MapOptions())
    executor.answer(1)
    assert (1,) == next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert [False, True, True] == [future.cancelled() for future in executor.futures]


@pytest.mark.parametrize("buffersize", [None, 5])
def test_a_submit_that_fails_cancels_those_before_it(buffersize: int | None) -> None:
    """
    Nobody has an iterator then, to take their results or to cancel them.
    """

    class FullExecutor(StubExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if len(self.futures) == 2:
                raise PoolFullError("there is no room")
            return super().submit(fn, *args, **kwargs)

    executor = FullExecutor()
    with pytest.raises(PoolFullError):
        mapping.one_by_one(executor, add, [(1,), (2,), (3,)], MapOptions(buffersize=buffersize))
    assert [True, True] == [future.cancelled() for future in executor.futures]


def test_a_time_out_cancels_the_rest() -> None:
    """
    A result that does not come in time ends the iterator.
    """
    executor = StubExecutor()
    results = mapping.one_by_one(executor, add, [(1,), (2,)], MapOptions(timeout=0.0))
    with pytest.raises(TimeoutError):
        next(results)
    assert all(future.cancelled() for future in executor.futures)


def test_an_assigned_submit_is_used(forked: WebWorkerExecutor) -> None:
    """
    Programs such as tqdm's put their own ``submit`` on an executor, and ``map`` calls it.
    """
    seen: list[tuple[Any, ...]] = []
    original = forked.submit

    def submit(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        seen.append(args)
        return original(fn, *args, **kwargs)

    forked.submit = submit  # type: ignore[method-assign, assignment]  # what is under test
    assert [2, 4] == list(forked.map(double, [1, 2]))
    assert [(1,), (2,)] == seen


@pytest.mark.parametrize("chunksize", [None, 1, 3, 100])
@pytest.mark.parametrize("buffersize", [None, 1, 4])
def test_map_is_exact(
    forked: WebWorkerExecutor, chunksize: int | None, buffersize: int | None
) -> None:
    """
    Results come in order, whatever the chunks and the buffer.
    """
    results = forked.map(add, range(10), range(10), chunksize=chunksize, buffersize=buffersize)
    assert [2 * number for number in range(10)] == list(results)


def test_map_ends_with_the_shortest(forked: WebWorkerExecutor) -> None:
    """
    As ``zip`` does.
    """
    assert [0, 2] == list(forked.map(add, range(2), itertools.count()))


def test_map_over_nothing_is_empty(forked: WebWorkerExecutor) -> None:
    """
    Nothing in, nothing out.
    """
    assert [] == list(forked.map(double, []))


def test_starmap_takes_tuples(pool: WebWorkerExecutor) -> None:
    """
    As ``multiprocessing.Pool`` and mpi4py spell it.
    """
    assert [3, 7] == list(pool.starmap(add, [(1, 2), [3, 4]]))
    assert [3, 7, 11] == list(pool.starmap(add, [(1, 2), (3, 4), (5, 6)], chunksize=2))


def test_map_yields_what_came_before_an_exception(forked: WebWorkerExecutor) -> None:
    """
    The first exception ends the iterator at its place.
    """
    results = forked.map(fail_at, [2] * 5, range(5))
    assert [0, 1] == [next(results), next(results)]
    with pytest.raises(ValueError, match="bad 2"):
        next(results)
    assert [] == list(results)


def test_a_timed_out_map_leaves_the_pool_usable(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    The rest is cancelled, and what runs goes on.
    """
    # Of a worker that is not up yet all would be cancelled.
    assert 4 == forked.submit(double, 2).result(10.0)
    results = forked.map(pass_gate, [gate.path] * 3, range(3), timeout=0.01)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()
    assert 6 == forked.submit(double, 3).result(10.0)
    # One, and what had been sent ahead behind it.
    assert 3 > len(gate.wait_for_begun(1))


def test_an_infinite_map_can_be_abandoned(forked: WebWorkerExecutor) -> None:
    """
    Over an endless iterable with a buffer, as many results are taken as wanted.
    """
    results: Iterator[int] = forked.map(double, itertools.count(), buffersize=2)
    assert [0, 2, 4] == list(itertools.islice(results, 3))


def test_an_adaptive_map_is_a_map(pool: WebWorkerExecutor) -> None:
    """
    Every result comes, in order, however the calls were put together.
    """
    n_items = 20_000
    assert [2 * n for n in range(n_items)] == list(pool.map(double, range(n_items)))
    assert list(range(1, 501)) == list(pool.map(add, range(500), [1] * 500))


def test_an_adaptive_map_fails_at_the_item_that_failed(pool: WebWorkerExecutor) -> None:
    """
    What comes before an exception comes, though it ran in the same task.
    """
    results = pool.map(fail_at_multiples, range(1, 5000), timeout=60.0)
    for number in range(1, 1000):
        assert number == next(results)
    with pytest.raises(ValueError, match="at 1000") as caught:
        next(results)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "fail_at_multiples" == frames[-1]
    with pytest.raises(StopIteration):
        next(results)


def test_one_result_that_does_not_pickle_fails_alone(pool: WebWorkerExecutor) -> None:
    """
    The others of its task come before it.
    """
    results = pool.map(lock_at_multiples, range(1, 300))
    assert list(range(1, 100)) == [next(results) for _ in range(99)]
    with pytest.raises(TypeError, match="cannot pickle"):
        next(results)


@pytest.mark.parametrize(
    ("chunksize", "task"),
    [
        (None, r"(a chunk of \d+ calls of )?partial"),
        (1, "partial"),
        (10, "a chunk of 10 calls of partial"),
    ],
)
@pytest.mark.parametrize("large", [False, True], ids=["", "with a large buffer"])
def test_an_error_names_what_was_mapped(
    pool: WebWorkerExecutor, chunksize: int | None, task: str, large: bool
) -> None:
    """
    And not what runs it in chunks, when its worker dies; but that it was a chunk is said.
    """
    fn = partial(exit_at, bytearray(1 << 20 if large else 1))
    with pytest.raises(WorkerCrashedError) as caught:
        list(pool.map(fn, range(100), chunksize=chunksize))
    assert re.search(f"while running {task}", str(caught.value))


def test_what_no_pickle_holds_comes_back_in_chunks(pool: WebWorkerExecutor) -> None:
    """
    Descriptors arrive in the places of their calls, also beside a result that does not pickle.
    """
    results = pool.map(pipe_or_lock, range(100))
    for number in range(70):
        with next(results) as end:
            assert str(number).encode() == os.read(end.fileno(), 10)
    with pytest.raises(TypeError, match="cannot pickle"):
        next(results)


def test_slow_items_go_one_by_one(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    A map over long calls does not wait for them, and its calls are tasks of their own.
    """
    results = pool.map(pass_gate, [gate.path] * 64, range(64))
    gate.wait_for_begun(1)
    gate.open()
    assert list(range(64)) == list(results)


class LatePool:
    """
    A pool whose first worker comes up when it has been looked for long enough.
    """

    def __init__(self) -> None:
        self.n_looks = 0
        self.n_submitted = 0
        self._waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.n_submitted += 1
        future: Future[Any] = Future()

        def run() -> None:
            result: Any = fn(*args, **kwargs)
            future.set_result(result.told())

        self._waiting.append(run)
        self._work()
        return future

    def watch(self, future: Future[Any], n_calls: int) -> None:
        pass

    def forsake(self, future: Future[Any]) -> None:
        pass

    def is_up(self) -> bool:
        self.n_looks += 1
        self._work()
        return self._is_up

    @property
    def _is_up(self) -> bool:
        return self.n_looks * mapping.LOOK_SECONDS > 2 * mapping.PATIENCE

    def _work(self) -> None:
        while self._is_up and self._waiting:
            self._waiting.pop(0)()


def test_workers_that_come_up_late_cut_no_map_small() -> None:
    """
    What an initializer takes is no measure of the items.
    """
    pool = LatePool()
    items = range(5000)
    results = mapping.adaptive(pool, abs, Calls.across((items,)), in_order, 2, pool.is_up, pool)
    assert list(items) == list(results)
    assert pool.n_submitted < 500


def test_a_map_with_a_timeout_does_not_wait_longer_for_workers(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its iterator raises in time, also while an initializer runs.
    """
    monkeypatch.setattr(mapping, "START_PATIENCE", 1000.0)
    with WebWorkerExecutor(1, initializer=pass_gate, initargs=(gate.path, 0)) as pool:
        results = pool.map(abs, range(100), timeout=0.2)
        with pytest.raises(TimeoutError):
            next(results)
        gate.open()


def test_what_is_ready_within_the_timeout_comes(gate: Gate) -> None:
    """
    No result waits for a slow one of the same chunk.
    """
    with WebWorkerExecutor(2) as pool:
        results = pool.map(partial(wait_at, gate.path, 50), range(200), timeout=30.0)
        assert list(range(50)) == list(itertools.islice(results, 50))
        gate.open()
        assert list(range(50, 200)) == list(results)


@pytest.mark.parametrize("bad", [0, 1, 77, 700, 999])
def test_a_call_that_cannot_be_sent_takes_no_other_along(
    forked: WebWorkerExecutor, bad: int
) -> None:
    """
    All results before it come, and its error says which argument it was.
    """
    items: list[Any] = [*range(1000)]
    items[bad] = (number for number in range(3))
    taken: list[int] = []
    with pytest.raises(TypeError, match="generator") as caught:
        taken.extend(forked.map(double, items))
    assert [2 * number for number in range(bad)] == taken
    assert any("args[0]" in note for note in caught.value.__notes__)


def test_an_own_submit_sees_every_call(forked: WebWorkerExecutor) -> None:
    """
    A program that assigns ``submit`` is asked for each item.
    """
    seen: list[int] = []
    submit = forked.submit

    def counted(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        seen.append(args[0])
        return submit(fn, *args, **kwargs)

    with forked:
        forked.submit = counted  # type: ignore[method-assign,assignment]  # what programs do
        assert [2 * n for n in range(100)] == list(forked.map(double, range(100)))
    assert list(range(100)) == seen


def test_a_limit_of_tasks_counts_calls() -> None:
    """
    With ``max_tasks_per_child`` each item is a task.
    """
    with WebWorkerExecutor(2, max_tasks_per_child=10) as pool:
        pids = list(pool.map(pid_of, range(100), timeout=60.0))
    assert all(pids.count(pid) <= 10 for pid in pids)


LARGE_GLOBALS = """
from webworker_executor import WebWorkerExecutor

data = {number: str(number) for number in range(20_000)}

def look_up(number):
    return data[number]

with WebWorkerExecutor(2) as pool:
    for n_items in (10, 200):
        expected = [str(number) for number in range(n_items)]
        assert expected == list(pool.map(look_up, range(n_items)))
        assert expected == list(pool.map(look_up, range(n_items), chunksize=7))
    data[1] = "changed"
    print(list(pool.map(look_up, range(3))), pool.submit(look_up, 1).result())
"""


@pytest.mark.slow
def test_functions_that_read_large_globals(run_script: ScriptRunner) -> None:
    """
    Each map has them as they were when it was called.
    """
    ended = run_script(LARGE_GLOBALS)
    assert "['0', 'changed', '2'] changed" == ended.stdout.strip(), ended.stderr
