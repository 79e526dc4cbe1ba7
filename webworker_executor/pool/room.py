"""
Room in a pool: how many tasks may be unfinished at a time, and what a submit does when all are.

A pool without such a bound does not come here. The thing to know before a change: who waits leaves
word first and looks then, and who ends a task takes it out of the table first and looks for word
then; so one of them sees the other. A task may be done before it leaves the table: an answered one
for a moment, which only a refusal must look at, and a stopped one until its worker is rid of it,
which is noted. Whoever must not wait is let in beyond the bound: a signal handler that stands
within a step or in the way of one who has room and is not in yet, and the reactor, who would wait
for itself.
"""

from __future__ import annotations

import _thread
import contextlib
import time
from collections import deque
from functools import partial
from operator import call as call_it
from operator import methodcaller

from webworker_executor.link.flag import wake_all
from webworker_executor.pool.size import check_count
from webworker_executor.web.seconds import is_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from webworker_executor.pool.call import Call

__all__ = ["Bounded", "Room", "check_bound"]

_release = methodcaller("release")


def check_bound(max_pending: object, when_full: object) -> None:
    """
    Refuse a bound that cannot be.

    Args:
        max_pending: How many tasks may be unfinished; ``None`` for any number.
        when_full: ``"block"``, ``"raise"``, or seconds to wait.

    Raises:
        TypeError: ``max_pending`` is no integer.
        ValueError: It is not positive; or ``when_full`` is none of the three, or something to do
            where there is no bound.
    """
    check_count("max_pending", max_pending)
    if isinstance(when_full, str):
        is_known = when_full in {"block", "raise"}
    else:
        is_known = isinstance(when_full, (int, float)) and is_time(when_full)
    if is_known and max_pending is None and when_full != "block":
        raise ValueError("when_full means something only together with max_pending")
    if not is_known:
        raise ValueError(
            f"when_full must be 'block', 'raise' or a number of seconds to wait, not {when_full!r}"
        )


