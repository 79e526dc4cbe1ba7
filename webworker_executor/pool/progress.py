"""
Progress bars for what an executor does, drawn by tqdm.

Not for tasks: they say how far they are by ``current_task().report()``, and know of no bar.
"""

from __future__ import annotations

import threading
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Any, TypeVar

from webworker_executor.pool.future import WorkerFuture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webworker_executor.pool.talk import ProgressEvent


T = TypeVar("T")


def progress(items: Iterable[T], *, total: float | None = None, **options: Any) -> Iterator[T]:
    """
    Draw a bar while something is iterated over.

    Args:
        items: Results, as ``map``, ``starmap`` and ``stream`` give them: the bar counts them one by
            one, whatever the ``chunksize``, and they are passed on. Or a list of futures: they are
            passed on as they are done, and in between the bar moves with what their tasks report
            by ``current_task().report(done, total)``.
        total: How many there will be; by default their number if it is known.
        **options: More arguments of ``tqdm``: ``desc``, ``unit``, ``file``, ``disable``, ...

    Returns:
        An iterator; the bar is closed when it ends or is dropped.

    Raises:
        ImportError: tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError(
            "progress() draws with tqdm, which is not installed; install it, or "
            "webworker-executor[progress]"
        ) from error
    if isinstance(items, (list, tuple, set, frozenset)):
        total = len(items) if total is None else total
        if items and all(isinstance(item, WorkerFuture) for item in items):
            return _of_futures(tuple(items), tqdm(total=total, **options))
    return _of_results(items, tqdm(total=total, **options))


def _of_results(items: Iterable[Any], bar: Any) -> Iterator[Any]:
    with bar:
        for item in items:
            bar.update(1)
            yield item


def _of_futures(futures: tuple[WorkerFuture[Any], ...], bar: Any) -> Iterator[Any]:
    shares = dict.fromkeys(futures, 0.0)
    # Reports come on the events thread, ends to whoever iterates; a bar can add only one at a time.
    adding = threading.Lock()

    def follow(future: WorkerFuture[Any]) -> None:
        def moved(event: ProgressEvent) -> None:
            if event.total:
                set_share(future, min(event.loaded / event.total, 1.0))

        future.onprogress = moved

    def set_share(future: WorkerFuture[Any], share: float) -> None:
        with adding:
            # What a task has reported may come after its end is known here, or the bar closed.
            before = shares.get(future, 1.0)
            if share > before:
                shares[future] = share
                bar.update(share - before)

    with bar:
        try:
            for future in futures:
                follow(future)
            for done in as_completed(futures):
                set_share(done, 1.0)  # type: ignore[arg-type]  # one of those that were given
                yield done
            # Sums of thirds are not quite whole.
            bar.n = round(bar.n, 6)
            bar.refresh()
        finally:
            with adding:
                shares.clear()
