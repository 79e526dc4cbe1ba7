"""
The zygote and its workers as the host sees them: what is asked of it, and what it tells.

What a changer must know: the kernel kills the zygote when the *thread* that started it ends. So
that it can outlive the reactor's, one that is kept is started on a thread that does nothing else.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import time
import weakref
from collections import deque
from functools import partial
from struct import error as malformed

from webworker_executor.launch.exit_status import how_it_ended
from webworker_executor.launch.launcher import Child, WorkerSpec
from webworker_executor.launch.spawn import spawn_interpreter
from webworker_executor.link.fds import is_readable, lifted, socket_pair
from webworker_executor.link.flag import Flag
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.reactor import READ, WRITE, Reactor
from webworker_executor.link.rights import READ_NBYTES, RIGHTS_NBYTES, Descriptor, numbers_in
from webworker_executor.link.thread import OwnThread
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import CALL, COUNT, HELLO, MESSAGE, NUMBER, RAISE, RESULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webworker_executor.link.reactor import Timer

    _Waiting = tuple[Callable[[Child], object], Callable[[Exception], object]]

FROM_ZYGOTE = frozenset({RESULT, RAISE, MESSAGE})

# A killed process is gone long before, unless the kernel is in trouble.
_END_SECONDS = 5.0
# The zygote tells of an end within a millisecond, unless it is stopped; or the machine is crowded.
_WORD_SECONDS = 3.0


# Those that there are, for a forked copy of the program.
_zygotes: weakref.WeakSet[Zygote] = weakref.WeakSet()


class ZygoteChild(Child):
    """A worker whose parent is the zygote, which tells how it ended."""

    def __init__(self, pid: int, pidfd: int | None) -> None:
        super().__init__(pid, pidfd)
        self._reactor: Reactor | None = None
        self._on_exit: Callable[[], object] | None = None
        self._timer: Timer | None = None

    def watch(self, reactor: Reactor, on_exit: Callable[[], object]) -> None:
        """
        Call ``on_exit`` when the zygote has told of the end, or has itself ended.

        Where the kernel gives a pidfd, the end is seen without its word, too: a zygote that is
        stopped says nothing, and the status is unknown then.
        """
        if self.pidfd is not None:
            reactor.register(self.pidfd, READ, lambda _: self._has_ended())
            self._reactor = reactor
        self._on_exit = on_exit

    def _has_ended(self) -> None:
        reactor = self._reactor
        self._look_away()
        if reactor is not None:
            due = time.monotonic() + _WORD_SECONDS
            self._timer = reactor.call_at(due, lambda: self.tell(None))

    def _look_away(self) -> None:
        reactor, self._reactor = self._reactor, None
        if reactor is not None and self.pidfd is not None:
            reactor.unregister(self.pidfd)

    def reap(self) -> bool:
        """Whether the end is known; only the zygote can collect the status."""
        return self.ended.is_set()

    def tell(self, exitcode: int | None) -> None:
        """Take the zygote's word, or ``None`` where it has none."""
        if not self.ended.is_set():
            self._look_away()
            if self._timer is not None:
                self._timer.cancel()
            self._finish(exitcode)
            if self._on_exit is not None:
                self._on_exit()


