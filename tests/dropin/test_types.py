"""
Type checkers see through the executor what they see through the standard library's.

What is asserted is for mypy, which checks this file with the others; that it also runs shows that
the types are true. Where wrong arguments are refused, an ignore that is not needed is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, assert_type

import pytest

from tests.dropin import everything
from tests.dropin.tasks import add, double
from webworker_executor import Stream, WebWorkerExecutor, Worker, WorkerFuture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor, Future

    from webworker_executor import ExecutorView

    Ours = WebWorkerExecutor | ExecutorView


async def say_later(number: int) -> str:
    """Return the number in words, from a loop."""
    await asyncio.sleep(0)
    return str(number)


def count(n_items: int) -> Iterator[int]:
    """Yield numbers."""
    yield from range(n_items)


async def say_all(n_items: int) -> AsyncIterator[str]:
    """Yield numbers in words, from a loop."""
    for number in range(n_items):
        yield str(number)


@pytest.fixture(params=["executor", "view"])
def pool(request: pytest.FixtureRequest) -> Iterator[Ours]:
    """
    Give an executor, and a view of one.
    """
    with WebWorkerExecutor(1, launcher="fork") as executor:
        yield executor if request.param == "executor" else executor.options(retries=1)


@pytest.fixture
def executor() -> Iterator[WebWorkerExecutor]:
    """
    Give what only the executor itself can do.
    """
    with WebWorkerExecutor(1, launcher="fork") as executor:
        yield executor


def test_a_future_has_the_type_of_the_result(pool: Ours) -> None:
    """
    Of what the function returns, and of what a coroutine function returns in the end.
    """
    future = assert_type(pool.submit(double, 1), WorkerFuture[int])
    assert 2 == assert_type(future.result(10.0), int)
    assert "3" == assert_type(pool.submit(say_later, number=3).result(10.0), str)


def test_a_future_is_one_of_the_standard_library(pool: Ours) -> None:
    """
    Where the standard library's is wanted, of the same type, it will do.
    """

    def outcome(future: Future[int]) -> int:
        return future.result(10.0)

    def submit(executor: Executor) -> Future[int]:
        return executor.submit(double, 2)

    assert [4, 4] == [outcome(pool.submit(double, 2)), outcome(submit(pool))]


def test_awaiting_gives_the_result(pool: Ours) -> None:
    """
    Of the type that the future has.
    """

    async def main() -> int:
        return assert_type(await pool.submit(add, 1, right=2), int)

    assert 3 == asyncio.run(main())


def test_maps_yield_results(pool: Ours) -> None:
    """
    Of functions and of coroutine functions.
    """
    assert [2, 4] == list(assert_type(pool.map(double, [1, 2]), "Iterator[int]"))
    assert [3, 7] == list(assert_type(pool.starmap(add, [(1, 2), (3, 4)]), "Iterator[int]"))
    assert [2] == list(assert_type(pool.map_unordered(double, [1]), "Iterator[int]"))
    assert ["1"] == list(assert_type(pool.map(say_later, [1], chunksize=1), "Iterator[str]"))
    assert ["1"] == list(assert_type(pool.starmap(say_later, [(1,)]), "Iterator[str]"))


def test_streams_yield_items(pool: Ours) -> None:
    """
    Of generators and of asynchronous ones.
    """
    with assert_type(pool.stream(count, 3), Stream[int]) as numbers:
        assert 0 == assert_type(next(numbers), int)
    assert ["0", "1"] == [assert_type(text, str) for text in pool.stream(say_all, 2)]


def test_what_all_workers_return_is_a_list(executor: WebWorkerExecutor) -> None:
    """
    Of results.
    """
    assert [4] == assert_type(executor.run_on_all(double, 2), list[int])
    assert ["4"] == assert_type(executor.run_on_all(say_later, 4), list[str])


def test_wrong_arguments_are_refused(executor: WebWorkerExecutor) -> None:
    """
    By the type checker, where they are submitted; a worker finds them later.
    """
    refused = [
        executor.submit(double),  # type: ignore[call-overload]  # too few
        executor.submit(add, 1, "2"),  # type: ignore[call-overload]  # of the wrong type
        executor.submit(add, 1, write=2),  # type: ignore[call-arg, arg-type]  # of the wrong name
        executor.options(retries=1).submit(add, 1),  # type: ignore[call-overload]  # too few
    ]
    for future in refused:
        assert isinstance(future.exception(10.0), TypeError)
    with pytest.raises(TypeError):
        executor.run_on_all(double)  # type: ignore[call-overload]  # too few
    with contextlib.suppress(TypeError):
        list(executor.stream(count))  # type: ignore[call-arg]  # too few
    with contextlib.suppress(TypeError):
        list(executor.stream(double, 1))  # type: ignore[arg-type]  # yields nothing


def test_an_import_of_everything_brings_the_names() -> None:
    """
    A type checker would take each of them for undefined, or for anything.
    """
    with assert_type(everything.executor(), WebWorkerExecutor) as executor:
        assert 2 == executor.submit(double, 1).result(10.0)


def test_types_stand_outside_annotations_too() -> None:
    """
    Where one is an alias or a base class, for instance.
    """
    assert WorkerFuture is getattr(WorkerFuture[int], "__origin__", None)
    assert Stream is getattr(Stream[int], "__origin__", None)


def test_words_are_checked() -> None:
    """
    Where an option is one of a few words, a type checker knows them.
    """
    refused: list[Callable[[], object]] = [
        lambda: WebWorkerExecutor(1, on_crash="repair"),  # type: ignore[arg-type]
        lambda: WebWorkerExecutor(1, exit_policy="later"),  # type: ignore[arg-type]
        lambda: WebWorkerExecutor(1, launcher="spoon"),  # type: ignore[arg-type]
        lambda: WebWorkerExecutor(1, max_pending=1, when_full="wait"),  # type: ignore[arg-type]
        lambda: Worker(print, launcher="spoon"),  # type: ignore[arg-type]
        lambda: Worker(print, on_uncaught="ignore"),  # type: ignore[arg-type]
        lambda: Worker(command=["true"], codec="yaml"),  # type: ignore[arg-type]
        lambda: Worker(print, stdin="stdout"),  # type: ignore[arg-type]
        lambda: Worker(print, stdout="stderr"),  # type: ignore[arg-type]
    ]
    for make in refused:
        with pytest.raises(ValueError, match=r" must be | cannot be "):
            make()
