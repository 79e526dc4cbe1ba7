"""
Start a worker by forking the program itself, because somebody asked for just that.

The process finds the program's memory as it stood, which is the point (large globals, objects of
``multiprocessing``'s fork context) and the danger (locks that other threads held). Nothing else in
this package forks the program.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from types import FunctionType

from webworker_executor.launch.launcher import Child, WorkerSpec
from webworker_executor.link.journal import tell
from webworker_executor.link.thread import OwnThread, listen
from webworker_executor.wire.forks import Forks
from webworker_executor.wire.heritage import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor


class ForkLauncher:
    """
    Copies of the program: a few milliseconds each, globals included.

    Attributes:
        forks: What they have all inherited, for whoever packs for them.
    """

    name = "fork"
    starts_all_at_once = True
    shares_memory = True
    # It has the program's own, but for what `WorkerSpec.environ` adds, which is done below.
    passes_surroundings = True

    def __init__(self) -> None:
        self.forks = Forks()
        # By name, as in the text that a spawned worker starts from: it runs in another process.
        # Imported now, because after a fork an import may wait for a thread that is not there.
        self._entry = importlib.import_module("webworker_executor.child.forked").become_worker

    def open(self, reactor: Reactor) -> None:
        """Nothing is kept."""

    def launch(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """
        Fork the program.

        Source: fork(2).
        """
        host = os.getpid()
        if self.forks.inherited is None:
            note(self.forks)
        try:
            pid = self._fork()
        except OSError as error:
            on_failed(error)
            return
        if pid == 0:
            try:
                # The I/O thread, whose copy this is, takes no signals; nor does the copy, as long
                # as they are the program's.
                leave_the_terminal()
                forget_signals()
                listen()
                forget_what_is_buffered()
                if spec.environ is not None:
                    os.environ.clear()
                    os.environ.update(spec.environ)
                self._entry(host, spec.data, spec.control, spec.ledger, spec.inherited)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                # Whatever happens, the copy never runs on as the program.
                os._exit(os.EX_SOFTWARE)
        self.forks.awaited.clear()
        on_started(Child(pid, is_copy=True))

    def _fork(self) -> int:
        pid: int = _fork_without_a_word()
        if pid and sys.version_info >= (3, 12):
            # Our own threads are of no danger to the copy: it throws away what they held. Threads
            # of the program are, and that is the user's to see.
            main = threading.main_thread()
            if not all(
                each is main or isinstance(each, OwnThread) for each in threading.enumerate()
            ):
                tell(_warn)
        return pid

    def close(self, on_closed: Callable[[], object]) -> None:
        """Nothing is kept."""
        on_closed()


# Python 3.12 warns of threads at a fork, and to show a warning is code of a user, or waits for who
# reads standard error; the reactor must not. To ignore it for the while is to change filters that
# other threads change, too. But where a module has no name any more, as when Python exits, nobody
# is warned.
_fork_without_a_word = FunctionType((lambda: os.fork()).__code__, {"__name__": None, "os": os})


def _warn() -> None:
    text = (
        f"This process (pid={os.getpid()}) is multi-threaded, use of fork() may lead to deadlocks "
        "in the child."
    )
    with contextlib.suppress(DeprecationWarning):
        # Where warnings are errors, there is nobody here who could be told of one.
        warnings.warn(text, DeprecationWarning, stacklevel=1)


def leave_the_terminal() -> None:
    """In a forked process: lead a process group of its own, with nothing on standard input."""
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    if null:
        os.close(null)


def forget_signals() -> None:
    """
    In a forked process that takes no signals yet: drop what came for the program's group.

    Until this process led a group of its own, Ctrl-C and Ctrl-Z were for it, too: the program's
    handler ran here as well, or a copy was stopped that nobody went on with. What asks a process to
    end is no such signal: the host may have asked just this one.
    """
    # A loop of the program (asyncio's, say) must not be woken by this process's signals.
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # As between tasks, until the worker has its own handler.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    programs = signal.sigpending() - {signal.SIGTERM}
    while signal.sigtimedwait(programs, 0) is not None:
        pass


def forget_what_is_buffered() -> None:
    """
    In a forked process: drop what the program has printed and not yet written; it writes that.

    Not flushed before the fork, as the stdlib does: the program's reader may be slow, or none, and
    whoever flushed would wait for it. A thread that does just that holds the stream's lock, which
    nobody would let go of here; so the buffer is made anew. The same for what is logged: of that
    the stdlib itself frees the locks of handlers, but not those of their streams.
    """
    streams = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    handlers = [handler() for handler in getattr(sys.modules.get("logging"), "_handlerList", ())]
    # Not by `getattr`, which may run code of a user.
    streams += [getattr(handler, "__dict__", {}).get("stream") for handler in handlers]
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for stream in streams:
        # Whatever else a program puts there, such as a notebook's stream, minds forks itself.
        if not isinstance(stream, io.TextIOWrapper):
            continue
        try:
            buffer = stream.buffer
            if type(buffer) is io.BufferedWriter:
                buffer.__init__(buffer.raw)  # type: ignore[misc]  # with a lock and no content
            fd = stream.fileno()
            is_inheritable = os.get_inheritable(fd)
            kept = os.dup(fd)
        except (OSError, ValueError):
            # Closed, or detached.
            continue
        # The text has a buffer of its own, in front of that one.
        os.dup2(null, fd)
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        os.dup2(kept, fd, is_inheritable)
        os.close(kept)
    os.close(null)
