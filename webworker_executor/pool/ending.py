"""
How an executor ends: when all is done, when its time is over, by force, or by Ctrl-C.

Not for single tasks (``stopping``) nor for what the pool does then (``pool_ending``).
"""

from __future__ import annotations

from concurrent.futures import Executor

from webworker_executor.pool import broken
from webworker_executor.pool.interrupt import is_interrupt
from webworker_executor.web.seconds import check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal, Self

    from webworker_executor.pool.pool import Pool

EXIT_POLICIES = ("wait", "cancel", "kill")


def check_exit_policy(exit_policy: object) -> None:
    """
    Refuse what is no policy.

    Raises:
        ValueError: It is none of those there are.
    """
    if exit_policy not in EXIT_POLICIES:
        raise ValueError(f"exit_policy must be 'wait', 'cancel' or 'kill', not {exit_policy!r}")


class EndingExecutor(Executor):
    """The ends of an executor that has a pool."""

    if TYPE_CHECKING:
        _pool: Pool

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None
    ) -> None:
        """
        Take no more tasks, and let the workers leave when all is done.

        May be called any number of times, from any thread and from callbacks.

        Args:
            wait: Return when every task is done, every callback has run and every worker has left;
                a worker that does not leave within 5 s is forced.
            cancel_futures: Cancel the tasks that have not been handed to a worker, or lie in one
                that is not up yet, or that does not come to them within a second or two. Whoever
                waits for one of them is woken. A worker that is just coming up may be quicker, and
                does its first one; one that says nothing is given up after five seconds.
            timeout: Seconds that all this may take. Then whatever is not done fails with
                ``BrokenWorkerPool``, and its workers are ended by SIGTERM, and SIGKILL a second
                later. Also without ``wait``. By default there is no limit.

        Raises:
            ValueError: ``timeout`` is negative or infinite.
            TypeError: It is no number.
            RuntimeError: A signal handler is to wait within a call of the executor that it has
                interrupted, and that must end first. It is shut down all the same.

        Source: concurrent.futures, ``Executor.shutdown``; ``timeout`` is ours.
        """
        if timeout is not None:
            check_seconds("timeout", timeout)
        self._pool.shutdown(cancel=cancel_futures)
        if timeout is not None:
            self._pool.end_within(timeout)
        if wait:
            self._pool.wait(timeout)

    def terminate_workers(self) -> None:
        """
        End the executor by SIGTERM to every worker; running and pending tasks fail.

        Source: concurrent.futures of Python 3.14, on every Python.
        """
        self._end_workers(kill=False)

    def kill_workers(self) -> None:
        """
        End the executor by SIGKILL to every worker; running and pending tasks fail.

        Source: concurrent.futures of Python 3.14, on every Python.
        """
        self._end_workers(kill=True)

    def _end_workers(self, *, kill: bool) -> None:
        children = list(self._pool.crew.children().values())
        self.shutdown(wait=False, cancel_futures=True)
        # Also those that are not up yet, or are on their way out.
        self._pool.break_(broken.ENDED_BY_FORCE, kills=kill)
        for child in children:
            if kill:
                child.kill()
            else:
                child.terminate()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if is_interrupt(exc_type):
            # Ctrl-C means now: what runs is ended, what waits is cancelled.
            self._pool.abandon()
            self._pool.wait()
            return False
        try:
            self.shutdown(wait=True)
        except KeyboardInterrupt:
            self._pool.abandon()
            self._pool.wait()
            raise
        return False

    async def __aenter__(self) -> Self:
        """Return the executor itself: ``async with`` ends it without blocking the loop."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        import asyncio

        if is_interrupt(exc_type):
            self._pool.abandon()
        try:
            # A thread waits, and the loop goes on. Whoever is cancelled here gives up the waiting;
            # the executor ends all the same.
            await asyncio.to_thread(self.shutdown, wait=True)
        except asyncio.CancelledError as error:
            if is_interrupt(type(error)):
                self._pool.abandon()
            raise
        return False
