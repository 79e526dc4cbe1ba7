"""
``WebWorkerExecutor``: the ``concurrent.futures`` face of a pool.

It checks, packs and waits; the pool does. What it can do beyond the standard library's, how it
ends, and what programs look at in it have modules of their own.
"""

from __future__ import annotations

import functools
import logging
import operator
import weakref
from types import FunctionType

from webworker_executor.link.memory import store
from webworker_executor.pool import mapping, starting
from webworker_executor.pool.beyond import BeyondExecutor
from webworker_executor.pool.call import Call
from webworker_executor.pool.chunk import run_chunk
from webworker_executor.pool.ending import EndingExecutor, check_exit_policy
from webworker_executor.pool.familiar import FamiliarExecutor
from webworker_executor.pool.flattened import results_of
from webworker_executor.pool.logs import logs_for
from webworker_executor.pool.pool import Pool
from webworker_executor.pool.room import check_bound
from webworker_executor.pool.size import Size
from webworker_executor.pool.spreading import SpreadingExecutor
from webworker_executor.wire.definition import fix, forget_large
from webworker_executor.wire.forks import packing_for_forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import multiprocessing.context
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Literal, ParamSpec, TypeVar, overload

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.web.pool_worker import PoolWorker
    from webworker_executor.wire.forks import Forks

    P = ParamSpec("P")
    T = TypeVar("T")

_log = logging.getLogger("webworker_executor.pool")


