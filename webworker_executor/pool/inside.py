"""
What the pool itself has called in its workers.

A worker that runs a stream or an actor imports this, so it imports next to nothing; above all not
the rest of the pool.
"""

from __future__ import annotations

from webworker_executor.pool.title import standing_for
from webworker_executor.web.awaited import ended
from webworker_executor.web.running import running_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable
    from typing import Any

# The actors of this worker, by name; or what their making raised.
_actors: dict[str, Any] = {}


class _Stillborn:
    """Stands for an actor whose making failed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@standing_for(0)
def run_stream(
    fn: Callable[..., Iterable[Any] | AsyncIterable[Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    credit: int,
) -> None:
    """
    Send what a function yields.

    Args:
        fn: Called with the arguments; returns an iterable.
        args: Its arguments.
        kwargs: Its keyword arguments.
        credit: How many items may leave before more are asked for.
    """
    running_task()._stream(fn(*args, **kwargs), credit)


def call_moved(fn: Callable[..., Any], bundle: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    """Call a function with arguments parts of which have been transferred."""
    args, kwargs = bundle
    return fn(*args, **kwargs)


def call_in_time(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float
) -> Any:
    """
    Call a function, and tell it when its time is over; on the main thread.

    Source: setitimer(2), which counts while the function sleeps, too.
    """
    import signal

    error = TimeoutError(f"the task ran for more than its soft_timeout of {seconds:g} s")

    def tell(*_: object) -> None:
        if not running_task().tell_of_timeout(error):
            raise error

    previous = signal.signal(signal.SIGALRM, tell)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return ended(fn(*args, **kwargs))
        finally:
            # If the alarm rings at this last moment, it raises here, and never after this.
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    finally:
        signal.signal(signal.SIGALRM, previous)


def call_again(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    retries: int,
    retry_on: tuple[type[BaseException], ...],
) -> Any:
    """Call a function, and again for some of what it may raise."""
    for _ in range(retries):
        try:
            return ended(fn(*args, **kwargs))
        except retry_on as error:
            if isinstance(error, TimeoutError):
                # Its time may have been over, and has begun anew.
                running_task()._begin_anew()
    return fn(*args, **kwargs)


@standing_for(1)
def make_actor(
    key: str, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Make the object that calls will name."""
    try:
        _actors[key] = factory(*args, **kwargs)
    except BaseException as exc:
        _actors[key] = _Stillborn(exc)
        raise


@standing_for(1)
def call_actor(key: str, title: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a method of an actor, which is the last part of the call's title."""
    name = title.rpartition(".")[2]
    actor = _actors.get(key, _actors)
    if actor is _actors:
        from webworker_executor.errors import ActorLostError

        raise ActorLostError(
            f"{name}() was called of an actor that is gone: the worker it lived in has died or was "
            "replaced. Make a new one with executor.actor()."
        )
    if isinstance(actor, _Stillborn):
        raise actor.error
    return getattr(actor, name)(*args, **kwargs)


def release_actor(key: str) -> None:
    """Forget an actor."""
    _actors.pop(key, None)
