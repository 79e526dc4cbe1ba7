"""
Answers are read from frames, and opened later by who asks.
"""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import PACKAGE, interrupted_at
from tests.pool.work import Unopenable, make_unopenable
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor
from webworker_executor.pool.answer import failure_opener, read_failure, read_result
from webworker_executor.pool.future import Answer, FailureAnswer, WorkerFuture
from webworker_executor.wire import codec
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import ANSWER_PREFIX, RAISE, RESULT

if TYPE_CHECKING:
    from concurrent.futures import Future


class StubPool:
    """
    Notes that it was broken.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def break_(self, text: str) -> None:
        self.texts.append(text)


def result_of(value: object) -> Frame:
    packed = codec.pack(value, to_host=True)
    payload = ANSWER_PREFIX.pack(0.0, 0) + packed.payload
    buffers = [memoryview(each) for each in packed.buffers]  # type: ignore[arg-type]  # none is lent here
    return Frame(RESULT, 1, memoryview(payload), buffers)


def failure_of(error: BaseException) -> Frame:
    return Frame(RAISE, 1, memoryview(ANSWER_PREFIX.pack(0.0, 0) + pack_failure(error, skip=0)), [])


def future_of(answer: object) -> WorkerFuture[Any]:
    future: WorkerFuture[Any] = WorkerFuture()
    future._claim()
    future._finish(answer)
    return future


def test_none_needs_no_opening() -> None:
    """
    The commonest result costs nothing.
    """
    assert read_result(result_of(None), None) is None


def test_a_result_stays_packed_until_it_is_opened() -> None:
    """
    Unpacking is left to who asks.
    """
    answer = read_result(result_of([1, 2]), None)
    assert isinstance(answer, Answer)
    assert [1, 2] == answer.open()


def test_a_failure_opens_to_the_exception() -> None:
    """
    The class and the arguments are those of the worker.
    """
    answer = read_failure(failure_of(KeyError("key")))
    assert isinstance(answer, FailureAnswer)
    error = answer.open()
    assert isinstance(error, KeyError)
    assert ("key",) == error.args


def test_what_does_not_unpack_breaks_a_pool_that_asked_for_it() -> None:
    """
    ``on_crash="break"`` is the standard library's rule to the letter.
    """
    pool = StubPool()
    future = future_of(read_result(result_of(Unopenable()), pool))
    with pytest.raises(BrokenWorkerPool) as caught:
        future.result()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value is future.exception()
    assert 1 == len(pool.texts)


def test_an_opener_gives_the_same_exception_each_time() -> None:
    """
    The cause of a broken pool is one object.
    """
    opener = failure_opener(pack_failure(ValueError("once"), skip=0))
    assert opener() is opener()
    assert "once" == str(opener())


def test_a_result_that_does_not_unpack_fails_its_own_task(pool: WebWorkerExecutor) -> None:
    """
    With ``on_crash="replace"`` nobody else notices.
    """
    bad: Future[Any] = pool.submit(make_unopenable)
    good = pool.submit(abs, -1)
    assert isinstance(bad.exception(10.0), ValueError)
    assert 1 == good.result(10.0)


class Delicate(Exception):
    """One with a cause, a state and a reducer, all of which run code as they arrive."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")
        self.both = first, second

    def __reduce__(self) -> Any:
        return type(self), self.both, {"state": self.both}

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)


class Grumpy(Delicate):
    """One that cannot have its state back."""

    def __setstate__(self, state: Any) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", [Delicate, Grumpy])
@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt, SystemExit])
def test_what_a_handler_raises_costs_no_exception(
    kind: type[Delicate], error: type[BaseException]
) -> None:
    """
    Wherever a signal handler raises as an exception is opened, it comes out, and then the other.
    """

    def stop() -> None:
        struck.append(True)
        raise error

    exc = kind("as", "asked")
    exc.__cause__ = KeyError("k")
    payload = memoryview(ANSWER_PREFIX.pack(0.0, 0) + pack_failure(exc))
    for step in itertools.count():
        struck: list[bool] = []
        future = future_of(read_failure(Frame(RAISE, 1, payload)))
        with interrupted_at(step, stop, (*PACKAGE, __file__)):
            try:
                future.result()
            except BaseException as raised:
                seen = raised
        assert type(seen) is (error if struck else kind), (step, repr(seen))
        with pytest.raises(kind) as info:
            future.result()
        assert (("as", "asked"), True) == (info.value.both, seen is info.value or bool(struck))
        assert isinstance(info.value.__cause__, KeyError)
        if not struck:
            break
    assert step > 20


class Value:
    """One that runs code as it arrives."""

    def __init__(self, state: str) -> None:
        self.state = state

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)


class Bad(Value):
    """One that does not arrive."""

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        raise ZeroDivisionError


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt, SystemExit])
def test_what_a_handler_raises_costs_no_value(error: type[BaseException], breaks: bool) -> None:
    """
    Wherever a signal handler raises as a value is opened, it comes out, and then the value.
    """

    def stop() -> None:
        struck.append(True)
        raise error

    frame, pool = result_of(Value("as asked")), StubPool()
    for step in itertools.count():
        struck: list[bool] = []
        future = future_of(read_result(frame, pool if breaks else None))
        with (
            contextlib.suppress(error),
            interrupted_at(step, stop, (*PACKAGE, __file__)),
        ):
            future.result()
            # It has not been swallowed.
            assert not struck
        assert "as asked" == future.result().state
        if not struck:
            break
    assert ([], True) == (pool.texts, step > 5)


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("error", [TimeoutError, SystemExit])
def test_what_a_handler_raises_hides_no_value_that_fails(
    error: type[BaseException], breaks: bool
) -> None:
    """
    Wherever it raises as one that does not unpack is opened, that is what comes next.
    """

    def stop() -> None:
        struck.append(True)
        raise error

    frame, pool = result_of(Bad("as asked")), StubPool()
    kind = BrokenWorkerPool if breaks else ZeroDivisionError
    for step in itertools.count():
        struck: list[bool] = []
        future = future_of(read_result(frame, pool if breaks else None))
        with pytest.raises((error, kind)), interrupted_at(step, stop, (*PACKAGE, __file__)):
            future.result()
        pool.texts.clear()
        assert kind is type(future.exception())
        assert future.exception() is future.exception()
        if not struck:
            break
    assert step > 10


def test_a_value_is_unpacked_twice_where_handlers_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If it fails; but not one that came with a descriptor, which is used up by then.
    """

    def unpack(*_: object) -> None:
        n_times.append(True)
        raise ValueError

    monkeypatch.setattr(codec, "unpack", unpack)
    counts = []
    for is_main, fds in ((True, ()), (True, (object(),)), (False, ())):
        n_times: list[bool] = []
        frame = Frame(RESULT, 1, memoryview(ANSWER_PREFIX.pack(0.0, 0)), (), fds)
        future = future_of(read_result(frame, None))
        if is_main:
            assert isinstance(future.exception(), ValueError)
        else:
            with ThreadPoolExecutor(1) as threads:
                assert isinstance(threads.submit(future.exception).result(), ValueError)
        counts.append(len(n_times))
    assert [2, 1, 1] == counts