class Zygote:
    """The process and its socket; on the reactor's thread, but for ``end``."""

    def __init__(self, environ: Mapping[str, str] | None, *, is_kept: bool) -> None:
        self._reactor: Reactor | None = None
        self._decoder = FrameDecoder(FROM_ZYGOTE)
        self._waiting: dict[int, _Waiting] = {}
        self._children: dict[int, ZygoteChild] = {}
        self._pidfds: deque[int] = deque()
        self._n_asked = 0
        self.is_kept = is_kept
        self.is_gone = False
        self._on_closed: Callable[[], object] = lambda: None
        self._parent: _ParentThread | None = None
        self._socket, far = socket_pair()
        try:
            with far:
                own = WorkerSpec(far.fileno(), far.fileno(), environ=environ)
                if is_kept:
                    self._parent = _ParentThread()
                    pid = self._parent.spawn(own)
                else:
                    pid = spawn_interpreter(own, "zygote", "main")
                self._process = Child(pid)
        except BaseException:
            self._socket.close()
            raise
        # It may be in a long import, or stopped: the reactor waits for nobody.
        self._outbox = Outbox(self._socket)
        self._is_armed = False
        _zygotes.add(self)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is to be told to it, nor to be heard."""
        return self._outbox.is_empty and not self._waiting

    def greet(self, preload: list[str]) -> None:
        """Send the first frame, which makes it ready to fork."""
        hello = {
            "sys_path": list(sys.path),
            "argv": list(getattr(sys, "argv", None) or ()),
            "preload": preload,
        }
        self._outbox.append(encode(HELLO, 0, codec.pack(hello).payload))

    def attach(self, reactor: Reactor) -> None:
        """Be read by a reactor, if that is not so."""
        if self._reactor is None and not self.is_gone:
            self._reactor = reactor
            reactor.register(self._socket.fileno(), READ, self._ready)
            if self._process.reap():
                # While nobody looked.
                self._end()
            else:
                self._process.watch(reactor, self._end)

    def detach(self) -> None:
        """Be read by none: no worker is left, and the reactor may end."""
        reactor, self._reactor = self._reactor, None
        if reactor is not None:
            reactor.unregister(self._socket.fileno())
            if self._process.pidfd is not None:
                reactor.unregister(self._process.pidfd)

    def end(self) -> None:
        """End a zygote that no reactor reads, and see it gone; on any thread."""
        if self.is_gone:
            return
        self._process.kill()
        pidfd = self._process.pidfd
        if pidfd is not None:
            is_readable(pidfd, _END_SECONDS)
        elif not self._process.reap():
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._process.reap()
        self._end()

    def ask(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """
        Have it fork a worker; it answers when it can.

        Raises:
            OSError: It has ended, or there is no descriptor for a copy of each that it is to get.
        """
        if self.is_gone:
            raise self._error()
        ledger = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if spec.ledger is None else -1
        try:
            # Copies: the caller closes its own before the zygote may have them.
            given = (spec.data, spec.control, ledger if spec.ledger is None else spec.ledger)
            fds = [Descriptor.to_send(fd) for fd in given]
        finally:
            if ledger != -1:
                os.close(ledger)
        self._n_asked += 1
        self._waiting[self._n_asked] = (on_started, on_failed)
        self._outbox.append(encode(CALL, self._n_asked), fds)
        self._flush()

    def _flush(self) -> None:
        assert self._reactor is not None
        is_full = False
        try:
            self._outbox.write()
        except BlockingIOError:
            is_full = True
        except OSError:
            # It reads no more. Whoever waits hears it when the process has ended.
            self._outbox.clear()
            self._process.kill()
        if is_full != self._is_armed:
            self._is_armed = is_full
            self._reactor.modify(self._socket.fileno(), READ | WRITE if is_full else READ)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE:
            self._read()

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                READ_NBYTES, RIGHTS_NBYTES, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        self._pidfds.extend(numbers_in(ancillary))
        if not data:
            if self._reactor is not None:
                self._reactor.unregister(self._socket.fileno())
            self._outbox.clear()
            self._is_armed = False
            self._process.kill()
            return
        try:
            frames = self._decoder.feed(data)
        except MalformedFrame:
            self._process.kill()
            return
        for frame in frames:
            try:
                tell = self._news_of(frame)
            except (LookupError, malformed):
                # Of what nobody has asked for.
                self._process.kill()
                return
            tell()

    def _news_of(self, frame: Frame) -> Callable[[], object]:
        """Return what is to be called; LookupError or struct's if there is no such thing."""
        (number,) = NUMBER.unpack(frame.payload[-NUMBER.size :])
        if frame.kind == RESULT:
            (n_pidfds,) = COUNT.unpack_from(frame.payload)
            on_started, _ = self._waiting.pop(frame.ident)
            return partial(self._started, number, n_pidfds, on_started)
        if frame.kind == RAISE:
            _, on_failed = self._waiting.pop(frame.ident)
            return partial(on_failed, OSError(number, os.strerror(number)))
        return partial(self._children.pop(frame.ident).tell, number)

    def _started(self, pid: int, n_pidfds: int, on_started: Callable[[Child], object]) -> None:
        # Without room for a descriptor the kernel drops it; then one may be had a moment later.
        has_come = bool(n_pidfds and self._pidfds)
        child = ZygoteChild(pid, lifted(self._pidfds.popleft()) if has_come else None)
        self._children[pid] = child
        on_started(child)

    def _end(self) -> None:
        """The zygote is dead, and the kernel kills what it forked."""
        self.is_gone = True
        if self._reactor is not None:
            self._reactor.unregister(self._socket.fileno())
        self._outbox.clear()
        self._socket.close()
        if self._parent is not None:
            self._parent.end()
        while self._pidfds:
            os.close(self._pidfds.popleft())
        waiting, self._waiting = self._waiting, {}
        children, self._children = self._children, {}
        for _, on_failed in waiting.values():
            on_failed(self._error())
        why = f"{self._error()}, and the kernel ends what it had forked"
        for child in children.values():
            child.kill()
            child.why = why
            child.tell(-signal.SIGKILL)
        self._on_closed()

    def disown(self) -> None:
        """In a forked copy of the program: let go of what is the parent's, and leave it alone."""
        self.is_gone = True
        self._reactor = None
        self._outbox.clear()
        # The reactor may have been closing just this one when the program was forked.
        with contextlib.suppress(OSError):
            self._socket.close()
        self._process.forget_after_fork()
        while self._pidfds:
            os.close(self._pidfds.popleft())

    def _error(self) -> OSError:
        process = self._process
        return OSError(f"the zygote (pid {process.pid}) {how_it_ended(process.exitcode)}")

    def close(self, on_closed: Callable[[], object]) -> None:
        # Its workers have left, and it holds nothing else; it may be in a long import.
        self._on_closed = on_closed
        self._process.kill()


def _disown_all() -> None:
    for zygote in tuple(_zygotes):
        zygote.disown()


os.register_at_fork(after_in_child=_disown_all)


class _ParentThread:
    """A thread that starts a process and lives as long: it is what the kernel calls its parent."""

    def __init__(self) -> None:
        self._is_over = Flag()
        self._outcome: queue.SimpleQueue[int | Exception] = queue.SimpleQueue()
        self._spec: WorkerSpec | None = None
        # A daemon: a program that ends without leaving the `with` ends the process by it.
        self._thread = OwnThread(self._run, "webworker-zygote")

    def spawn(self, spec: WorkerSpec) -> int:
        """
        Start the process and return its id.

        Raises:
            OSError: It cannot be created.
        """
        self._spec = spec
        try:
            self._thread.start()
        except RuntimeError as error:
            raise OSError(f"no thread can be started for a zygote: {error}") from error
        outcome = self._outcome.get()
        if isinstance(outcome, Exception):
            self.end()
            raise outcome
        return outcome

    def _run(self) -> None:
        assert self._spec is not None
        try:
            self._outcome.put(spawn_interpreter(self._spec, "zygote", "main"))
        except Exception as error:
            self._outcome.put(error)
        self._is_over.wait()

    def end(self) -> None:
        """Let the thread go, the process being gone."""
        self._is_over.set()
        self._thread.join(_END_SECONDS)
