"""
What every way of starting a process has in common.

A launcher brings up one process that holds three descriptors and runs ``child.entry.main``: the
data link, the control link and the ledger; on 3, 4 and 5 in a new program, and wherever they are
in a forked one, whose 3 to 5 may be the program's own. It knows nothing of tasks. Its ``launch`` is
called on the reactor's thread, because the kernel ties a worker's life to the thread that started
it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from operator import attrgetter

from webworker_executor.link.fds import is_readable, pidfd_open
from webworker_executor.link.flag import Flag
from webworker_executor.link.reactor import READ, Reactor
from webworker_executor.link.rights import Descriptor
from webworker_executor.link.thread import OwnThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from webworker_executor.launch.stdio import Streams
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object

# All that `subprocess` makes an option of, but for -B, which half of all containers have set.
_FLAGS = attrgetter(
    *("bytes_warning", "debug", "dev_mode", "ignore_environment", "isolated", "no_site"),
    *("no_user_site", "optimize", "quiet", "safe_path", "verbose"),
)

DATA_FD, CONTROL_FD, LEDGER_FD = 3, 4, 5
# The variable that names the first to a program of the raw profile, if it is another.
FD_VARIABLE = "WEBWORKER_FD"
# Between SIGTERM and SIGKILL.
GRACE_SECONDS = 1.0


class WorkerSpec:
    """
    What a process is to be born with. The descriptors stay the caller's.

    Args:
        data: The child's end of the data link.
        control: The child's end of the control link.
        ledger: The ledger's descriptor, or ``None`` where there is none.
        environ: The whole environment of the process, or ``None`` for the program's own.
        inherited: Any object that a forked process finds in memory; others never see it.
        executable: The interpreter, or ``None`` for the program's own; of a new interpreter only,
            like what follows.
        interpreter_args: Its options, in front of everything.
        streams: Its standard streams, or ``None`` for nothing to read and the program's output.
    """

    def __init__(
        self,
        data: int,
        control: int,
        ledger: int | None = None,
        environ: Mapping[str, str] | None = None,
        inherited: object = None,
        executable: str | None = None,
        interpreter_args: Sequence[str] = (),
        streams: Streams | None = None,
    ) -> None:
        self.data = data
        self.control = control
        self.ledger = ledger
        self.environ = environ
        self.inherited = inherited
        self.executable = executable
        self.interpreter_args = interpreter_args
        self.streams = streams


class Launcher(Protocol):
    """
    One way of starting a worker process.

    For annotations: what an object of one's own would have to do may change without notice.
    """

    @property
    def name(self) -> str:
        """How users call it, such as ``"spawn"``."""

    @property
    def starts_all_at_once(self) -> bool:
        """Whether a pool starts its workers together at the first task (the stdlib's fork rule)."""

    @property
    def shares_memory(self) -> bool:
        """Whether the process finds ``WorkerSpec.inherited`` in its memory."""

    @property
    def passes_surroundings(self) -> bool:
        """Whether the process has the program's environment and directory as they are now."""

    def open(self, reactor: Reactor) -> None:
        """
        Take up a user: a pool that may launch from now on.

        Where it raises there is no user: it is not closed, and opened again for the next process.
        """

    def launch(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """
        Start a process; on the reactor's thread, which also gets one of the two calls, maybe later.

        The descriptors of ``spec`` may be closed as soon as this returns.
        """

    def close(self, on_closed: Callable[[], object]) -> None:
        """
        Let go of a user; with the last, end what the launcher keeps running for itself.

        Calls ``on_closed`` when nothing of that is left, at once or later, on the reactor's thread.
        """


class Child:
    """
    A started process, held by a pidfd: no signal of ours can reach a stranger.

    Where the kernel has no pidfd, a thread waits for the process instead.

    Args:
        pid: Its process id.
        pidfd: Of it, if there is one yet; it is the child's then.
        is_copy: Whether it is a copy of the program, with its locks.

    Attributes:
        pid: Its process id.
        is_copy: As given.
        exitcode: ``None`` while it runs or when the status is not known; ``-signal`` if killed.
        ended: Set when the end has been seen.
        why: Why it was killed, as the end of a sentence, where that is known to who has started it.
        rest_until: Until when what it has started may go on without it, as ``time.monotonic`` has
            it; ``None`` where it was not told to end.
    """

    def __init__(self, pid: int, pidfd: int | None = None, *, is_copy: bool = False) -> None:
        self.pid = pid
        self.is_copy = is_copy
        number = pidfd_open(pid) if pidfd is None else pidfd
        # Closed when nobody refers to it any more, and not before: whoever is about to send a
        # signal holds it, and must not send to a number that has come to be another process's.
        self._held = None if number is None else Descriptor(number)
        self.exitcode: int | None = None
        self.why = ""
        self.rest_until: float | None = None
        self.ended = Flag()

    def __repr__(self) -> str:
        state = f"exitcode={self.exitcode}" if self.ended.is_set() else "running"
        return f"<{type(self).__name__} pid={self.pid} {state}>"

    @property
    def held(self) -> Descriptor | None:
        """The pidfd's holder; it is closed with the last who has it."""
        return self._held

    @property
    def pidfd(self) -> int | None:
        """Readable once it has ended, or ``None``; on the reactor's thread."""
        return None if self._held is None else self._held.fileno()

    def watch(self, reactor: Reactor, on_exit: Callable[[], object]) -> None:
        """Call ``on_exit`` on the reactor's thread, once, when the process has ended."""

        def ended() -> None:
            if self.reap():
                on_exit()

        def readable(_: int) -> None:
            # Kept open until it is forgotten; if the process has not ended after all, it stays.
            held = self._held
            if self.reap():
                reactor.unregister(pidfd)
                del held
                on_exit()

        def wait() -> None:
            with contextlib.suppress(OSError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            reactor.call_soon(ended)

        if self.pidfd is not None:
            pidfd = self.pidfd
            reactor.register(pidfd, READ, readable)
        else:
            name = f"webworker-wait-{self.pid}"
            OwnThread(wait, name).start()

    def reap(self) -> bool:
        """
        Collect the exit status if the process has ended.

        Returns:
            Whether it has. The status stays ``None`` when the program ignores SIGCHLD or has
            reaped the process itself: unknown, but never another process's.
        """
        if self.ended.is_set():
            return True
        try:
            if self.pidfd is not None:
                # By the number, a child of the program that got it anew could be meant.
                info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
            else:
                info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return self._finish(None)
        if info is None:
            return False
        was_killed = info.si_code != os.CLD_EXITED
        return self._finish(-info.si_status if was_killed else info.si_status)

    def _finish(self, exitcode: int | None) -> bool:
        self.exitcode = exitcode
        self.ended.set()
        self._held = None
        return True

    def is_alive(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self.ended.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until its end has been seen, at most ``timeout`` seconds."""
        self.ended.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens when the process has ended. Any thread."""
        if self.ended.is_set():
            return
        held = self._held
        pidfd = None if held is None else held.fileno()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                if pidfd is not None:
                    signal.pidfd_send_signal(pidfd, number)
                    return
            except ProcessLookupError:
                return
            except OSError:
                # Some filters of system calls know pidfd_open and not this. While the descriptor
                # is silent, the number is this process's.
                if pidfd is not None and is_readable(pidfd):
                    return
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, also to what it has started, which may go on for a second."""
        self.end(signal.SIGTERM, GRACE_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL, also to what it has started."""
        self.end(signal.SIGKILL)

    def end(self, number: int, rest: float = 0.0) -> None:
        """
        Send a signal to the process and the rest of its group, if it leads one; any thread.

        Args:
            number: The signal.
            rest: How many seconds what it has started may go on: see ``rest_until``.
        """
        self.rest_until = time.monotonic() + rest
        held = self._held
        # While the descriptor is silent, the number and the group's are this process's.
        if not self.ended.is_set() and (held is None or not is_readable(held.fileno())):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(self.pid) == self.pid:
                    os.killpg(self.pid, number)
                    return
        self.send_signal(number)

    def forget_after_fork(self) -> None:
        """In a forked copy of the host: let go of the pidfd, for the process is not ours."""
        self.ended.set()
        held, self._held = self._held, None
        if held is not None:
            os.close(held.take())


def interpreter_flags() -> list[str]:
    """Return the command line flags that make another interpreter behave like this one."""
    if not (any(_FLAGS(sys.flags)) or sys.warnoptions or sys._xoptions):
        # As in most programs; the module takes 2 ms.
        return ["-B"] if sys.flags.dont_write_bytecode else []
    # Private, but what both `subprocess` and `multiprocessing` of the stdlib stand on since 2.7.
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # typeshed leaves private names out
    return flags


def interpreter() -> str:
    """
    Return the Python to run workers with, as ``multiprocessing.set_executable`` may have set it.

    Raises:
        FileNotFoundError: The program does not know its interpreter (it is embedded or frozen).
    """
    # Another thread may be importing it at this moment: then nobody has set anything there.
    named = getattr(sys.modules.get("multiprocessing.spawn"), "get_executable", None)
    executable = sys.executable if named is None else named()
    if not executable:
        raise FileNotFoundError(
            "no interpreter for the workers: sys.executable is empty, as in an embedded Python. "
            "Name one with multiprocessing.set_executable(path)."
        )
    return os.fsdecode(executable)
