"""
Actors: objects that live in one worker and are called from outside.

An actor is a name in its worker's memory, and each call is a task pinned to that worker: so calls
run one at a time and in order, other tasks get their turns between them, and all that holds for
tasks holds for them.
"""

from __future__ import annotations

import itertools
import os
from functools import partial

from webworker_executor.pool.failing import failed
from webworker_executor.pool.inside import call_actor, make_actor, release_actor
from webworker_executor.web.blame import point_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.pool.options import ExecutorView

_numbers = itertools.count(1)
_OWN = frozenset({"_key", "_view", "_name", "_ready", "__del__"})


class Actor:
    """
    An object in a worker; made by ``executor.actor``.

    ``actor.method(...)`` calls a method there and returns a ``WorkerFuture``. Calls run in order.
    It has methods only: attributes of the object are for these, and to set one here raises
    ``AttributeError``.
    When the worker dies, the object is lost: the call that runs raises ``WorkerCrashedError``,
    every other one ``ActorLostError``. The object is dropped there when the last reference to the
    actor is dropped here.

    Args:
        view: Submits to the actor's worker.
        factory: A class, or whatever returns the object.
        args: Its arguments.
        kwargs: Its keyword arguments.
        on_release: Called when the object has been given up.
    """

    # Dropped, it is given up: by a finalizer of C, which each has as a value. In one of Python a
    # signal handler may raise, and then its object would stay in the worker, and the worker busy.
    __slots__ = ("__del__", "__dict__", "__weakref__")

    def __init__(
        self,
        view: ExecutorView,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        on_release: Callable[[], object],
    ) -> None:
        # Of another process it has another name, also where the two share a worker's memory.
        self._key = f"{os.getpid()}-{next(_numbers)}"
        self._view = view
        self._name = getattr(factory, "__qualname__", type(factory).__name__)
        self._ready = view.submit(make_actor, self._key, factory, args, kwargs)
        error = self._why_never_made()
        if error is not None:
            point_out(error, {"factory": factory, "args": args, "kwargs": kwargs})
        self.__del__ = view.finalizer(partial(_release, view, self._key, on_release))

    def __repr__(self) -> str:
        return f"<Actor {self._name} in worker {self._view.worker}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "an Actor cannot be sent: it belongs to the program that made it. Pass a MessagePort "
            "to talk with a worker from elsewhere."
        )

    def __getattr__(self, name: str) -> Callable[..., WorkerFuture[Any]]:
        if name.startswith("__"):
            raise AttributeError(name)

        title = f"{self._name}.{name}"

        def call(*args: Any, **kwargs: Any) -> WorkerFuture[Any]:
            error = self._why_never_made()
            if error is not None:
                return failed(error)
            # Not by the function's own name: it would keep itself, and so the actor, in a cycle.
            return self._view.submit(call_actor, self._key, title, args, kwargs)

        call.__name__ = call.__qualname__ = title
        return call

    def _why_never_made(self) -> BaseException | None:
        """Return why the making has not even begun, such as an argument that cannot be sent."""
        ready = self._ready
        if ready.done() and ready.started_at is None and not ready.cancelled():
            return ready.exception()
        return None

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _OWN:
            raise AttributeError(
                f"an actor has methods only: {name!r} would be set here, and the object is in "
                f"worker {self._view.worker}. Give {self._name} a method that sets it, and call it"
            )
        object.__setattr__(self, name, value)


def _release(view: ExecutorView, key: str, on_release: Callable[[], object]) -> None:
    on_release()
    try:
        view.submit(release_actor, key)
    except RuntimeError:
        # The executor is shutting down, and the worker goes with the object.
        return
