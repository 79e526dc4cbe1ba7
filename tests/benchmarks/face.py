"""
Every kind of pool behind one face, so that a workload is written once.

Not for choosing who takes part: see ``contender``. Whoever changes this must keep the pool's own
bound methods where there are any: a wrapper around them would be measured along.
"""

from __future__ import annotations

from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from tests.benchmarks.metric import Unable
from tests.benchmarks.tasks import increment, nap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor


class Face(NamedTuple):
    """A pool as the workloads see it, to be left with ``with``."""

    submit: Callable[..., Any]
    """``submit(fn, *args)`` returns a handle."""

    wait: Callable[[Any], Any]
    """``wait(handle)`` returns the result of the call or raises its exception."""

    map: Callable[[Any, Iterable[Any], int | None], Iterable[Any]]
    """``map(fn, items, chunksize)``, where None leaves the size to the pool."""

    call: Callable[..., Any]
    """``call(fn, *args)`` makes a call and waits for it, in whatever way the pool has."""

    close: Callable[[], object]
    """Ends the workers, and waits for them."""

    pool: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def executor(self) -> Executor:
        """The pool as an executor, where it is one."""
        executor: Executor = self.pool
        return executor

    def wait_for_all(self, handles: Iterable[Any]) -> None:
        """Wait for every call."""
        wait = self.wait
        for handle in handles:
            wait(handle)

    def warm_up(self, n_workers: int = 2) -> None:
        """Have all workers started, and let each import what the workloads call."""
        list(self.map(nap, [0.01] * 4 * n_workers, 1))
        list(self.map(increment, range(200 * n_workers), 1))


def face_of_executor(executor: Executor) -> Face:
    """Show an executor of ``concurrent.futures``."""

    def map_(fn: Any, items: Iterable[Any], chunksize: int | None) -> Iterable[Any]:
        options = {} if chunksize is None else {"chunksize": chunksize}
        return executor.map(fn, items, **options)

    wait = methodcaller("result")
    call = partial(_call, executor.submit, wait)
    return Face(executor.submit, wait, map_, call, executor.shutdown, executor)


def face_of_pool(pool: Any) -> Face:
    """Show a pool of ``multiprocessing``."""

    def submit(fn: Any, *args: Any) -> Any:
        return pool.apply_async(fn, args)

    def close() -> None:
        pool.close()
        pool.join()

    wait = methodcaller("get")
    return Face(submit, wait, pool.map, partial(_call, submit, wait), close, pool)


def face_of_pebble(pool: Any) -> Face:
    """Show a pool of pebble."""

    def submit(fn: Any, *args: Any) -> Any:
        return pool.schedule(fn, args=args)

    def map_(fn: Any, items: Iterable[Any], chunksize: int | None) -> Iterable[Any]:
        options = {} if chunksize is None else {"chunksize": chunksize}
        results: Iterable[Any] = pool.map(fn, items, **options).result()
        return results

    def close() -> None:
        pool.close()
        pool.join()

    wait = methodcaller("result")
    return Face(submit, wait, map_, partial(_call, submit, wait), close, pool)


def face_of_mpire(pool: Any) -> Face:
    """Show a pool of mpire."""

    def submit(fn: Any, *args: Any) -> Any:
        return pool.apply_async(fn, args)

    def map_(fn: Any, items: Iterable[Any], chunksize: int | None) -> Iterable[Any]:
        results: Iterable[Any] = pool.map(fn, items, chunk_size=chunksize)
        return results

    wait = methodcaller("get")
    return Face(submit, wait, map_, partial(_call, submit, wait), pool.stop_and_join, pool)


def face_of_joblib(parallel: Any, delayed: Any, close: Callable[[], object]) -> Face:
    """Show joblib, which has a ``map`` of its own kind and nothing else."""

    def submit(*args: Any) -> NoReturn:
        raise Unable("takes calls by the list alone")

    def map_(fn: Any, items: Iterable[Any], chunksize: int | None) -> Iterable[Any]:
        parallel.batch_size = chunksize or "auto"
        results: Iterable[Any] = parallel(delayed(fn)(item) for item in items)
        return results

    def call(fn: Any, *args: Any) -> Any:
        return parallel([delayed(fn)(*args)])[0]

    return Face(submit, submit, map_, call, close, parallel)


def _call(submit: Callable[..., Any], wait: Callable[[Any], Any], fn: Any, *args: Any) -> Any:
    return wait(submit(fn, *args))
