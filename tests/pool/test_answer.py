"""
Answers are read from frames, and opened later by who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.work import Unopenable, make_unopenable
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor
from webworker_executor.pool.answer import failure_opener, read_failure, read_result
from webworker_executor.pool.future import Answer, FailureAnswer
from webworker_executor.wire import codec
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.frame import ANSWER_PREFIX, RAISE, RESULT, Frame

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Any


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
    answer = read_result(result_of(Unopenable()), pool)
    assert isinstance(answer, Answer)
    with pytest.raises(BrokenWorkerPool) as caught:
        answer.open()
    assert isinstance(caught.value.__cause__, ValueError)
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
