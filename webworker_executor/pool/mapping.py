"""
``map`` over an executor: chunks and back-pressure, by way of ``submit`` alone.

How large chunks are where nobody has said is decided in ``rules.chunks``; in which order results
are taken, in ``order``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor

from webworker_executor.link.memory import store
from webworker_executor.pool.chunk import lay_out, run_all
from webworker_executor.pool.flattened import outcomes_of
from webworker_executor.pool.order import cancelled_on_error, in_order
from webworker_executor.rules.chunks import Chunks
from webworker_executor.web.blame import point_out
from webworker_executor.wire.definition import fix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from typing import Any, Protocol

    from webworker_executor.pool.chunk import Chunk
    from webworker_executor.pool.order import Order
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object


# A map of fewer items is not worth measuring.
FEWEST = 64
# How long an item may run that is not worth measuring; how long `map` itself may wait for its
# first items, once there is a worker; how long for the first worker, which takes a tenth of that
# where its initializer has little to do; and how often it looks for that one.
SLOW_SECONDS = 0.1
PATIENCE = 0.5
START_PATIENCE = 2.0
LOOK_SECONDS = 0.02


class Submitter(Protocol):
    """What ``map`` asks of an executor."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call."""


class Divider(Protocol):
    """What ``map`` asks of whoever divides chunks."""

    def watch(self, future: Future[Any], n_calls: int) -> None:
        """Divide a chunk if it takes long; ``parts_of`` has what was taken out then."""

    def forsake(self, future: Future[Any]) -> None:
        """Have what has not begun of a chunk never run."""


class MapOptions:
    """
    What a map is asked for beside its calls.

    Args:
        timeout: Seconds from the call within which each result must have been asked for and come.
        chunksize: How many calls make a task; ``None`` where nobody has said.
        buffersize: How many tasks may be submitted and not yielded; ``None`` for all.
        order: In which order results are taken.

    Raises:
        ValueError: ``chunksize`` or ``buffersize`` is less than 1.
        TypeError: One of them is no integer.
    """

    __slots__ = ("buffersize", "chunksize", "order", "timeout")

    def __init__(
        self,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        order: Order = in_order,
    ) -> None:
        if chunksize is not None:
            # As far as the stdlib's takes them, those of numpy too.
            if not hasattr(chunksize, "__index__"):
                raise TypeError(f"chunksize must be an integer or None, not {chunksize!r}")
            if chunksize < 1:
                raise ValueError("chunksize must be >= 1.")
        if buffersize is not None:
            if not isinstance(buffersize, int):
                raise TypeError("buffersize must be an integer or None")
            if buffersize < 1:
                raise ValueError("buffersize must be None or > 0")
        self.timeout = timeout
        self.chunksize = chunksize
        self.buffersize = buffersize
        self.order = order


