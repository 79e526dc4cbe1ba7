"""
Threads of the package: daemons that are started once, whatever signal handlers do meanwhile.
"""

from __future__ import annotations

import _thread
import signal
import threading

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


class OwnThread(threading.Thread):
    """
    A daemon thread of the package.

    Known by its class: a program may give threads of its own any name, also one of these.

    Args:
        serve: What the thread does.
        name: Its name.
    """

    def __init__(self, serve: Callable[[], object], name: str) -> None:
        super().__init__(target=serve, name=name, daemon=True)


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
        self._is_up = Flag()
        self.thread = self._make()

    def _make(self) -> OwnThread:
        return OwnThread(self._run, self._name)

    def _run(self) -> None:
        # It may have been started by a thread that takes none.
        listen()
        self._is_up.set()
        self._serve()

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

        def start() -> None:
            try:
                self._start()
            except BaseException as error:
                errors.append(error)
            finally:
                is_done.release()

        _thread.start_new_thread(start, ())
        is_done.acquire()
        if errors:
            raise errors.pop()

    def _start(self) -> None:
        if self.thread.ident == _thread.get_ident():
            # The new thread itself, before it is up: a finalizer may come here from anywhere.
            return
        # Whoever waits here returns when the thread is there, or tries again.
        with self._starting:
            if self._is_begun:
                return
            self._is_begun = True
            try:
                self.thread.start()
            except BaseException:
                if not self._is_up.is_set():
                    self.thread = self._make()
                    self._is_begun = False
                raise

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, if it was started; at once on the thread itself."""
        if self._is_begun and not self.is_current:
            self._is_up.wait(_UP_SECONDS)
            self.thread.join(timeout)
