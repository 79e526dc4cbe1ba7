"""
Start workers by forking a clean process that was started for it.

The zygote is a fresh interpreter with one thread, so a fork of it has none of the dangers of a fork
of the program, and costs half a millisecond, with every preloaded module shared.
"""

from __future__ import annotations

import array
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from struct import Struct

from webworker_executor.launch.launcher import Child, WorkerSpec
from webworker_executor.launch.spawn import spawn_interpreter
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.reactor import READ, Reactor
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import (
    CALL,
    HELLO,
    MESSAGE,
    RAISE,
    RESULT,
    Frame,
    encode,
)

NUMBER = Struct(">q")
READ_NBYTES = 65536
FROM_ZYGOTE = frozenset({RESULT, RAISE, MESSAGE})

_log = logging.getLogger("webworker_executor.launch")


class ZygoteChild(Child):
    """A worker whose parent is the zygote, which tells how it ended."""

    def __init__(self, pid: int, pidfd: int | None) -> None:
        super().__init__(pid, pidfd)
        self._on_exit: Callable[[], object] | None = None

    def watch(self, reactor: Reactor, on_exit: Callable[[], object]) -> None:
        """Call ``on_exit`` when the zygote has told of the end, or has itself ended."""
        self._on_exit = on_exit

    def reap(self) -> bool:
        """Whether the end is known; only the zygote can collect the status."""
        return self.ended.is_set()

    def tell(self, exitcode: int | None) -> None:
        """Take the zygote's word."""
        if not self.ended.is_set():
            self._finish(exitcode)
            if self._on_exit is not None:
                self._on_exit()


_Waiting = tuple[Callable[[Child], object], Callable[[Exception], object]]


class ZygoteLauncher:
    """
    Forks of a process that is clean and warm: 12 ms for the first, half a millisecond each after.

    One launcher may serve several executors; its process lives as long as any of them does.

    Args:
        preload: Names of modules that the zygote imports before it forks. One that fails to import
            is reported on standard error and left to the workers.
    """

    name = "zygote"
    starts_all_at_once = False
    shares_memory = False
    passes_surroundings = False

    def __init__(self, preload: Iterable[str] = ()) -> None:
        if isinstance(preload, str):
            raise TypeError(f"preload must be module names, such as [{preload!r}], not one string")
        self._preload = list(preload)
        self._owner = os.getpid()
        self._n_users = 0
        self._reactor: Reactor | None = None
        self._zygote: _Zygote | None = None

    def open(self, reactor: Reactor) -> None:
        """Take up a user."""
        if self._owner != os.getpid():
            # A forked copy of the program: the process and the users are the parent's.
            self._owner, self._n_users, self._zygote = os.getpid(), 0, None
        self._n_users += 1
        self._reactor = reactor

    def launch(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """Ask the zygote for a worker, and start it first if need be."""
        assert self._reactor is not None
        try:
            if self._zygote is None or self._zygote.is_gone:
                self._zygote = _Zygote(self._reactor, self._preload, spec)
            self._zygote.ask(spec, on_started, on_failed)
        except OSError as error:
            on_failed(error)

    def close(self, on_closed: Callable[[], object]) -> None:
        """Let go of a user; with the last one the zygote ends."""
        self._n_users -= 1
        zygote = self._zygote
        if self._n_users or zygote is None or zygote.is_gone:
            on_closed()
            return
        self._zygote = None
        zygote.close(on_closed)


class _Zygote:
    """The process and its socket; all on the reactor's thread."""

    def __init__(self, reactor: Reactor, preload: list[str], spec: WorkerSpec) -> None:
        self._reactor = reactor
        self._decoder = FrameDecoder(FROM_ZYGOTE)
        self._waiting: dict[int, _Waiting] = {}
        self._children: dict[int, ZygoteChild] = {}
        self._pidfds: deque[int] = deque()
        self._n_asked = 0
        self.is_gone = False
        self._on_closed: Callable[[], object] = lambda: None
        self._socket, far = socket_pair()
        try:
            with far:
                own = WorkerSpec(far.fileno(), far.fileno(), environ=spec.environ)
                self._process = Child(spawn_interpreter(own, "template", "main"))
        except BaseException:
            self._socket.close()
            raise
        reactor.register(self._socket.fileno(), READ, self._ready)
        self._process.watch(reactor, self._end)
        hello = {"sys_path": list(sys.path), "argv": list(sys.argv), "preload": preload}
        for part in encode(HELLO, 0, codec.pack(hello).payload):
            self._socket.sendall(part)

    def ask(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        self._n_asked += 1
        fds = [spec.data, spec.control]
        null = -1
        try:
            if spec.ledger is None:
                null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            fds.append(null if spec.ledger is None else spec.ledger)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            self._socket.sendmsg([encode(CALL, self._n_asked)[0]], rights)
        finally:
            if null != -1:
                os.close(null)
        self._waiting[self._n_asked] = (on_started, on_failed)

    def _ready(self, _: int) -> None:
        space = socket.CMSG_SPACE(64 * 4)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                READ_NBYTES, space, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        for _, _, rights in ancillary:
            fds = array.array("i")
            fds.frombytes(rights[: len(rights) - len(rights) % fds.itemsize])
            self._pidfds.extend(fds)
        if not data:
            self._reactor.unregister(self._socket.fileno())
            self._process.kill()
            return
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except (MalformedFrame, LookupError):
            self._process.kill()

    def _take(self, frame: Frame) -> None:
        (number,) = NUMBER.unpack(frame.payload[-NUMBER.size :])
        if frame.kind == RESULT:
            # Without room for a descriptor the kernel drops it; then one may be had a moment later.
            child = ZygoteChild(number, self._pidfds.popleft() if self._pidfds else None)
            self._children[number] = child
            self._waiting.pop(frame.ident)[0](child)
        elif frame.kind == RAISE:
            self._waiting.pop(frame.ident)[1](OSError(number, os.strerror(number)))
        else:
            self._children.pop(frame.ident).tell(number)

    def _end(self) -> None:
        """The zygote is dead, and the kernel kills what it forked."""
        self.is_gone = True
        self._reactor.unregister(self._socket.fileno())
        self._socket.close()
        while self._pidfds:
            os.close(self._pidfds.popleft())
        waiting, self._waiting = self._waiting, {}
        children, self._children = self._children, {}
        code = self._process.exitcode
        for _, on_failed in waiting.values():
            on_failed(OSError(f"the zygote (pid {self._process.pid}) ended with status {code}"))
        for child in children.values():
            child.kill()
            child.tell(None)
        self._on_closed()

    def close(self, on_closed: Callable[[], object]) -> None:
        # Its workers have left, and it holds nothing else; it may be in a long import.
        self._on_closed = on_closed
        self._process.kill()