class Calls:
    """
    What a map calls its function with.

    Args:
        items: The arguments of each call, as a tuple; or, where each has one, that alone. To make
            a tuple for each takes longer than to map it.
        are_single: Whether it is that alone.
    """

    __slots__ = ("_are_single", "items")

    def __init__(self, items: Iterable[Any], *, are_single: bool = False) -> None:
        self.items = items
        self._are_single = are_single

    @classmethod
    def across(cls, iterables: tuple[Iterable[Any], ...]) -> Calls:
        """Take one element of each iterable for a call."""
        if len(iterables) == 1:
            return cls(iter(iterables[0]), are_single=True)
        return cls(zip(*iterables, strict=False))

    def tuples(self, items: Iterable[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the arguments of each call, or of those that were taken out of ``items``."""
        items = self.items if items is None else items
        return zip(items) if self._are_single else iter(items)

    def chunk(self, items: Iterable[Any]) -> Chunk:
        """Make a chunk of some that were taken out of ``items``."""
        return tuple(items) if self._are_single else lay_out(list(items))

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Cut all into chunks of ``size``, the last one shorter."""
        iterator = iter(self.items)
        while chunk := self.chunk(itertools.islice(iterator, size)):
            yield chunk


def one_by_one(
    executor: Submitter,
    fn: Callable[..., Any],
    argument_tuples: Iterable[tuple[Any, ...]],
    options: MapOptions,
) -> Iterator[Any]:
    """
    Submit a call for each tuple of arguments and yield the results.

    Args:
        executor: Its ``submit`` is looked up anew for each call: programs assign to it.
        fn: What to call.
        argument_tuples: Taken at once, or ``buffersize`` ahead.
        options: Of the map.

    Returns:
        An iterator that, once it was asked for a result, cancels what has not begun when it is
        dropped or closed.

    Raises:
        Exception: What a submit or the iterable raises; what has not begun is cancelled then.
    """
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    iterator = iter(argument_tuples)
    futures: deque[Future[Any]] = deque()
    with cancelled_on_error(futures):
        futures.extend(
            executor.submit(fn, *args) for args in itertools.islice(iterator, options.buffersize)
        )
    if options.buffersize is None:
        return options.order(futures, deadline, None, None)
    # Held weakly: an iterator that is kept must not keep the executor from being collected.
    reference = weakref.ref(executor)

    def submit_next() -> Iterator[Future[Any]]:
        living = reference()
        if living is not None:
            for args in itertools.islice(iterator, 1):
                yield living.submit(fn, *args)

    return options.order(futures, deadline, submit_next, None)


def adaptive(
    executor: Submitter,
    fn: Callable[..., Any],
    calls: Calls,
    order: Order,
    n_workers: int,
    is_up: Callable[[], bool],
    division: Divider,
) -> Iterator[Any]:
    """
    Submit calls in chunks of about 5 ms, sized by what the first of them took.

    Each call has its own result or exception, as if it were a task. But those of a chunk run one
    after the other, unless one of them takes long and another worker is idle; their results come
    together, and a worker's death takes them all.

    Args:
        executor: As for ``one_by_one``.
        fn: What to call.
        calls: Taken at once.
        order: In which order results are taken; those of a chunk come together, in theirs.
        n_workers: How many workers there may be.
        is_up: Tells whether any of them can run tasks yet.
        division: Divides chunks that take long after all.

    Returns:
        As ``one_by_one``.
    """
    items = list(calls.items)
    if len(items) < FEWEST:
        fixed = fix(fn, fn, store.shelve)
        return one_by_one(executor, fixed or fn, calls.tuples(items), MapOptions(order=order))
    futures: deque[Future[Any]] = deque()
    wait = functools.partial(_wait_for_worker, is_up, time.monotonic() + START_PATIENCE)
    # Packed once, if it is large: a chunk is a call of it.
    fixed = fix(fn, functools.partial(run_all, fn), store.shelve)

    def submit(part: list[Any]) -> Future[Any]:
        chunk = calls.chunk(part)
        if fixed is None:
            future = executor.submit(run_all, fn, chunk)
        else:
            future = executor.submit(fixed, chunk)
        division.watch(future, len(part))
        return future

    with cancelled_on_error(futures, division.forsake):
        _submit_chunks(submit, calls, items, n_workers, wait, futures)
    return outcomes_of(order(futures, None, None, division.forsake))


def _submit_chunks(
    submit: Callable[[list[Any]], Future[Any]],
    calls: Calls,
    items: list[Any],
    n_workers: int,
    wait_for_worker: Callable[[Future[Any]], bool],
    futures: deque[Future[Any]],
) -> None:
    sizes = Chunks(n_workers)
    patience = time.monotonic() + PATIENCE
    start, n_items = 0, len(items)
    while start < n_items:
        size, is_measuring = sizes.size(n_items - start), sizes.is_measuring(n_items - start)
        submitted = time.monotonic()
        # One for each worker, so that none idles while the first is waited for.
        n_chunks = n_workers if is_measuring else 1
        first = len(futures)
        for _ in range(n_chunks):
            if start < n_items:
                futures.extend(_submitted(submit, calls, items[start : start + size]))
                start += size
        if not is_measuring:
            continue
        if wait_for_worker(futures[first]):
            submitted = time.monotonic()
            patience = submitted + PATIENCE
        try:
            work_seconds, _, outcomes = _measurement(futures[first], patience)
        except Exception:
            # Whoever takes the result hears of it. Nothing is known of the items then.
            sizes.unmeasured()
        else:
            # Of those that it has not given away.
            n_run = max(1, len(outcomes))
            sizes.measured(n_run, work_seconds, time.monotonic() - submitted)


def _submitted(
    submit: Callable[[list[Any]], Future[Any]], calls: Calls, part: list[Any]
) -> Iterator[Future[Any]]:
    """Submit some calls as one task; one by one, where one of them cannot be sent."""
    future = submit(part)
    error = _why_unsent(future)
    if error is None:
        yield future
    elif len(part) > 1:
        for item in part:
            yield from _submitted(submit, calls, [item])
    else:
        # By what it is to the user; the executor has only seen a chunk.
        point_out(error, {"args": next(calls.tuples(part))})
        yield future


def _why_unsent(future: Future[Any]) -> BaseException | None:
    has_begun = getattr(future, "started_at", None) is not None
    if has_begun or not future.done() or future.cancelled():
        return None
    error = future.exception()
    # Where no worker is left it is none of the calls.
    return None if isinstance(error, BrokenExecutor) else error


def _measurement(future: Future[Any], latest: float) -> Any:
    """
    Return what a future has, unless its items are slow; a busy machine alone is waited for.

    Raises:
        Exception: What the future has raised, or ``TimeoutError``.
    """
    while True:
        try:
            return future.result(min(SLOW_SECONDS, max(0.0, latest - time.monotonic())))
        except TimeoutError:
            now, started = time.monotonic(), getattr(future, "started_at", None)
            is_slow = started is not None and now - started >= SLOW_SECONDS
            if is_slow or now >= latest or future.done():
                raise


def _wait_for_worker(is_up: Callable[[], bool], latest: float, future: Future[Any]) -> bool:
    """
    Wait until a worker is up: how long that takes says nothing of the items.

    Args:
        is_up: Tells whether one is.
        latest: When to give up, as ``time.monotonic`` has it.
        future: Of the first items; if it is done there is nothing to wait for.

    Returns:
        Whether it had to wait.
    """
    has_waited = False
    while not (is_up() or future.done()) and time.monotonic() < latest:
        has_waited = True
        with contextlib.suppress(Exception):
            # Whoever takes the result hears of it.
            future.result(LOOK_SECONDS)
    return has_waited
