"""`map` keeps the stdlib's contract, that of Python 3.14 on every Python."""

from __future__ import annotations

import functools
import itertools
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.dropin.tasks import add, double, fail_at
from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from webworker_executor import WebWorkerExecutor as Pool


@pytest.mark.parametrize("chunksize", [None, 1, 3, 1000])
def test_results_are_in_order(pool: Pool, chunksize: int | None) -> None:
    """However it is cut into chunks, `map` gives what the builtin gives."""
    options = {} if chunksize is None else {"chunksize": chunksize}
    expected = list(map(add, range(100), range(100, 200)))
    assert expected == list(pool.map(add, range(100), range(100, 200), **options))


def test_the_shortest_iterable_decides(pool: Pool) -> None:
    """Iterables are zipped."""
    assert [5, 7] == list(pool.map(add, [1, 2, 3], [4, 5]))


def test_no_iterable_gives_nothing() -> None:
    """Without an iterable there is no call, as with the stdlib."""
    with WebWorkerExecutor(1) as executor:
        assert [] == list(executor.map(double))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"chunksize": 0}, ValueError, "chunksize must be >= 1."),
        ({"chunksize": -1}, ValueError, "chunksize must be >= 1."),
        ({"buffersize": "2"}, TypeError, "buffersize must be an integer or None"),
        ({"buffersize": 0}, ValueError, "buffersize must be None or > 0"),
        ({"buffersize": -1}, ValueError, "buffersize must be None or > 0"),
    ],
)
def test_wrong_options_are_refused_at_the_call(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """A wrong option is refused before the first result is asked for."""
    with WebWorkerExecutor(1) as executor:
        with pytest.raises(error) as caught:
            executor.map(double, [1], **options)
        assert text == str(caught.value)


def test_submission_is_eager(pool: Pool) -> None:
    """The iterable is read at the call, not at the first result."""
    numbers = iter(range(10))
    results = pool.map(double, numbers, chunksize=2)
    assert [] == list(numbers)
    assert [0, 2, 4, 6, 8, 10, 12, 14, 16, 18] == list(results)


def test_buffersize_reads_no_further(pool: Pool) -> None:
    """With `buffersize` an endless iterable is read only so far ahead."""
    read: list[int] = []

    def count() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    results = pool.map(double, count(), buffersize=3)
    assert [0, 1, 2] == read
    assert [0, 2, 4, 6, 8] == list(itertools.islice(results, 5))
    assert 8 == len(read)
    results.close()  # type: ignore[attr-defined]  # a generator, as the stdlib's


@pytest.mark.parametrize(("chunksize", "calls"), [(1, 10), (2, 5), (4, 3)])
def test_goes_through_an_assigned_submit(pool: Pool, chunksize: int, calls: int) -> None:
    """Who assigns `submit`, as tqdm does, sees one call for each chunk."""
    seen: list[Future[Any]] = []
    submit = pool.submit

    def spy(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        seen.append(submit(fn, *args, **kwargs))
        return seen[-1]

    vars(pool)["submit"] = spy  # As tqdm assigns it.
    assert list(range(0, 20, 2)) == list(pool.map(double, range(10), chunksize=chunksize))
    assert calls == len(seen)


def test_timeout_counts_from_the_call(pool: Pool, gate: Gate) -> None:
    """What is not there in time raises TimeoutError from the iterator."""
    results = pool.map(functools.partial(pass_gate, gate.path), range(3), timeout=0.05, chunksize=1)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()


def test_timeout_is_not_reached(pool: Pool) -> None:
    """A long timeout changes nothing."""
    assert [0, 2, 4] == list(pool.map(double, range(3), timeout=60.0))


@pytest.mark.parametrize("chunksize", [1, 2])
def test_the_first_error_is_raised_in_its_place(pool: Pool, chunksize: int) -> None:
    """Results before the failed call come first, chunk by chunk."""
    results = pool.map(functools.partial(fail_at, 4), range(10), chunksize=chunksize)
    assert [0, 1, 2, 3] == list(itertools.islice(results, 4))
    with pytest.raises(ValueError, match="4"):
        next(results)


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="later Pythons go on after an error")
def test_the_first_error_ends_the_iterator(pool: Pool) -> None:
    """After the error nothing comes, as with the running Python's stdlib."""
    results = pool.map(functools.partial(fail_at, 0), range(10), chunksize=1)
    with pytest.raises(ValueError, match="0"):
        next(results)
    assert [] == list(results)


def test_a_closed_iterator_cancels_the_rest(pool: Pool, gate: Gate) -> None:
    """Who stops reading results stops the work that has not begun."""
    futures: list[Future[Any]] = []
    submit = pool.submit

    def spy(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        futures.append(submit(fn, *args, **kwargs))
        return futures[-1]

    vars(pool)["submit"] = spy
    results: Any = pool.map(
        functools.partial(pass_gate, gate.path), range(20), chunksize=1, timeout=0.05
    )
    gate.wait_for_begun(2)
    with pytest.raises(TimeoutError):
        next(results)
    results.close()
    assert 17 <= sum(future.cancelled() for future in futures)
    gate.open()


def test_after_shutdown_it_raises_at_the_call() -> None:
    """A closed executor refuses at the call."""
    executor = WebWorkerExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.map(double, [1])


@pytest.mark.parametrize("keywords", [{}, {"chunksize": 2}, {"buffersize": 2}], ids=str)
def test_after_shutdown_nothing_may_be_mapped(keywords: dict[str, int]) -> None:
    """Of no calls none is refused."""
    executor = WebWorkerExecutor(1)
    executor.shutdown()
    assert [] == list(executor.map(double, [], **keywords))
    assert [] == list(executor.map(double, iter(()), **keywords))
    assert [] == list(executor.starmap(double, [], **keywords))
    assert [] == list(executor.options(priority=1).map(double, [], **keywords))


def test_starmap_unpacks_arguments(pool: Pool) -> None:
    """`starmap` is `itertools.starmap`, in order."""
    assert [3, 7] == list(pool.starmap(add, [(1, 2), (3, 4)]))
