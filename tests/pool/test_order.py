"""
What every order of a map's results keeps, with futures that the test resolves.
"""

from __future__ import annotations

import gc
import time
import weakref
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.pool.order import cancelled_on_error, in_order
from webworker_executor.pool.unordered import as_they_come

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.pool.order import Order

ORDERS = (in_order, as_they_come)


class Divided(Future[Any]):
    """
    A future of which parts were taken out.
    """

    _parts: tuple[Future[Any], ...] = ()


class Result:
    """
    What a weak reference can refer to.
    """


def futures_of(*results: object) -> deque[Future[Any]]:
    """
    Make a future that is done for each result, or for each exception.
    """
    futures: deque[Future[Any]] = deque()
    for result in results:
        futures.append(Future())
        if isinstance(result, Exception):
            futures[-1].set_exception(result)
        else:
            futures[-1].set_result(result)
    return futures


@pytest.mark.parametrize("order", ORDERS)
def test_results_of_what_is_done_are_in_order(order: Order) -> None:
    """
    Whoever asks late gets them as the calls were.
    """
    assert [1, 2, 3] == list(order(futures_of(1, 2, 3), None, None, None))


def test_in_order_waits_for_the_first() -> None:
    """
    Whatever else is done.
    """
    futures = deque([Future[Any](), *futures_of(2)])
    results = in_order(futures, time.monotonic(), None, None)
    with pytest.raises(TimeoutError):
        next(results)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.001])
def test_what_is_late_ends_it_and_is_cancelled(order: Order, seconds: float) -> None:
    """
    With all that waits; what is done is had in time, however late it is asked for.
    """
    late = [Future[Any](), Future[Any]()]
    results = order(deque([*futures_of(1), *late]), time.monotonic() + seconds, None, None)
    assert 1 == next(results)
    with pytest.raises(TimeoutError):
        next(results)
    assert [True, True] == [future.cancelled() for future in late]
    assert [] == list(results)


@pytest.mark.parametrize("order", ORDERS)
def test_an_exception_ends_it(order: Order) -> None:
    """
    What has not begun is cancelled; what has is forsaken, if that can be.
    """
    waiting, running = Future[Any](), Future[Any]()
    running.set_running_or_notify_cancel()
    forsaken: list[Future[Any]] = []
    futures = deque([*futures_of(1, KeyError("no")), waiting, running])
    results = order(futures, None, None, forsaken.append)
    assert 1 == next(results)
    with pytest.raises(KeyError, match="no"):
        next(results)
    assert waiting.cancelled()
    assert [running] == forsaken


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_cancelled_raises(order: Order) -> None:
    """
    As its future does.
    """
    (future,) = futures = deque([Future[Any]()])
    future.cancel()
    future.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        next(order(futures, None, None, None))


@pytest.mark.parametrize("order", ORDERS)
def test_closing_it_cancels_what_waits(order: Order) -> None:
    """
    Nobody will ask for the rest.
    """
    waiting = [Future[Any](), Future[Any]()]
    results = order(deque([*futures_of(1), *waiting]), None, None, None)
    assert 1 == next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert [True, True] == [future.cancelled() for future in waiting]


@pytest.mark.parametrize("order", ORDERS)
def test_more_is_asked_for_with_each_result(order: Order) -> None:
    """
    Before it is waited for, so that a worker need not idle.
    """
    further = iter(range(2, 5))
    n_asked = []

    def more() -> Iterator[Future[Any]]:
        n_asked.append(1)
        for number in further:
            yield from futures_of(number)
            return

    results = order(futures_of(0, 1), None, more, None)
    assert (0, 1) == (next(results), len(n_asked))
    assert [1, 2, 3, 4] == list(results)


@pytest.mark.parametrize("order", ORDERS)
def test_what_was_taken_out_has_its_turn(order: Order) -> None:
    """
    Parts of a future come after what it has kept, also parts of parts.
    """
    whole, half, rest = Divided(), Divided(), Divided()
    whole._parts, half._parts = (half, rest), tuple(futures_of("quarter"))
    for future, result in ((whole, "whole"), (half, "half"), (rest, "rest")):
        future.set_result(result)
    results = list(order(deque([whole, *futures_of("last")]), None, None, None))
    assert "whole" == results[0]
    assert results.index("half") < results.index("quarter")
    assert {"whole", "half", "quarter", "rest", "last"} == set(results)
    assert 5 == len(results)


@pytest.mark.parametrize("order", ORDERS)
def test_a_result_that_was_handed_over_is_not_kept(order: Order) -> None:
    """
    However many there are, the memory is the caller's.
    """
    results = order(futures_of(Result(), Result()), None, None, None)
    reference = weakref.ref(next(results))
    gc.collect()
    assert reference() is None
    results.close()  # type: ignore[attr-defined]  # a generator


def test_what_was_submitted_is_cancelled_on_an_error() -> None:
    """
    Of whatever kind it is; without one nothing is.
    """
    futures = [Future[Any]()]
    with cancelled_on_error(futures):
        pass
    assert not futures[0].cancelled()
    with pytest.raises(KeyboardInterrupt), cancelled_on_error(futures):
        raise KeyboardInterrupt
    assert futures[0].cancelled()
