"""
Tests of `webworker_executor.pool.chunk`: calls that are one task, each with its own outcome.
"""

from __future__ import annotations

import pickle
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pool.work import add
from webworker_executor import WebWorkerExecutor
from webworker_executor.pool.chunk import Failed, lay_out, run_all, run_chunk
from webworker_executor.web import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@given(st.lists(st.lists(st.integers(), max_size=3).map(tuple), min_size=1))
def test_a_chunk_is_run_in_order(calls: list[tuple[int, ...]]) -> None:
    """
    However its calls are laid out, the function is called with each tuple.
    """

    def collect(*args: int) -> tuple[int, ...]:
        return args

    assert calls == run_chunk(collect, lay_out(calls))
    _, all_went_well, outcomes = run_all(collect, lay_out(calls)).told()
    assert all_went_well
    assert calls[::-1] == outcomes


def test_single_arguments_go_without_tuples() -> None:
    """
    Ten times as quick to pickle; calls of any other kind go as they are.
    """
    assert (1, 2) == lay_out([(1,), (2,)])
    assert [(1, 2), (3,)] == lay_out([(1, 2), (3,)])
    assert (3, 7) == run_chunk(add, [(1, 2), (3, 4)])


def test_numbers_come_as_a_tuple() -> None:
    """
    In order, because none of them has to be let go of before the others.
    """
    numbers = (1, 2.5, 3j, True, None)

    def same(value: Any) -> Any:
        return value

    assert numbers == run_chunk(same, numbers)
    assert (True, numbers) == run_all(same, numbers).told()[1:]
    for other in ("text", b"bytes", [1], object):
        assert [1, other] == run_chunk(same, (1, other))
        assert (True, [other, 1]) == run_all(same, (1, other)).told()[1:]


def test_what_one_call_raises_stands_in_its_place() -> None:
    """
    The others are run all the same; a result that does not pickle fails alone, too.
    """

    def divide(number: int) -> Any:
        return threading.Lock() if number == 2 else 1 / number

    whole = run_all(divide, (4, 0, 2, 1))
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(whole)
    seconds, all_went_well, outcomes = whole.salvaged()
    assert 0.0 <= seconds < 10.0
    assert not all_went_well
    one, lock, zero, four = outcomes
    assert (1.0, 0.25) == (one, four)
    assert b"ZeroDivisionError" in zero.packed
    assert b"cannot pickle" in lock.packed
    assert pickle.loads(pickle.dumps(zero)).packed == zero.packed
    assert isinstance(zero, Failed)


def test_calls_of_what_is_async_are_run_to_their_ends() -> None:
    """
    One after the other, and what one raises stands in its place.
    """

    async def divide(number: int) -> float:
        return 1 / number

    assert [1.0, 0.5] == run_chunk(divide, (1, 2))
    _, all_went_well, (two, zero, one) = run_all(divide, (1, 0, 2)).told()
    assert (False, 1.0, 0.5) == (all_went_well, one, two)
    assert b"ZeroDivisionError" in zero.packed


def test_what_has_not_begun_can_be_taken_out() -> None:
    """
    By another thread while a call runs; that one is the last of the chunk then.
    """
    told: list[int] = []

    def give_back_at(number: int) -> int:
        if number == 3:
            in_thread(divide, told.append)
            in_thread(divide, told.append)
        return number

    for chunk in (tuple(range(10)), [(number,) for number in range(10)]):
        assert (0, 1, 2, 3) == run_all(give_back_at, chunk).told()[2]
    assert [6, 0] * 2 == told


def divide(tell: Callable[[int], object]) -> None:
    """Divide the chunk that runs."""
    assert running.divisible is not None
    _, chunk = running.divisible
    chunk.divide(tell)


def in_thread(call: Callable[..., object], *args: object) -> None:
    thread = threading.Thread(target=call, args=args)
    thread.start()
    thread.join()


def test_nothing_is_given_back_of_a_chunk_that_has_ended() -> None:
    """
    Nothing of it may follow its answer; also where a signal handler has broken it off.
    """
    seen: list[Any] = []

    def look(number: int) -> int:
        seen.append(running.divisible)
        return number

    run_all(look, (1, 2))
    assert running.divisible is None
    seen[0][1].divide(lambda count: pytest.fail(f"it gave back {count}"))


def test_a_copy_waits_for_nobody() -> None:
    """
    Of a process that a call has forked while another thread divides the chunk, that thread is not
    part.
    """

    def fork(number: int) -> int:
        _, chunk = running.divisible or (0, None)
        chunk._lock.acquire()  # type: ignore[union-attr]  # it is a chunk
        running.divisible = None  # as `DataEnd` does there
        return number

    assert (1,) == run_all(fork, (1,)).told()[2]


def test_coroutines_are_begun_one_after_the_other() -> None:
    """
    So that those behind one that takes long have not begun.
    """
    told: list[int] = []

    async def give_back_at(number: int) -> int:
        if number == 1:
            divide(told.append)
        return number

    for fn in (give_back_at, partial(give_back_at), lambda number: give_back_at(number)):
        assert (0, 1) == run_all(fn, (0, 1, 2, 3)).told()[2]
    assert [2, 2, 2] == told


# Text, because the module of a function would be imported first, and import it.
IMPORT = """(
    before := set(__import__("sys").modules),
    __import__("webworker_executor.pool.chunk"),
    sorted(set(__import__("sys").modules) - before),
)[-1]"""


def test_a_worker_imports_next_to_nothing_for_it() -> None:
    """
    The first chunk of a map must not wait for the rest of the pool.
    """
    with WebWorkerExecutor(1, launcher="spawn") as executor:
        added = executor.submit(eval, IMPORT).result()
    expected = ["pool", "pool.chunk", "pool.title", "wire.salvage"]
    assert [f"webworker_executor.{name}" for name in expected] == added