class WebWorkerExecutor(BeyondExecutor, SpreadingExecutor, EndingExecutor, FamiliarExecutor):
    """
    Run calls in long-lived worker processes; a drop-in for ``ProcessPoolExecutor``.

    Nothing is started before the first task. Workers are started one by one while no worker is
    idle, or all at once where they are forked.

    Args:
        max_workers: How many workers there may be; by default as many as there are CPUs.
        mp_context: A ``multiprocessing`` context or the name of a start method, which picks the
            launcher: ``"spawn"`` → spawn, ``"forkserver"`` → zygote, ``"fork"`` → fork.
        initializer: Called in each worker before its first task.
        initargs: Its arguments. Objects of ``multiprocessing`` (queues, locks, events, values) are
            handed over; where they belong to a fork context, the workers are forked.
            Each gets a duplicate of a ``SharedBuffer``, ``FileDescriptor`` or ``AbortSignal``.
        max_tasks_per_child: After so many tasks a worker is replaced; by default never.
        launcher: ``"spawn"`` (default), ``"zygote"``, ``"fork"``, or a launcher object such as
            ``ZygoteLauncher(preload=[...])``. Not to be combined with ``mp_context``.
        on_crash: ``"replace"`` (default): a worker's death fails the one task it ran, and a new
            worker takes its place. ``"break"``: it breaks the pool, to the letter of the stdlib.
        max_memory_per_child: Bytes of resident memory of its own above which a worker is replaced,
            after its task; by default never.
        memory_limit: Bytes of memory that a worker may have while it runs a task: what it asks for
            beyond is a ``MemoryError`` there. By default there is no limit.
        idle_timeout: Seconds without a task or a message after which a worker leaves, or at most
            half as long again; it comes back on demand. By default workers stay. One that has an
            actor stays, too.
        min_workers: How many stay, however idle they are.
        max_pending: How many tasks may be unfinished, waiting and running; by default any number.
        when_full: What ``submit`` and ``map`` do when so many are: ``"block"`` (default) waits for
            room, ``"raise"`` raises ``PoolFullError``, a number waits for so many seconds and
            raises then. Whoever submits on an asyncio loop should not wait there.
        exit_policy: What happens at the end of the program to tasks that are not done: ``"wait"``
            (default) finishes them, as the stdlib does; ``"cancel"`` finishes those that were
            handed to a worker and cancels the rest; ``"kill"`` ends the workers at once.
        forward_logging: Whether what workers log is handled by the loggers of the program: ``True``
            for what these would take, as their levels are when a worker starts, or a level, such as
            ``logging.INFO`` or ``"INFO"``, from which on everything is.
        worker_data: A value that each worker finds, copied, as ``scope.worker_data``; shared
            memory, descriptors and signals in it as in ``initargs``. A port has one holder.
        env: Environment variables that workers have beside the program's own. Workers import from
            where the program does, as those of ``multiprocessing``: a ``PYTHONPATH`` is for
            programs that they start.
        name: For ``repr`` and as ``scope.name``.

    Raises:
        ValueError: A count is not positive, or an option has a value that it cannot have.
        TypeError: An argument has the wrong type.

    Source: concurrent.futures, ``ProcessPoolExecutor``; HTML, "Web workers".
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: multiprocessing.context.BaseContext | str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        launcher: Literal["spawn", "zygote", "fork"] | Launcher | None = None,
        on_crash: Literal["replace", "break"] = "replace",
        max_memory_per_child: int | None = None,
        memory_limit: int | None = None,
        idle_timeout: float | None = None,
        min_workers: int = 0,
        max_pending: int | None = None,
        when_full: Literal["block", "raise"] | float = "block",
        exit_policy: Literal["wait", "cancel", "kill"] = "wait",
        forward_logging: bool | int | str = False,
        worker_data: object = None,
        env: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        n_workers = starting.count_workers(max_workers)
        starting.check_options(initializer, initargs, on_crash, env, name)
        check_exit_policy(exit_policy)
        check_bound(max_pending, when_full)
        size = Size(
            n_workers,
            min_workers=min_workers,
            idle_timeout=idle_timeout,
            max_tasks=max_tasks_per_child,
            max_memory=max_memory_per_child,
            memory_limit=memory_limit,
        )
        self._asked_context = mp_context
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        # Known when the first worker is about to be started.
        self._is_forking = False
        self._forks: Forks | None = None
        self._name = name
        self._n_actors = [0] * n_workers
        birth = starting.Birth(
            starting.find_launcher(mp_context, launcher, max_tasks_per_child, env),
            name=name,
            env=env,
            logs=logs_for(forward_logging),
        )
        self._preparation = starting.Preparation(birth, initializer, initargs, worker_data)
        self._pool = Pool(birth, size, breaks_on_crash=on_crash == "break", exit_policy=exit_policy)
        if max_pending is not None:
            self._pool.bound(max_pending, when_full)
        # Collected with work pending, the work is finished and the workers leave: the stdlib's
        # rule.
        self._finalizer = weakref.finalize(self, self._pool.shutdown)
        self._finalizer.atexit = False
        forget_large()

    def __repr__(self) -> str:
        name = f" {self._name!r}" if self._name else ""
        pool = self._pool
        state = "broken" if pool.breakage.is_broken else "shut down" if pool.is_shut else "open"
        if pool.is_foreign:
            # The word a port's repr uses.
            state = "forked"
        return (
            f"<WebWorkerExecutor{name} {state} "
            f"workers={len(pool.crew.processes)}/{self._max_workers} "
            f"tasks={len(pool.promises.calls)}>"
        )

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError(
            "a WebWorkerExecutor cannot be pickled: its workers belong to this process. A task "
            "that needs workers of its own can make its own executor."
        )

    # -- tasks

    if TYPE_CHECKING:

        @overload
        def submit(
            self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> WorkerFuture[T]: ...
        @overload
        def submit(
            self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
        ) -> WorkerFuture[T]: ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> WorkerFuture[Any]:
        """
        Run ``fn(*args, **kwargs)`` in a worker.

        The arguments are packed before this returns, in the thread of the caller: what is changed
        afterwards does not change the task.

        Args:
            fn: Any callable; lambdas, closures and functions of ``__main__`` go by value. What is
                ``async def`` is run to its end there, on an asyncio loop of its own.
            *args: Its arguments.
            **kwargs: Its keyword arguments, all of them: none is kept for the executor.

        Returns:
            A future. What packing the call raises is found there, too, with a note that names the
            argument.

        Raises:
            Exception: What packing ``initializer``, ``initargs`` or ``worker_data`` raises, with a
                note that names which. They are packed once, before the first worker starts.
            PoolFullError: There is no room: see ``max_pending``.
            BrokenWorkerPool: The pool is broken.
            RuntimeError: It was shut down, the interpreter is exiting, or this process is a forked
                copy of the one that the executor belongs to.
            OSError: It is the first call, and the process has no descriptor left for what serves
                the pool. A later call may succeed.

        Source: concurrent.futures, ``Executor.submit``.
        """
        pool = self._pool
        if not pool.is_open:
            self._open()
        call = Call(pool.promises.next_ident())
        try:
            if self._is_forking:
                packing_for_forks(call.pack, fn, args, kwargs, forks=self._forks)
            else:
                call.pack(fn, args, kwargs)
            pool.take(call)
        except BaseException as error:
            try:
                from webworker_executor.pool.failing import fail

                return fail(pool, call, error, fn, args, kwargs)
            finally:
                # Once more, where a signal handler has come into that.
                call.settle()
        return call.future

    def _open(self) -> None:
        # In this order: what workers bring along is packed before one can be started.
        if not self._pool.is_shut:
            self._preparation.do()
        launcher = self._pool.crew.birth.launcher
        # A launcher of the program's own need not tell.
        self._forks = getattr(launcher, "forks", None)
        self._is_forking = launcher.shares_memory
        self._pool.open()

    def _open_for(self, calls: Iterable[object]) -> None:
        try:
            self._open()
        except RuntimeError:
            # Like the stdlib, refuse at the first call; an empty iterable is not refused.
            for _ in calls:
                raise

    def _map(
        self,
        fn: Callable[..., Any],
        calls: mapping.Calls,
        options: mapping.MapOptions,
    ) -> Iterator[Any]:
        self._open_for(calls.items)
        # A program that has put its own `submit` in the place of ours wants to see every call, one
        # that limits the tasks of a worker counts calls, and one that does not wait for ever wants
        # what is ready by then: no result is to wait for others of its chunk.
        is_ours = type(self).submit is WebWorkerExecutor.submit and "submit" not in self.__dict__
        is_timed, is_bounded = options.timeout is not None, options.buffersize is not None
        is_each_a_task = is_timed or is_bounded or self._max_tasks_per_child
        chunksize = options.chunksize
        if chunksize is None and is_ours and not is_each_a_task:
            pool = self._pool
            is_up, division = pool.crew.is_up, pool.division
            return mapping.adaptive(self, fn, calls, options.order, self.size, is_up, division)
        if chunksize is None or chunksize == 1:
            # Packed once for all calls, if it is large.
            fixed = fix(fn, fn, store.shelve) if is_ours else None
            return mapping.one_by_one(self, fixed or fn, calls.tuples(), options)
        parts = calls.chunks(chunksize)
        whole = functools.partial(run_chunk, fn)
        fixed = fix(fn, whole, store.shelve) if is_ours else None
        if fixed is not None:
            lists = mapping.one_by_one(self, fixed, zip(parts), options)
        else:
            pairs = ((fn, part) for part in parts)
            lists = mapping.one_by_one(self, run_chunk, pairs, options)
        return results_of(lists)

    # -- workers

    @property
    def size(self) -> int:
        """How many workers there may be."""
        return self._pool.max_workers

    def resize(self, max_workers: int) -> None:
        """
        Have more workers or fewer from now on; no task is lost.

        More are used at once, by what waits and by what lies in busy workers. Of fewer the last
        places go: an idle worker there leaves, a busy one runs its task and what is pinned to it
        first. What it keeps, such as actors, goes with it.

        Args:
            max_workers: How many workers there may be.

        Raises:
            ValueError: ``max_workers`` is not positive, less than ``min_workers``, or more than the
                kernel could ever run.
            TypeError: It is no integer.
            BrokenWorkerPool: The pool is broken.
            RuntimeError: The executor was shut down, or this process is a forked copy.

        Source: loky, ``get_reusable_executor(max_workers=...)``; ``multiprocessing.pool`` has none.
        """
        count = starting.count_workers(operator.index(max_workers))
        # Before it is true, for then others look into it; and too many do no harm.
        self._n_actors += [0] * (count - len(self._n_actors))
        self._pool.resize(count)

    @property
    def workers(self) -> Sequence[PoolWorker]:
        """
        The raw channels: one for each place in the pool, whether a process is there or not.

        Raises:
            Exception: As ``submit``, of what is packed before the first worker starts.
        """
        if not self._pool.is_shut:
            self._preparation.do()
        return tuple(self._pool.workers[: self._pool.max_workers])


# Where an argument is wrong, Python names the function by this, and users know none of the bases.
for _base in (BeyondExecutor, SpreadingExecutor, EndingExecutor):
    for _name, _member in vars(_base).items():
        if isinstance(_member, FunctionType):
            _member.__qualname__ = f"{WebWorkerExecutor.__qualname__}.{_name}"
