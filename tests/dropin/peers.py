"""
Every process pool that the table compares, behind one face: `submit`, `wait_for`, `abort`,
`leave`.

Not for the tests of our own executor alone: those use it as users do. Whoever changes it must know
that a worker of a peer may import this module, so each peer is imported when its pool is made and
not before.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OURS = ("webworker-spawn", "webworker-fork", "webworker-zygote")

PEERS = {
    "stdlib-fork": "concurrent.futures",
    "stdlib-forkserver": "concurrent.futures",
    "mp.Pool": "multiprocessing",
    "loky": "loky",
    "pebble": "pebble",
    "mpire": "mpire",
    "deadpool": "deadpool",
    "billiard": "billiard",
}
"""The other pools, each with the module that must be there."""


class Peer(Protocol):
    """What the scenarios need of a pool."""

    pool: Any

    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        """Give the pool a call; return its future or whatever the pool has in place of one."""

    def wait_for(self, handle: Any, timeout: float) -> Any:
        """Return the call's result or raise its exception, or TimeoutError after some seconds."""

    def abort(self, handle: Any) -> None:
        """End a call that runs; raise NotImplementedError where the pool cannot."""

    def leave(self, *exc_info: Any) -> None:
        """Do what leaving the pool's `with` block does, by the end or by an exception."""


def is_installed(name: str) -> bool:
    """Say whether a peer can be tried here."""
    return importlib.util.find_spec(PEERS[name]) is not None


def make_peer(
    name: str, max_workers: int = 2, initializer: Callable[[], object] | None = None
) -> Peer:
    """
    Make a pool.

    Args:
        name: One of `OURS` or `PEERS`.
        max_workers: How many processes.
        initializer: Is called once in each.
    """
    kind, _, method = name.partition("-")
    options: dict[str, Any] = {} if initializer is None else {"initializer": initializer}
    if kind == "webworker":
        module = importlib.import_module("webworker_executor")
        return _Ours(module.WebWorkerExecutor(max_workers, launcher=method, **options))
    return _MAKERS[kind](max_workers, method, options)


class _Executor:
    """A pool of `concurrent.futures`' kind."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        return self.pool.submit(fn, *args)

    def wait_for(self, handle: Any, timeout: float) -> Any:
        return handle.result(timeout)

    def abort(self, handle: Any) -> None:
        raise NotImplementedError

    def leave(self, *exc_info: Any) -> None:
        self.pool.__exit__(*exc_info or (None, None, None))


class _Ours(_Executor):
    def abort(self, handle: Any) -> None:
        if not hasattr(handle, "abort"):
            raise NotImplementedError
        handle.abort()


class _Deadpool(_Executor):
    def abort(self, handle: Any) -> None:
        handle.cancel_and_kill_if_running()


class _Pebble(_Executor):
    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        return self.pool.schedule(fn, args=args)

    def abort(self, handle: Any) -> None:
        handle.cancel()


class _Pool:
    """A pool of `multiprocessing.Pool`'s kind."""

    def __init__(self, pool: Any, timeout_error: type[Exception]) -> None:
        self.pool = pool
        self._timeout_error = timeout_error

    def submit(self, fn: Callable[..., object], *args: object) -> Any:
        return self.pool.apply_async(fn, args)

    def wait_for(self, handle: Any, timeout: float) -> Any:
        try:
            return handle.get(timeout)
        except self._timeout_error as exc:
            if handle.ready():
                raise
            raise TimeoutError from exc

    def abort(self, handle: Any) -> None:
        raise NotImplementedError

    def leave(self, *exc_info: Any) -> None:
        self.pool.__exit__(*exc_info or (None, None, None))


def _make_stdlib(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    futures = importlib.import_module("concurrent.futures")
    context = multiprocessing.get_context(method)
    return _Executor(futures.ProcessPoolExecutor(max_workers, context, **options))


def _make_pool(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    return _Pool(multiprocessing.Pool(max_workers, **options), multiprocessing.TimeoutError)


def _make_billiard(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    billiard = importlib.import_module("billiard")
    return _Pool(billiard.Pool(max_workers, **options), billiard.TimeoutError)


def _make_mpire(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    mpire = importlib.import_module("mpire")
    pool = mpire.WorkerPool(max_workers)
    if "initializer" in options:
        submit = pool.apply_async
        pool.apply_async = lambda fn, args: submit(fn, args, worker_init=options["initializer"])
    return _Pool(pool, TimeoutError)


def _make_loky(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    return _Executor(importlib.import_module("loky").ProcessPoolExecutor(max_workers, **options))


def _make_pebble(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    return _Pebble(importlib.import_module("pebble").ProcessPool(max_workers, **options))


def _make_deadpool(max_workers: int, method: str, options: Mapping[str, Any]) -> Peer:
    return _Deadpool(importlib.import_module("deadpool").Deadpool(max_workers, **options))


_MAKERS = {
    "stdlib": _make_stdlib,
    "mp.Pool": _make_pool,
    "billiard": _make_billiard,
    "mpire": _make_mpire,
    "loky": _make_loky,
    "pebble": _make_pebble,
    "deadpool": _make_deadpool,
}
