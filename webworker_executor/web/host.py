"""
The host: this process as the starter of workers. One per process, never public.

It keeps the one reactor and the events thread while anybody uses them, finishes what is pending
before the interpreter exits, and marks everything as the parent's in a forked child.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import queue
import select
import sys
import threading
import weakref

from webworker_executor.link.journal import tell_on
from webworker_executor.link.reactor import Reactor
from webworker_executor.web.events import EventsThread
from webworker_executor.wire import codec
from webworker_executor.wire.variable import context_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object

# How long the end of the program waits: for handlers, one after the other, for workers that are
# asked to leave, and for those who are to read what was posted.
EXIT_SECONDS = 5.0
TOO_LATE = "cannot schedule new futures after interpreter shutdown"
# Who puts something else in the place of threads.
GREEN_PACKAGES = frozenset({"gevent", "eventlet"})


class User(Protocol):
    """Whoever needs the two threads: a pool, the life of a `Worker`, a single call."""

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Bring everything to its end; the interpreter is about to exit."""

    def disown_after_fork(self) -> None:
        """In a forked child: all of this is the parent's."""


class _Comer:
    """Has the threads until the user has them that is being taken up."""

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Nothing was begun."""

    def disown_after_fork(self) -> None:
        """Nothing was begun."""


class Host:
    """The process's reactor and events thread, shared by its users."""

    def __init__(self) -> None:
        # Guards the fields below. Reentrant: a finalizer may release while a user is acquired.
        self._lock = threading.RLock()
        self._users: list[User] = []
        self._reactor: Reactor | None = None
        self._events: EventsThread | None = None
        # The one that was told to end last, after the calls that wait in it. Weakly: what has ended
        # must not keep what its calls were about.
        self._leaving: Callable[[], EventsThread | None] = _nobody
        self.is_exiting = False

    @property
    def reactor(self) -> Reactor | None:
        """The reactor while somebody uses it: for what is worth no thread of its own."""
        return self._reactor

    def acquire(self, user: User, *, at_exit: bool = False) -> tuple[Reactor, EventsThread]:
        """
        Take up a user.

        Args:
            user: It is brought to its end before the program's.
            at_exit: Whether it may come while the program ends, if the threads still run then.

        Raises:
            RuntimeError: The interpreter is exiting, no thread can be started, or the standard
                library was patched.
            OSError: No descriptor is left.
        """
        # Where a finalizer lets the last other user go meanwhile, the threads that this one is
        # about to get are not to end with it.
        comer, users = _Comer(), self._users
        try:
            with self._lock:
                if self.is_exiting and not (at_exit and self._users):
                    raise RuntimeError(TOO_LATE)
                if codec.generation > 1 and not self._users:
                    _check_that_no_chain_begins()
                self._users.append(comer)
                reactor, events = self._make_threads()
            # Without the lock: a thread that begins may collect garbage, and a finalizer come here.
            self._start(reactor, events)
            with self._lock:
                if comer not in self._users:
                    raise RuntimeError(TOO_LATE)
                tell_on(events.call)
                if user not in self._users:
                    self._users.append(user)
            return reactor, events
        except BaseException:
            self._let_go(comer)
            raise
        finally:
            # A single step of C, and no call before it: forgotten there, it would have the threads
            # for ever.
            try:
                users.remove(comer)
            except ValueError:
                pass

    def _let_go(self, comer: _Comer) -> None:
        """End the threads of one that a signal handler has broken off, if nobody else has them."""
        if comer in self._users and self._reactor is not None:
            # Only what runs can be told to end. What runs already is not started again.
            self._start(*self._make_threads())
            self.release(comer)

    def _start(self, reactor: Reactor, events: EventsThread) -> None:
        try:
            reactor.start()
            events.start()
        except RuntimeError as error:
            with self._lock:
                # Where others use them already, they serve on.
                if all(isinstance(user, _Comer) for user in self._users):
                    reactor.stop()
                    if self._reactor is reactor:
                        self._reactor = self._events = None
            # From Python 3.12 no thread can be started once the program has begun to end.
            if "shutdown" in str(error):
                raise RuntimeError(TOO_LATE) from error
            raise RuntimeError(
                f"no thread can be started to serve workers ({error}). The system or a limit has "
                "no room for one more; see ulimit -u."
            ) from error

    def _make_threads(self) -> tuple[Reactor, EventsThread]:
        # Looked at again after each making, and stored before another call: a signal handler that
        # ran meanwhile may have made one, too, and others may be using it.
        if self._reactor is None:
            _check_that_threads_are_threads()
            reactor = Reactor()
            if self._reactor is None:
                self._reactor = reactor
            else:
                reactor.discard()
        reactor = self._reactor
        if self._events is None:
            events = EventsThread(reactor)
            if self._events is None:
                self._events = events
        return reactor, self._events

    def release(self, user: User) -> None:
        """Let a user go; with the last one the threads end."""
        with self._lock:
            if user in self._users:
                self._users.remove(user)
            # Also for one that is gone already: a signal handler may have broken off its release.
            if self._users or self._reactor is None or self._events is None:
                return
            events, reactor = self._events, self._reactor
            # First of all: if a signal handler raises in what follows, nobody is given threads that
            # are about to end.
            self._leaving, self._reactor, self._events = weakref.ref(events), None, None
            try:
                tell_on(None)
                events.stop(reactor.stop)
            except BaseException:
                # Nobody else has them any more. Once only: a second end would follow the first one
                # round and round. No call comes between the note and the end itself.
                if not events.is_stopping:
                    events.stop(reactor.stop)
                raise

    def finish_at_exit(self) -> None:
        """Run before the interpreter joins its threads: no more work, and none left undone."""
        with self._lock:
            # Whoever is being taken up at this moment is in the list when the lock is free.
            self.is_exiting = True
        # The error that ended the program has been printed by now, and is kept for debuggers.
        last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        interrupted = isinstance(last, KeyboardInterrupt)
        # A copy for each look: another pool may end by itself meanwhile.
        while users := self._users[:1]:
            user = users[0]
            user.finish_at_exit(interrupted=interrupted)
            self.release(user)
        leaving = self._leaving()
        if leaving is not None:
            # What happened last is told and logged there.
            leaving.join(0.0 if interrupted else EXIT_SECONDS)

    def disown_after_fork(self) -> None:
        """In a forked child: the threads are not there, and the workers are the parent's."""
        self._lock = threading.RLock()
        users, self._users = self._users, []
        reactor, self._reactor, self._events = self._reactor, None, None
        self._leaving = _nobody
        tell_on(None)
        for user in users:
            # One that another thread was just making lacks what it is asked for, and nobody here
            # has it. The others are not to be left the parent's for that.
            with contextlib.suppress(Exception):
                user.disown_after_fork()
        if reactor is not None:
            reactor.close_after_fork()