class Bounded(dict[int, "Call"]):
    """The table of calls of a pool with a bound: it tells when one leaves, or is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.sleepers: deque[_thread.LockType] = deque()
        self._stopped: set[int] = set()

    def pop(self, ident: int, *default: Any) -> Any:
        """Take a call out, and wake one who waits for room."""
        # First: whatever is not in the table any more is not to be subtracted from it.
        self._stopped.discard(ident)
        call = super().pop(ident, *default)
        self.wake()
        return call

    def stop(self, ident: int) -> None:
        """Count a call no more, which is done though its worker has it; and wake one who waits."""
        self._stopped.add(ident)
        self.wake()

    def n_counted(self) -> int:
        """Return how many there are, without those that were stopped."""
        # By what is in both: a signal handler may stop what is just leaving.
        return len(self) - sum(map(self.__contains__, tuple(self._stopped)))

    def wake(self) -> None:
        """Wake one who waits for room, if anybody does."""
        # Two threads may look at once, and find one.
        with contextlib.suppress(IndexError):
            next(self.waking())

    def waking(self) -> Iterator[object]:
        """Return what wakes one with each step; IndexError if nobody waits."""
        # Within C: whoever was taken out is woken, though a signal handler raises.
        return map(_release, iter(self.sleepers.popleft, None))

    def wake_all(self) -> None:
        """Wake all who wait for room, in case one was forgotten; they look again by themselves."""
        wake_all(self.sleepers)


class Room:
    """
    The way into a pool that has a bound.

    Args:
        calls: The unfinished ones.
        max_pending: How many they may be.
        when_full: ``"block"``, ``"raise"``, or seconds to wait.
        submit: Takes a call.
        may_wait: Whether the current thread may.
    """

    def __init__(
        self,
        calls: Bounded,
        max_pending: int,
        when_full: str | float,
        submit: Callable[[Call], None],
        may_wait: Callable[[], bool],
    ) -> None:
        self._calls = calls
        self._max_pending = max_pending
        self._patience: float | None = None
        if when_full != "block":
            self._patience = 0.0 if when_full == "raise" else float(when_full)
        self._submit = submit
        self._may_wait = may_wait
        self._lock = _thread.RLock()  # makes one step of the look for room and the entry
        # On their way in, each with its thread. By themselves, not counted: whoever was thrown out
        # by a signal handler need not know how far it had come.
        self._entering: dict[Call, int] = {}
        # The threads of those who wait; one is here twice where a signal handler waits, too.
        self._waiting: list[int] = []

    def submit(self, call: Call) -> None:
        """
        Take a call when there is room.

        Raises:
            PoolFullError: There was none in time.
            BrokenWorkerPool: The pool is broken.
            RuntimeError: It was shut down.
        """
        # For a moment the call counts twice, or it is refused: somebody is to be told as it leaves,
        # in the same step of C.
        tell = partial(next, self._calls.waking())
        leaving = map(call_it, (partial(self._entering.pop, call), tell))
        try:
            if not self._enter(call) and self._may_wait() and not self._is_in_the_way():
                self._wait(call)
            self._submit(call)
        finally:
            if call in self._entering:
                try:
                    _ = [*leaving]
                except IndexError:
                    # Nobody waits.
                    pass

    def _enter(self, call: Call, *, is_last: bool = False) -> bool:
        with self._lock:
            n_taken = self._n_undone() if is_last else self._n_taken()
            if n_taken >= self._max_pending:
                return False
            self._entering[call] = _thread.get_ident()
            return True

    def _n_taken(self) -> int:
        # In this order, as in the next: whoever comes in meanwhile is seen in one or the other.
        return len(self._entering) + self._calls.n_counted()

    def _n_undone(self) -> int:
        # One by one, which would take too long for every submit: none counts twice, nor when it is
        # done. The lists are made in one step of C each, as other threads change both.
        calls = {*list(self._entering), *list(self._calls.values())}
        return sum(not call.future.done() for call in calls)

    def _is_in_the_way(self) -> bool:
        # As a signal handler that has interrupted who comes in, without whom none will leave.
        return _thread.get_ident() in self._entering.values()

    def _wait(self, call: Call) -> None:
        ident, waiting, sleepers = _thread.get_ident(), self._waiting, self._calls.sleepers
        # A signal handler's stands before the one that it has interrupted: that one would be woken
        # first, and could not go on until the handler has room.
        queue = sleepers.appendleft if ident in waiting else sleepers.append
        try:
            waiting.append(ident)
            self._wait_in_line(call, queue)
        finally:
            waiting.remove(ident)

    def _wait_in_line(self, call: Call, queue: Callable[[_thread.LockType], object]) -> None:
        patience, sleepers = self._patience, self._calls.sleepers
        deadline = None if patience is None else time.monotonic() + patience
        waking = self._calls.waking()
        while True:
            sleeper = _thread.allocate_lock()
            sleeper.acquire()
            is_woken = False
            try:
                # Not before: a signal handler that raises right behind it would leave word of one
                # who is gone, and whoever is next in line would not be woken.
                queue(sleeper)
                if self._enter(call):
                    return
                left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
                is_woken = sleeper.acquire(timeout=left)
                if not is_woken:
                    if self._enter(call, is_last=True):
                        return
                    raise self._error()
            finally:
                # Each a step of C, and no other call before it.
                if not is_woken:
                    try:
                        sleepers.remove(sleeper)
                    except ValueError:
                        try:
                            # Somebody has just woken this one, who has no use for it any more.
                            next(waking)
                        except IndexError:
                            pass

    def _error(self) -> Exception:
        from webworker_executor.errors import PoolFullError

        waited = f" after {self._patience:g} s" if self._patience else ""
        return PoolFullError(
            f"{self._max_pending} tasks are not done yet{waited}, which is all that max_pending "
            "allows. Submit again when some are, or let submit wait with when_full='block'."
        )
