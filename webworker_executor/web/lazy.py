"""
A ``concurrent.futures.Future`` that owns nothing until somebody needs it.

A lock, a list of waiters or of callbacks comes into being when somebody asks; most futures live
without (a plain one costs 1 us and 1.2 KB to make, this one a tenth). What every future has stands
in slots: a ``__dict__`` with a single entry takes 270 bytes, because it has room for whatever any
future ever had.

What a changer must know: whoever settles it stores the state first and looks for sleepers and
callbacks then; whoever waits leaves word first and looks at the state then; so one of them sees the
other, and no lock is held that a signal handler, raising inside ``Condition.__enter__``, could
leave held for ever. Only ``wait`` and ``as_completed`` of the standard library take a lock: they
count futures, and none may change its state meanwhile.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future, as_completed, wait
from concurrent.futures._base import (
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    LOGGER,
    PENDING,
    RUNNING,
)

from webworker_executor.link.flag import wake_all
from webworker_executor.web.late import MAKES_DICT_LATE
from webworker_executor.web.seconds import seconds_to_wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from webworker_executor.link.lead import Lead

    T = TypeVar("T")

ENDED = frozenset({CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED})
_TOLD = frozenset({CANCELLED_AND_NOTIFIED, FINISHED})

# How long the lock of `wait` may be held before we check whether a signal handler threw its holder
# out; and how many checks to make.
PATIENCE = 0.5
N_LOOKS = 60
# How much longer it takes to be sure of one that is never held for more than a moment.
N_MOMENTS = 4
_COUNTING = frozenset({wait.__code__, as_completed.__code__})
_ASLEEP = threading.Event.wait.__code__

# What the standard library expects of a future, each made when it is first asked for.
_ON_DEMAND: dict[str, Callable[[], object]] = {
    "_condition": threading.Condition,
    "_waiters": list,
    "_done_callbacks": deque,
    "_sleepers": deque,
}


class LazyFuture(Future["T"]):
    """
    A future without an owner: what can be asked of it, and how it is settled.

    It is settled by one thread at a time; the owner has a lock for that.
    """

    __slots__ = ("_exception", "_is_watched", "_leader", "_result", "_state")

    if TYPE_CHECKING:
        # Of the base class; typeshed leaves them out. And who waits in `exception`.
        _done_callbacks: deque[Callable[[Future[T]], object]]
        _sleepers: deque[_thread.LockType]

    def __init__(self) -> None:
        # Without that of the base class, which would make what is made on demand here.
        self._state = PENDING
        self._result: Any = None
        self._exception: BaseException | None = None
        # Rung when it is settled otherwise than by whoever reads for it: see `pool.leading`.
        self._leader: Lead | None = None
        # Whether anybody has ever waited, watched or asked to be called: then it has more than
        # a state.
        self._is_watched = False
        if MAKES_DICT_LATE:
            _ = self.__dict__

    def __getattr__(self, name: str) -> Any:
        make = _ON_DEMAND.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # Before anything else: who settles looks at this.
        self._watch()
        # Two threads may come here at once; the first one's is everybody's.
        return self.__dict__.setdefault(name, make())

    def _watch(self) -> None:
        """Have whoever settles it tell; from now on, if it is not settled already."""
        # Looked at in the same breath as the state is stored.
        self._is_watched = True
        self._attended()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._state in {CANCELLED, CANCELLED_AND_NOTIFIED}

    def running(self) -> bool:
        """Whether it was handed to a worker and is not done."""
        return self._state == RUNNING

    def done(self) -> bool:
        """Whether it was cancelled or has ended."""
        return self._state in ENDED

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """
        Call ``fn(self)`` when it is done; at once, in this thread, if it is done already.

        Args:
            fn: What it raises is logged on ``concurrent.futures``.

        Source: concurrent.futures, ``Future.add_done_callback``.
        """
        self._done_callbacks.append(fn)
        if self._state in ENDED:
            # Whoever settled it may have looked before this one was there. Each is taken once.
            self._invoke_callbacks()

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the value.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Raises:
            BaseException: What there is in place of a value; or as ``exception``.
        """
        exc = self.exception(timeout)
        if exc is None:
            return self._result  # type: ignore[no-any-return]  # what its owner has settled
        try:
            raise exc
        finally:
            # The exception refers to this frame, which must not refer to it.
            del exc, self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """
        Wait for what there is in place of a value, ``None`` if there is one.

        Args:
            timeout: As for ``result``.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It was not done in time.
            CancelledError: It was cancelled.
        """
        self._wait(timeout)
        return self._exception

    def _wait(self, timeout: float | None) -> None:
        """
        Wait until it is done.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It was not in time.
            CancelledError: It was cancelled.
        """
        if self._state not in ENDED:
            self._sleep(seconds_to_wait(timeout))
        if self._state != FINISHED:
            raise CancelledError

    def _sleep(self, timeout: float | None) -> None:
        sleeper = _thread.allocate_lock()
        sleeper.acquire()
        sleepers = self._sleepers
        sleepers.append(sleeper)
        if self._state in ENDED:
            return
        is_woken = False
        try:
            if timeout is None:
                is_woken = sleeper.acquire()
            else:
                is_woken = sleeper.acquire(timeout > 0, timeout if timeout > 0 else -1)
        finally:
            if not is_woken:
                # In vain, or a signal handler has raised: polling does not make the list grow.
                with contextlib.suppress(ValueError):
                    sleepers.remove(sleeper)
        if self._state not in ENDED:
            raise TimeoutError

    # -- settling

    def _settle(
        self, state: str, result: object = None, exception: BaseException | None = None
    ) -> None:
        """Store an outcome, once, and tell everybody."""
        if self._state not in _TOLD:
            self._result = result
            self._exception = exception
            # No call stands between this look and the store, so nobody can make a lock meanwhile.
            if "_condition" not in self.__dict__:
                self._state = state
            elif self._lock_out(0.0):
                self._store_and_notify(state)
            else:
                # The owner's lock is held here, and whoever counts futures may be waiting for it.
                deadline = time.monotonic() + PATIENCE
                self._defer(lambda: self._settle_late(state, deadline))
                return
        # Also the second time, in case a signal handler raised before the first was through.
        self._settled()

    def _settle_late(self, state: str, deadline: float) -> None:
        n_looks = 0
        while not self._lock_out(max(0.0, deadline - time.monotonic())):
            n_looks += 1
            if n_looks < N_LOOKS and _is_anybody_counting():
                # A slow thread, of many futures or on a machine that has much to do.
                deadline = time.monotonic() + PATIENCE
                continue
            # Who counted until a moment ago has let go since. A lock that was torn stays held.
            if self._lock_out(0.0):
                break
            if n_looks == N_LOOKS or not _is_anybody_counting():
                self._mend()
        self._store_and_notify(state)
        self._settled()

    def _mend(self) -> None:
        """Make those locks anew that were torn: nobody is between their acquire and release."""
        if self._condition.acquire(blocking=False):
            self._condition.release()
        else:
            self._condition = threading.Condition()
        for waiter in self._waiters:
            event: Any = waiter.event
            # Who falls asleep or wakes up holds it for a moment and is not seen to count, and this
            # may be long after the deadline. It is one lock for all futures of a `wait`.
            if event._cond.acquire(timeout=N_MOMENTS * PATIENCE):
                event._cond.release()
                continue
            anew: Any = threading.Condition(threading.Lock())
            # Whoever sleeps there, and has nothing to do with it, is woken as before.
            anew._waiters = event._cond._waiters
            event._cond = anew

    def _lock_out(self, timeout: float) -> bool:
        """Take the lock of ``wait`` and ``as_completed``; False where those who count hold one."""
        patience = (True, timeout) if timeout > 0 else (False, -1)
        if not self._condition.acquire(*patience):
            return False
        for waiter in self._waiters:
            # What tells it takes this one.
            lock = waiter.event._cond  # type: ignore[attr-defined]  # of threading
            if not lock.acquire(*patience):
                self._condition.release()
                return False
            lock.release()
        return True

    def _store_and_notify(self, state: str) -> None:
        """Store the state and tell ``wait`` and ``as_completed``; lets go of their lock."""
        try:
            if self._state in _TOLD:
                return
            self._state = state
            for waiter in self._waiters:
                if state == CANCELLED_AND_NOTIFIED:
                    waiter.add_cancelled(self)
                elif self._is_failure():
                    waiter.add_exception(self)
                else:
                    waiter.add_result(self)
            self._condition.notify_all()
        finally:
            self._condition.release()

    def _settled(self) -> None:
        self._wake()
        if "_done_callbacks" in self.__dict__:
            self._invoke_callbacks()

    def _wake(self) -> None:
        leader = self._leader
        if leader is not None:
            leader.release()
        sleepers = self.__dict__.get("_sleepers")
        if sleepers:
            wake_all(sleepers)

    def _invoke_callbacks(self, logged: type[BaseException] = Exception) -> None:
        # Of the base class: called by its `set_result` and `set_exception`, too. What is not logged
        # is raised: the caller's thread may be one that Ctrl-C or an exit is meant for.
        self._wake()
        callbacks = self._done_callbacks
        while callbacks:
            try:
                callback = callbacks.popleft()
            except IndexError:
                # Another thread took the last one.
                return
            try:
                callback(self)
            except logged:
                LOGGER.exception("exception calling callback for %r", self)

    def _is_failure(self) -> bool:
        return self._exception is not None

    def _attended(self) -> None:
        """Hear that somebody will want to be told at once."""

    def _defer(self, call: Callable[[], object]) -> None:
        """Make a call in another thread, where it may wait."""
        raise NotImplementedError


def is_quick(callback: Callable[[Future[Any]], object]) -> bool:
    """
    Whether a callback is what ``asyncio.wrap_future`` adds.

    That is one ``call_soon_threadsafe``, which neither blocks nor runs code of the user. Handing it
    to another thread first would double the time of an await.
    """
    return getattr(callback, "__module__", None) == "asyncio.futures"


def _is_anybody_counting() -> bool:
    """Whether a thread stands in ``wait`` or ``as_completed`` where it may hold futures' locks."""
    for innermost in sys._current_frames().values():
        called, frame = None, innermost
        while frame is not None:
            # While these two sleep they hold none.
            if frame.f_code in _COUNTING and called is not _ASLEEP:
                return True
            called, frame = frame.f_code, frame.f_back  # type: ignore[assignment]  # to the end
    return False