def _nobody() -> None:
    return None


# What imports the modules that are named by what a worker is given: calls and functions, an
# initializer, data; and the variables of its caller's context.
_UNPACKING = (codec.unpack.__code__, context_variable.__code__)


def _check_that_no_chain_begins() -> None:
    """
    Refuse workers to the import of a module that a worker needs, two workers below the program.

    The module's body, which starts them, has run in the program and in a worker. Their tasks, or
    initializers, need the module again, and so on: each a process more, and with several workers
    each, thousands.
    """
    is_import, frame = False, sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code in _UNPACKING and is_import:
            raise RuntimeError(
                "a worker of a worker starts workers of its own while it imports a module for its "
                "first task or its initializer, and each of those would do the same. What a module "
                "does when it is imported is done in every worker: start workers in a function, or "
                "under 'if __name__ == \"__main__\":'"
            )
        is_import = is_import or frame.f_code.co_filename.startswith("<frozen importlib")


def _check_that_threads_are_threads() -> None:
    # By whose they are now: a debugger wraps them, too, and that is no harm.
    if hasattr(select, "epoll") and not (
        _is_green(_thread.start_new_thread) or _is_green(queue.SimpleQueue)
    ):
        return
    raise RuntimeError(
        "the standard library was patched, as gevent and eventlet do: workers are served by "
        "threads, with select.epoll and queue.SimpleQueue, and those are no more. Leave out "
        "thread, select, queue, os and subprocess where you patch, or use workers elsewhere"
    )


def _is_green(function: object) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] in GREEN_PACKAGES


host = Host()
# Before the interpreter joins threads and long before `atexit`: the rule of concurrent.futures,
# which registers its own in the same way.
threading._register_atexit(host.finish_at_exit)  # type: ignore[attr-defined]  # private, but the stdlib's only door
os.register_at_fork(after_in_child=host.disown_after_fork)
