"""
What the pool has called in its workers, called here.
"""

from __future__ import annotations

import signal

import pytest

from webworker_executor import ActorLostError
from webworker_executor.pool import inside


def test_a_call_is_made_again_for_what_is_named() -> None:
    """
    And for nothing else.
    """
    errors: list[BaseException] = [ConnectionError("1"), ConnectionError("2"), KeyError("3")]

    def fail() -> None:
        raise errors.pop(0)

    with pytest.raises(KeyError, match="3"):
        inside.call_again(fail, (), {}, 5, (ConnectionError,))
    assert 3 == inside.call_again(abs, (-3,), {}, 5, (ConnectionError,))


def test_what_is_async_is_called_again_for_what_it_raises() -> None:
    """
    So it is run to its end each time.
    """
    errors: list[BaseException] = [ConnectionError("1")]

    async def fail_once() -> str:
        while errors:
            raise errors.pop()
        return "done"

    assert "done" == inside.call_again(fail_once, (), {}, 5, (ConnectionError,))


def test_an_alarm_at_the_last_moment_leaves_no_handler_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The call has returned, and what would silence the alarm hears it.
    """
    error = TimeoutError("rung")

    class Task:
        def tell_of_timeout(self, _: TimeoutError) -> bool:
            raise error

    def ring_then_set(which: int, seconds: float) -> None:
        if not seconds:
            signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(inside, "running_task", Task)
    monkeypatch.setattr(signal, "setitimer", ring_then_set)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match="rung"):
        inside.call_in_time(abs, (-3,), {}, 60.0)
    assert before == signal.getsignal(signal.SIGALRM)


def test_moved_arguments_reach_the_function() -> None:
    """
    Positions and names.
    """
    assert {"a": 1, "b": 2} == inside.call_moved(dict, (([("a", 1)],), {"b": 2}))


def test_actors_are_found_by_name() -> None:
    """
    Until they are released.
    """
    inside.make_actor("key", list, ([3, 1, 2],), {})
    assert 3 == inside.call_actor("key", "pop", (0,), {})
    inside.release_actor("key")
    inside.release_actor("key")
    with pytest.raises(ActorLostError, match=r"pop\(\) was called of an actor that is gone"):
        inside.call_actor("key", "pop", (0,), {})


def test_a_stream_needs_a_task() -> None:
    """
    Outside a worker there is none.
    """
    with pytest.raises(RuntimeError, match="no task runs here"):
        inside.run_stream(range, (3,), {}, 1)
