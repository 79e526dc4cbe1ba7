"""
Threads of the package: daemons that are started once, whatever signal handlers do meanwhile.
"""

from __future__ import annotations

import _thread
import functools
import signal
import threading
import weakref

from webworker_executor.link.flag import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Longer than a thread takes to come up, also on a crowded machine.
_UP_SECONDS = 2.0

# What a thread gets that the kernel chooses for a signal of the process. Those that tell of a
# thread's own fault (or of its time) stay.
_FOR_THE_MAIN_THREAD = signal.valid_signals() - {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGPROF,
}
_hushed: list[set[signal.Signals]] = []

# As Python begins where the system refuses one.
_NO_MEMORY = "can't start new thread: it has ended at once, for want of memory"


def hush() -> None:
    """
    Leave the signals of the process to other threads; on a thread of ours.

    Python's handlers run on the main thread only, and it notices at once that there is one to run
    only if the kernel has woken it. Where the kernel picked a thread of ours, Ctrl-C was heard when
    the main thread's wait was over: half of all that came while workers started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_MAIN_THREAD)
    if not _hushed:
        _hushed.append(_FOR_THE_MAIN_THREAD - before)


def listen() -> None:
    """Take back ``hush``, which may be that of the thread or process that started this one."""
    if _hushed:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _hushed[0])


def is_main_thread() -> bool:
    """Whether the caller runs where signal handlers do."""
    return threading.current_thread() is threading.main_thread()


def _when_gone(thing: object, lock: _thread.LockType) -> weakref.ref[object]:
    """Release a lock when a thing is gone, if what this returns is kept."""
    # A method of C: code of Python would need the very memory that was missing.
    return weakref.ref(thing, lock.__exit__)  # type: ignore[arg-type]  # whatever it is called with


class _Token:
    """Something that is kept, and whose end is noticed."""

    __slots__ = ("__weakref__",)


class _Beginning:
    """
    What the starter of a thread waits for: that it is up, or that it never will be.

    In the place of the event of ``threading.Thread``, for which it waits without end where there
    was no memory for the first frame of the new thread.
    """

    def __init__(self) -> None:
        self.is_up = False
        self._is_begun = False
        self._is_over = _thread.allocate_lock()
        self._is_over.acquire()
        self._watch: weakref.ref[object] | None = None

    def watch(self, body: object) -> None:
        """Take the end of what only the new thread keeps for the end of the wait."""
        self._watch = _when_gone(body, self._is_over)

    def come_up(self) -> None:
        """End the wait; on the new thread."""
        self.is_up = True
        # First: the lock is opened once.
        self._watch = None
        self._is_over.release()

    # -- what `threading.Thread` asks of its event

    def is_set(self) -> bool:
        """Whether the thread is one that runs, or has run."""
        return self._is_begun

    def set(self) -> None:
        """Note that; nobody is woken, for the thread is not up yet."""
        self._is_begun = True

    def wait(self) -> None:
        """Wait until the thread is up, or gone."""
        self._is_over.acquire()

    def _at_fork_reinit(self) -> None:
        """Do nothing: in a forked process nobody waits."""


class OwnThread(threading.Thread):
    """
    A daemon thread of the package.

    Known by its class: a program may give threads of its own any name, also one of these.

    Args:
        serve: What the thread does.
        name: Its name.
        prepare: What it does before it counts as started.
    """

    def __init__(
        self,
        serve: Callable[[], object],
        name: str,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(target=serve, name=name, daemon=True)
        self._prepare = prepare
        self._started = self._beginning = _Beginning()

    @property
    def _bootstrap(self) -> Callable[[], object]:
        # New for each look, and an object of C: nobody but the new thread keeps it.
        body = functools.partial(super()._bootstrap)  # type: ignore[misc]  # not in typeshed
        self._beginning.watch(body)
        return body

    @property
    def is_up(self) -> bool:
        """Whether it does what it is for, or has done."""
        return self._beginning.is_up

    def start(self) -> None:
        """
        Start it, and return when it is up.

        Raises:
            RuntimeError: No thread can be started.
        """
        super().start()
        if not self.is_up:
            # Where `threading` lists those that are about to come.
            with threading._active_limbo_lock:  # type: ignore[attr-defined]  # private
                threading._limbo.pop(self, None)  # type: ignore[attr-defined]  # private
            raise RuntimeError(_NO_MEMORY)

    def run(self) -> None:
        """Do what the thread is for."""
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            prepare()
        self._beginning.come_up()
        super().run()


class ServiceThread:
    """
    A daemon thread, apart from its start.

    ``threading.Thread.start`` is many steps. A signal handler that runs between them may come here
    again, and would start the thread twice; or it may raise, and then nobody knows whether the
    thread was started: before its own steps are done, a new thread even dies of that. Handlers run
    on the main thread alone, so that another thread takes those steps for it: one at a time, under
    a lock that no handler can find half taken.

    Args:
        serve: What the thread does.
        name: Its name.

    Attributes:
        thread: As ``threading`` knows it.
    """

    def __init__(self, serve: Callable[[], object], name: str) -> None:
        self._serve = serve
        self._name = name
        # Reentrant: a finalizer may come here in the midst of a start.
        self._starting = threading.RLock()
        self._is_begun = False
        # Whether the start of this very object has failed, which `threading` allows once.
        self._is_spent = False
        self._is_up = Flag()
        self.thread = self._make()

    def _make(self) -> OwnThread:
        return OwnThread(self._serve, self._name, self._come_up)

    def _come_up(self) -> None:
        # It may have been started by a thread that takes none.
        listen()
        self._is_up.set()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on this thread."""
        return threading.current_thread() is self.thread

    def start(self) -> None:
        """
        Start the thread, unless that was done or is being done.

        Raises:
            RuntimeError: No thread can be started. It may be tried again.
        """
        if self._is_up.is_set():
            return
        if is_main_thread():
            self._start_elsewhere()
        else:
            self._start()

    def _start_elsewhere(self) -> None:
        # A bare lock: a handler that raises within an Event's wait may break it.
        is_done = _thread.allocate_lock()
        is_done.acquire()
        errors: list[BaseException] = []

        def start(token: _Token) -> None:
            # It stays an argument, for as long as the thread runs. An error would keep this frame.
            del token
            try:
                self._start()
            except BaseException as error:
                errors.append(error)

        token = _Token()
        # Opened by what C does when that thread lets go of its argument. A `finally` of its own is
        # never come to where there is no memory for its first frame.
        watch = _when_gone(token, is_done)
        _thread.start_new_thread(start, (token,))
        del token
        is_done.acquire()
        del watch
        if errors:
            raise errors.pop()
        if not self._is_up.is_set():
            raise RuntimeError(_NO_MEMORY)

    def _start(self) -> None:
        if self._is_begun and self.thread.ident == _thread.get_ident():
            # The new thread itself, before it is up: a finalizer may come here from anywhere. One
            # that failed may have had the number that another thread has now.
            return
        # Whoever waits here returns when the thread is there, or tries again.
        with self._starting:
            if self._is_begun:
                return
            if self._is_spent:
                self.thread = self._make()
                self._is_spent = False
            self._is_begun = True
            try:
                self.thread.start()
            except BaseException:
                if not self.thread.is_up:
                    # No call that takes memory: without the last store it never could be again.
                    self._is_up.clear()
                    self._is_spent = True
                    self._is_begun = False
                raise

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, if it was started; at once on the thread itself."""
        if self._is_begun and not self.is_current:
            self._is_up.wait(_UP_SECONDS)
            self.thread.join(timeout)
