"""
What an executor of workers that talk can do beyond ``concurrent.futures``.

Each of these is a few lines over ``submit``, and imports its own part when it is first used.
"""

from __future__ import annotations

from concurrent.futures import Executor, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
    from typing import Any, ParamSpec, TypeVar, overload

    from webworker_executor.observe import PoolEvent
    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.pool.options import ExecutorView
    from webworker_executor.pool.pool import Pool
    from webworker_executor.pool.statistics import ExecutorStatistics
    from webworker_executor.pool.stream import Stream
    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.event import MessageEvent
    from webworker_executor.web.pool_worker import PoolWorker

    P = ParamSpec("P")
    T = TypeVar("T")


class BeyondExecutor(Executor):
    """Streams, actors and terms for tasks, for an executor whose workers have places."""

    if TYPE_CHECKING:
        _n_actors: list[int]
        _pool: Pool

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> WorkerFuture[Any]:
            """Run a call in a worker."""

        @property
        def size(self) -> int:
            """How many workers there may be."""

        @property
        def workers(self) -> Sequence[PoolWorker]:
            """The raw channels."""

    def stream(
        self,
        fn: Callable[P, Iterable[T] | AsyncIterable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Stream[T]:
        """
        Run a generator in a worker and yield its items as they come.

        At most 16 items are made ahead of the consumer, or ``options(window=...)``; the generator
        rests then. Dropping the stream, ``close()`` or leaving a ``with`` over it closes the
        generator.

        Args:
            fn: A generator function, or another that returns an iterable.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            An iterator, asynchronous as well. It raises what the generator raises, after the items
            before that, and ``WorkerCrashedError`` when the worker dies.

        Raises:
            TypeError: ``fn`` cannot be called; a generator, say, that was made here.
            PoolFullError: As ``submit``.
            BrokenWorkerPool: As ``submit``.
            RuntimeError: As ``submit``.
            OSError: As ``submit``.

        Source: Streams standard, the queuing strategy's high-water mark.
        """
        from webworker_executor.pool.stream import Stream

        return Stream(self.submit, fn, args, kwargs)

    if TYPE_CHECKING:

        @overload
        def run_on_all(
            self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> list[T]: ...
        @overload
        def run_on_all(
            self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
        ) -> list[T]: ...

    def run_on_all(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> list[Any]:
        """
        Run a call once in each worker, starting those that are not there.

        To load something that ``scope.worker_state`` keeps, for instance. A worker that comes later
        in the place of a dead one has not run it: what all must have belongs in ``initializer``.

        Args:
            fn: What to call.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            The results by place.

        Raises:
            BaseException: The first one's, by place, that failed; when all have ended.
            PoolFullError: As ``submit``; the workers before may still run the call.
            BrokenWorkerPool: As ``submit``.
            RuntimeError: As ``submit``.
            OSError: As ``submit``.
        """
        futures = [
            self.options(worker=index).submit(fn, *args, **kwargs) for index in range(self.size)
        ]
        wait(futures)
        return [future.result() for future in futures]

    def broadcast(self, message: Any) -> None:
        """
        Post a copy of a message to each worker, starting those that are not there.

        Each hears it as ``scope.onmessage``, between two tasks; a worker that comes later in the
        place of a dead one does not. Returns at once.

        Args:
            message: As for ``post_message``; nothing can be transferred to all.

        Raises:
            DataCloneError: It cannot be sent. It was posted to nobody.
            BrokenWorkerPool: As ``submit``.
            RuntimeError: As ``submit``.
            OSError: As ``submit``.
            Exception: Whatever the value's own hooks raise; as ``submit``, of what is packed before
                the first worker starts.

        Source: HTML, ``BroadcastChannel.postMessage``, which is for any number of listeners.
        """
        for worker in self.workers:
            worker.post_message(message)

    def actor(self, factory: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """
        Make an object in one of the workers, and return an ``Actor`` that calls its methods.

        The worker with the fewest actors gets it. It still runs other tasks: calls of the actor are
        tasks that wait for their turn in that worker. A method that is ``async def`` is run to its
        end.

        Args:
            factory: A class, or whatever returns the object.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            An ``Actor``. If the making fails, each call raises what it raised.

        Raises:
            PoolFullError: As ``submit``.
            BrokenWorkerPool: As ``submit``.
            RuntimeError: As ``submit``.
            OSError: As ``submit``.
        """
        from webworker_executor.pool.actor import Actor

        counts = self._n_actors
        index = counts.index(min(counts[: self.size]))
        counts[index] += 1
        # A worker that holds an actor is never idle.
        self._pool.keep(index, 1)
        held = [index]

        def released() -> None:
            # Once, though a signal handler that raises when all is done makes both of us call.
            if held:
                held.clear()
                counts[index] -= 1
                self._pool.keep(index, -1)

        try:
            return Actor(self.options(worker=index), factory, args, kwargs, released)
        except BaseException:
            # Its first task was not taken: there is none whose end could tell.
            released()
            raise

    def statistics(self) -> ExecutorStatistics:
        """
        Count what the executor has done, and look at each worker.

        Returns:
            An ``ExecutorStatistics``: all counts of one moment. The executor keeps few of them; the
            others are worked out here, so that tasks cost no more for being counted.

        Source: trio, "Debugging"; each object there has a ``statistics()``.
        """
        from webworker_executor.pool.statistics import take

        return take(self._pool)

    def dump_stacks(self, timeout: float = 1.0) -> dict[PoolWorker, str]:
        """
        Look at the Python stacks of all threads of all workers, whatever they are doing.

        Also at those of a worker that is stuck in C code, with the interpreter's lock in its hands
        or without: ``faulthandler`` writes them when the worker gets SIGURG. A task that is in a
        system call goes on with it, for another thread gets that signal, unless the task keeps the
        interpreter to itself. A worker that is stopped or dead is told as such.

        Args:
            timeout: Seconds to wait at most, for all of them together.

        Returns:
            A text for each worker that is there: a line that says what it is running, and the
            stacks, the innermost call first. ``print(*executor.dump_stacks().values())``.

        Raises:
            ValueError: ``timeout`` is negative or infinite.
            TypeError: It is no number.

        Source: faulthandler, "Dumping the tracebacks on a user signal".
        """
        from webworker_executor.pool.stacks import dump

        return dump(self._pool, timeout)

    def observe(self, observer: Callable[[PoolEvent], object]) -> Callable[[], None]:
        """
        Call a function with a ``PoolEvent`` for whatever happens to workers and tasks from now on.

        On the events thread; an observer gets one event after the other, in order, while others may
        run beside one that takes long. The end of the executor waits for it, and that of the
        program for about a second. What it raises is logged. Tasks that do well are no events: see
        ``statistics``.

        Args:
            observer: Called with one ``PoolEvent``.

        Returns:
            A function that ends it.

        Raises:
            TypeError: ``observer`` cannot be called.
        """
        if not callable(observer):
            raise TypeError(
                f"observer must be callable, not {type(observer).__name__}; it is called with one "
                "PoolEvent"
            )
        return self._pool.chronicle.observe(observer)

    def options(
        self,
        *,
        timeout: float | None = None,
        soft_timeout: float | None = None,
        retries: int = 0,
        retry_on: type[BaseException] | Iterable[type[BaseException]] | None = None,
        signal: AbortSignal | None = None,
        transfer: Iterable[Any] | None = (),
        worker: int | None = None,
        onmessage: Callable[[MessageEvent], object] | None = None,
        window: int = 16,
        priority: int = 0,
        cancel_running: bool = False,
    ) -> ExecutorView:
        """
        Return a view of this executor that runs tasks on certain terms.

        ``executor.options(timeout=5).submit(fn, x)``; the maps and ``stream`` as well.

        Args:
            timeout: Seconds that a task may run, from its start on. Then its future raises
                ``TaskTimeout``, and it is stopped as by ``future.abort()``.
            soft_timeout: Seconds after which the task itself is told, so that it can tidy up and
                end: the ``signal`` of ``current_task()`` aborts with a ``TimeoutError`` if the task
                has looked at it, and otherwise that is raised where the task's main thread stands.
                A coroutine is cancelled, and that is raised in the place of its CancelledError.
                What the task returns or raises then is its outcome. It takes SIGALRM for it. No
                more than a ``timeout`` that is given with it.
            retries: How many times more a task may run. A task that has failed may have had its
                effect, so it happens at least once.
            retry_on: For which exceptions, by type. For ``WorkerCrashedError``, which is the
                default, it runs in another worker, for others at once in the same one; each kind
                is counted by itself.
            signal: Aborts the tasks when it aborts: those that wait never run.
            transfer: What is given up here and moves with the arguments: see
                ``MessagePort.post_message``. For one task.
            worker: The place, from 0, of the worker that must run the tasks. They wait for it, in
                order with what was submitted for any.
            onmessage: Called with what each task posts: see ``WorkerFuture.onmessage``.
            window: How many items a ``stream`` makes ahead.
            priority: Of the tasks that wait, those with a higher number run first, and those with
                the same one in the order of their submission. What has begun goes on. Other tasks
                have 0; those below may wait for as long as there are others.
            cancel_running: ``future.cancel()`` also stops a task that runs, as ``abort()`` does,
                and so does what asyncio cancels: ``task.cancel()``, ``asyncio.timeout``.

        Raises:
            TypeError: An option has the wrong type.
            ValueError: An option has a value that it cannot have.
        """
        from webworker_executor.pool.options import DEFAULTS, ExecutorView

        return ExecutorView(self, DEFAULTS).options(  # type: ignore[arg-type]  # of which this is a part
            timeout=timeout,
            soft_timeout=soft_timeout,
            retries=retries,
            retry_on=retry_on,
            signal=signal,
            transfer=transfer,
            worker=worker,
            onmessage=onmessage,
            window=window,
            priority=priority,
            cancel_running=cancel_running,
        )
