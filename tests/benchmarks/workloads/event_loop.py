"""
Calls awaited in an event loop: ten thousand together, and one after the other.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from queue import SimpleQueue
from statistics import median
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import add, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Await calls by ``run_in_executor``."""
    with contender.make(2) as face:
        executor = face.executor
        face.warm_up()
        yield from _await(executor, quick)


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Await futures that one thread completes without doing anything."""
    with _Completer() as executor:
        yield from _await(executor, quick)


def _await(executor: Executor, quick: bool) -> Iterator[tuple[str, float]]:
    import asyncio

    n_calls = 500 if quick else 10_000

    async def gather(n_calls: int) -> float:
        loop = asyncio.get_running_loop()
        began = perf_counter()
        await asyncio.gather(
            *[loop.run_in_executor(executor, add, number, 1) for number in range(n_calls)]
        )
        return n_calls / (perf_counter() - began)

    async def one_by_one(n_calls: int) -> float:
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(n_calls):
            began = perf_counter()
            await loop.run_in_executor(executor, nothing)
            times.append(perf_counter() - began)
        return median(times)

    with asyncio.Runner() as runner:
        runner.run(gather(n_calls // 10))
        yield "asyncio-gather", runner.run(gather(n_calls))
        runner.run(one_by_one(n_calls // 100))
        yield "asyncio-one", 1e6 * runner.run(one_by_one(n_calls // 10))


class _Completer(Executor):
    """Completes futures in one thread: the least that stands behind ``run_in_executor``."""

    def __init__(self) -> None:
        self._futures: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._futures.put(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._futures.put(None)
        self._thread.join()

    def _run(self) -> None:
        while future := self._futures.get():
            future.set_result(None)


WORKLOAD = Workload(
    metrics=(
        Metric("asyncio-gather", "asyncio, gather 10k calls", "calls/s", more_is_better=True),
        Metric("asyncio-one", "asyncio, await one call, p50", "µs"),
    ),
    measure=measure,
    limit=limit,
    needs="executor",
)
