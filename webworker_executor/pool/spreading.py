"""
The maps: a call over many arguments, of an executor and of a view of one alike.

Not for how the calls are cut and their results awaited (``mapping``).
"""

from __future__ import annotations

from concurrent.futures import Executor

from webworker_executor.pool import mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from typing import Any, TypeVar, overload

    T = TypeVar("T")


class SpreadingExecutor(Executor):
    """The maps, for an executor that runs calls with ``_map``."""

    if TYPE_CHECKING:

        @overload
        def map(
            self,
            fn: Callable[..., Coroutine[Any, Any, T]],
            *iterables: Iterable[Any],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...
        @overload
        def map(
            self,
            fn: Callable[..., T],
            *iterables: Iterable[Any],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """
        Run ``fn`` over iterables side by side and yield the results in order.

        Args:
            fn: Called with one element of each iterable.
            *iterables: Read to the end of the shortest before this returns, unless ``buffersize``.
                With 64 items and more the first are measured before it returns, which takes half a
                second at most, and two more until a worker is up; with a ``chunksize`` nothing is.
            timeout: Seconds from now within which a result must come when it is asked for.
            chunksize: How many calls make a task. By default as many as take about 5 ms, measured
                on the first ones; each call still has its own result or exception, but they come
                together, and the death of a worker fails the whole task. Calls that wait for each
                other, or for who takes the results, need 1. That is the default with a ``timeout``,
                which is for each result; with ``max_tasks_per_child`` or ``buffersize``, which
                count tasks; and with ``options``, so that a time-out or a retry is one item's. With
                a ``chunksize`` a whole chunk is what is timed, retried and placed.
            buffersize: How many tasks may be under way and not yielded; by default all.

        Returns:
            An iterator. The first exception ends it; dropping it cancels what has not begun.

        Raises:
            ValueError: ``chunksize`` or ``buffersize`` is less than 1.
            TypeError: One of them is no integer.
            TimeoutError: From the iterator.
            PoolFullError: As ``submit``, here or from the iterator; what was submitted before and
                has not begun is cancelled then.
            BrokenWorkerPool: As ``submit``.
            RuntimeError: As ``submit``.
            OSError: As ``submit``.

        Source: concurrent.futures, ``Executor.map``; ``buffersize`` as of Python 3.14.
        """
        options = mapping.MapOptions(timeout, chunksize, buffersize)
        return self._map(fn, mapping.Calls.across(iterables), options)

    if TYPE_CHECKING:

        @overload
        def map_unordered(
            self,
            fn: Callable[..., Coroutine[Any, Any, T]],
            *iterables: Iterable[Any],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...
        @overload
        def map_unordered(
            self,
            fn: Callable[..., T],
            *iterables: Iterable[Any],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...

    def map_unordered(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """
        Run ``fn`` over iterables side by side and yield each result as soon as it is there.

        Which result is whose the function has to say, as by ``return item, result``. Those of a
        chunk come together; with ``chunksize=1`` each comes when it is done. The first exception
        that comes ends it. All else, also what it raises, is as for ``map``.

        Source: ``multiprocessing.Pool.imap_unordered``.
        """
        from webworker_executor.pool.unordered import as_they_come

        options = mapping.MapOptions(timeout, chunksize, buffersize, as_they_come)
        return self._map(fn, mapping.Calls.across(iterables), options)

    if TYPE_CHECKING:

        @overload
        def starmap(
            self,
            fn: Callable[..., Coroutine[Any, Any, T]],
            iterable: Iterable[Iterable[Any]],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...
        @overload
        def starmap(
            self,
            fn: Callable[..., T],
            iterable: Iterable[Iterable[Any]],
            timeout: float | None = None,
            chunksize: int | None = None,
            buffersize: int | None = None,
        ) -> Iterator[T]: ...

    def starmap(
        self,
        fn: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """
        Run ``fn(*element)`` for each element; otherwise, also in what it raises, as ``map``.

        Source: ``multiprocessing.Pool.starmap``, in the spelling of mpi4py's executor.
        """
        options = mapping.MapOptions(timeout, chunksize, buffersize)
        return self._map(fn, mapping.Calls(map(tuple, iterable)), options)

    def _map(
        self,
        fn: Callable[..., Any],
        calls: mapping.Calls,
        options: mapping.MapOptions,
    ) -> Iterator[Any]:
        """Run the calls, and return an iterator over their results."""
        raise NotImplementedError
