"""
What cannot be packed fails its own future, as the standard library has it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.work import Unpackable, double, make_lock
from webworker_executor.pool.call import Call
from webworker_executor.pool.failing import fail

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


def test_the_future_has_failed_with_the_text_of_the_traceback(forked: WebWorkerExecutor) -> None:
    """
    The cause shows where packing failed; the pool has counted it.
    """
    try:
        raise ValueError("why")
    except ValueError as error:
        future = fail(forked._pool, Call(1), error, double, (1,), {})
    exc = future.exception(0)
    assert isinstance(exc, ValueError)
    assert "in test_the_future_has_failed_with_the_text" in str(exc.__cause__)
    assert (1, 1) == (forked.statistics().n_submitted, forked.statistics().n_failed)


def test_one_bad_argument_fails_one_task(pool: WebWorkerExecutor) -> None:
    """
    ``submit`` itself does not raise, and the tasks around are done.
    """
    futures = [pool.submit(double, argument) for argument in (1, Unpackable(), 3)]  # type: ignore[call-overload]  # what it does not take
    assert 2 == futures[0].result(10.0)
    with pytest.raises(ValueError, match="not to be packed"):
        futures[1].result(10.0)
    assert 6 == futures[2].result(10.0)


class Interrupting:
    """
    An argument whose packing is interrupted by Ctrl-C.
    """

    def __reduce__(self) -> tuple[object, ...]:
        raise KeyboardInterrupt


def test_ctrl_c_while_packing_is_not_swallowed(forked: WebWorkerExecutor) -> None:
    """
    An interrupt belongs to the program, not to a future.
    """
    with pytest.raises(KeyboardInterrupt):
        forked.submit(double, Interrupting())  # type: ignore[call-overload]  # what it does not take
    assert 4 == forked.submit(double, 2).result(10.0)


LOCK = threading.Lock()


class Holder:
    """
    Has a method to submit, and something that stays here.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def work(self) -> None:
        """
        Do nothing.
        """


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda pool: pool.submit(double, {"a": [LOCK]}), 'args[0]["a"][0]'),
        (lambda pool: pool.submit(double, number=LOCK), 'kwargs["number"]'),
        (lambda pool: pool.submit(Holder().work), "fn.__self__.lock"),
        (lambda pool: pool.options(retries=1).submit(double, 1, LOCK), "args[1]"),
        (lambda pool: pool.submit(make_lock, "a"), 'result["a"]'),
    ],
)
def test_a_note_names_what_does_not_pickle(forked: WebWorkerExecutor, call: Any, path: str) -> None:
    """
    Class and message of the error are the standard library's; the note is ours.
    """
    exc = call(forked).exception(10.0)
    assert (TypeError, "cannot pickle '_thread.lock' object") == (type(exc), str(exc))
    (note,) = exc.__notes__
    assert note.startswith(f"{path} cannot be sent. ")
    assert path in str(exc.__cause__)


def test_a_note_names_a_result_of_a_map(forked: WebWorkerExecutor) -> None:
    """
    Also where many calls make one task.
    """
    with pytest.raises(TypeError) as caught:
        list(forked.map(make_lock, range(1000)))
    assert caught.value.__notes__[0].startswith("result[0] cannot be sent. ")


def test_no_note_on_what_stands_around_a_call(forked: WebWorkerExecutor) -> None:
    """
    An actor's arguments are within those of a function of ours, which nobody knows.
    """
    actor = forked.actor(list)
    assert not hasattr(actor.append(LOCK).exception(10.0), "__notes__")
