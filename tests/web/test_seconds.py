"""
A time that somebody is to wait is a number, and has an end.
"""

from __future__ import annotations

import math
from _thread import TIMEOUT_MAX
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import AbortSignal, Atomics, MessageChannel, SharedBuffer, Worker
from webworker_executor.pool.future import WorkerFuture
from webworker_executor.web.seconds import check_seconds, seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize("value", [0, 0.0, 1e-9, 5, 31 * 86400.0])
def test_what_is_a_time(value: float) -> None:
    """
    However short or long.
    """
    assert value == check_seconds("timeout", value)


def test_where_there_may_be_no_end() -> None:
    """
    Infinity is a time where whoever uses it has said so.
    """
    assert math.inf == check_seconds("timeout", 10**400, may_be_endless=True)


@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan])
def test_what_is_no_time(value: float) -> None:
    """
    The error names the argument and what was given.
    """
    with pytest.raises(ValueError, match=f"^grace must be 0 seconds or more, not {value!r}$"):
        check_seconds("grace", value)


def test_where_no_time_is_none() -> None:
    """
    A limit of no seconds would end everything before it begins.
    """
    with pytest.raises(ValueError, match=r"^timeout must be more than 0 seconds, not 0$"):
        check_seconds("timeout", 0, may_be_zero=False)


@pytest.mark.parametrize("value", ["5", b"5", None, [], True])
def test_what_is_no_number(value: object) -> None:
    """
    The mistake is told at the call.
    """
    with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not "):
        check_seconds("timeout", value)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, None),
        (3, 3.0),
        (0.5, 0.5),
        (Decimal("0.25"), 0.25),
        (0, 0.0),
        (-1, 0.0),
        (-math.inf, 0.0),
        (-(10**400), 0.0),
        (TIMEOUT_MAX, None),
        (math.inf, None),
        (10**400, None),
    ],
)
def test_how_long_somebody_waits(timeout: Any, seconds: float | None) -> None:
    """
    Less than no time is none, and what the system cannot wait is for ever.
    """
    assert seconds == seconds_to_wait(timeout)


@pytest.fixture
def waits() -> Iterator[dict[str, Callable[[Any], object]]]:
    """
    Whatever takes a time-out and begins to wait at once.
    """
    channel, signal, shared = MessageChannel(), AbortSignal.any(()), SharedBuffer(4)
    with channel.port1 as port:
        yield {
            "receive": port.receive,
            "drain": port.drain,
            "signal": signal.wait,
            "atomics": lambda timeout: Atomics.wait(shared, 0, 0, timeout),
            "result": WorkerFuture().result,
            "exception": WorkerFuture().exception,
        }
    shared.close()


KINDS = ["receive", "drain", "signal", "atomics", "result", "exception"]


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_refuses_what_is_no_time(
    waits: dict[str, Callable[[Any], object]], kind: str
) -> None:
    """
    A text and NaN are refused as the wait begins: the first by its type, the other for ever.
    """
    with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not str$"):
        waits[kind]("1")
    with pytest.raises(ValueError, match=r"^timeout must be seconds, or None to wait for ever, "):
        waits[kind](math.nan)


def test_a_negative_wait_is_none(waits: dict[str, Callable[[Any], object]]) -> None:
    """
    It looks once, as it does in the standard library, and does not speak of negative seconds.
    """
    with pytest.raises(TimeoutError, match=r"in 0 s$"):
        waits["receive"](-1)
    assert not waits["signal"](-1)
    assert waits["atomics"](-1) == "timed-out"
    with pytest.raises(TimeoutError):
        waits["result"](-1)


def test_limits_are_refused_by_the_same_words() -> None:
    """
    Whoever has met one of these messages knows the others.
    """
    with pytest.raises(TypeError, match=r"^seconds must be a number of seconds, not str$"):
        AbortSignal.timeout("1")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match=r"^max_duration must be a number of seconds, not str$"):
        Worker(print, max_duration="1")  # type: ignore[arg-type]  # on purpose
    with Worker(source="") as worker:
        with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not str$"):
            worker.terminate("x")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(
            ValueError, match=r"^timeout must be 0 seconds or more, not -1; 0 kills"
        ):
            worker.terminate(-1)
