"""
One face for every process pool that scenarios ask: `submit`, `wait_for`, `abort`, `leave`, `end`.

The face is found by what a pool has, not by its name: an executor of `concurrent.futures`' kind,
pebble's `schedule`, or `apply_async` as `multiprocessing.Pool` has it.

Whoever changes it must know that no pool is imported here: its class has been found by then.
"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class NotAskedError(Exception):
    """A scenario asks for something that this kind of pool does not claim to have."""


class Face:
    """What scenarios need of a pool; this one is for executors."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        """Give the pool a call; return its future or whatever the pool has in place of one."""
        return self.pool.submit(fn, *args)

    def wait_for(self, handle: Any, timeout: float) -> Any:
        """
        Return a call's result or raise its exception.

        Args:
            handle: What `submit` returned.
            timeout: Seconds until TimeoutError is raised.
        """
        return handle.result(timeout)

    def abort(self, handle: Any) -> None:
        """
        End a call that runs.

        Raises:
            NotAskedError: If the pool has no such thing.
        """
        # Ours, and deadpool's.
        for name in ("abort", "cancel_and_kill_if_running"):
            if hasattr(handle, name):
                getattr(handle, name)()
                return
        raise NotAskedError("no API")

    def leave(self, *exc_info: Any) -> None:
        """Do what leaving the pool's `with` block does, by the end or by an exception."""
        self.pool.__exit__(*exc_info or (None, None, None))

    def end(self) -> None:
        """Let the pool do what it was given, and wait until it has."""
        self.pool.shutdown(wait=True)

    @property
    def executor(self) -> Any:
        """
        The pool, if it claims to be an executor.

        Raises:
            NotAskedError: If it does not.
        """
        if not isinstance(self.pool, concurrent.futures.Executor):
            raise NotAskedError("n/a")
        return self.pool


class _Pebble(Face):
    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        return self.pool.schedule(fn, args=args)

    def abort(self, handle: Any) -> None:
        handle.cancel()

    def end(self) -> None:
        self.pool.close()
        self.pool.join()


class _Pool(Face):
    def __init__(self, pool: Any, options: dict[str, Any]) -> None:
        super().__init__(pool)
        self._options = options

    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        return self.pool.apply_async(fn, args, **self._options)

    def wait_for(self, handle: Any, timeout: float) -> Any:
        try:
            return handle.get(timeout)
        except Exception as exc:
            # Each of these pools has a TimeoutError of its own.
            if type(exc).__name__ == "TimeoutError" and not handle.ready():
                raise TimeoutError from exc
            raise

    def abort(self, handle: Any) -> None:
        raise NotAskedError("no API")

    def end(self) -> None:
        # mpire has no such method: its `join` waits for what it was given.
        if hasattr(self.pool, "close"):
            self.pool.close()
        self.pool.join()


def face_of(pool: Any, **options: Any) -> Face:
    """
    Put the face before a pool.

    Args:
        pool: Any process pool.
        **options: What to give with every call, where a pool has no place for it at its making.

    Raises:
        TypeError: If it is like none of the pools known.
    """
    if isinstance(pool, concurrent.futures.Executor):
        return Face(pool)
    if hasattr(pool, "schedule"):
        return _Pebble(pool)
    if hasattr(pool, "apply_async"):
        return _Pool(pool, options)
    if hasattr(pool, "submit"):
        return Face(pool)
    raise TypeError(f"{type(pool).__qualname__} has neither submit nor apply_async: no pool to ask")
