"""
A scripted host: starts one worker process with a launcher and speaks frames with it.

Not the pool: nothing here decides. Whoever changes it must keep it able to end, since the process
on the other side is under test and may do anything; so every wait has a time-out.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from tests.link.inbox import Inbox
from webworker_executor.launch.fork import ForkLauncher
from webworker_executor.launch.launcher import Child, WorkerSpec
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.link.fds import lift, socket_pair
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.definition import pack_call
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    ANSWER_PREFIX,
    CALL,
    CALL_PREFIX,
    CLOSE,
    DEFINE,
    FROM_WORKER,
    HELLO,
    LOAD_ERROR,
    MESSAGE,
    READY,
    RESULT,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.link.ledger import Ledger
    from webworker_executor.link.reactor import Reactor

TIMEOUT = 10.0

# What a forked copy of this process must let go of, or the workers would never see the end.
_ends: weakref.WeakSet[socket.socket] = weakref.WeakSet()


class Program:
    """
    The user of the host that stands for all peers of a test.
    """

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Do nothing: a test ends before."""

    def disown_after_fork(self) -> None:
        """Close this copy's ends of all links."""
        for end in list(_ends):
            end.close()


def make_launcher(name: str) -> Launcher:
    """
    Make the launcher of this name.
    """
    if name == "spawn":
        return SpawnLauncher()
    if name == "zygote":
        return ZygoteLauncher()
    return ForkLauncher()


class Peer:
    """
    One worker process and both its links.
    """

    def __init__(
        self,
        launcher: Launcher,
        reactor: Reactor,
        *,
        ledger: Ledger | None = None,
        environ: Mapping[str, str] | None = None,
        inherited: object = None,
        **hello: Any,
    ) -> None:
        """
        Start the process and say hello.

        Args:
            launcher: How to start it; opened and closed by the peer.
            reactor: Where it is started.
            ledger: What it notes its tasks in, at entry 0.
            environ: Its environment.
            inherited: The initializer and its arguments, for a launcher that shares memory.
            hello: Changes to the first frame.
        """
        self.launcher = launcher
        self.reactor = reactor
        self.exited = threading.Event()
        self._decoder = FrameDecoder(FROM_WORKER)
        self._frames: list[Frame] = []
        self.data, data = socket_pair()
        self.control, control = socket_pair()
        _ends.update((self.data, self.control))
        self.data.settimeout(TIMEOUT)
        fd = None if ledger is None else lift(ledger.fd)
        outcome = Inbox[Child | Exception]()
        spec = WorkerSpec(data.fileno(), control.fileno(), fd, environ, inherited)

        def launch() -> None:
            launcher.open(reactor)
            launcher.launch(spec, started, outcome)
            for end in (data, control):
                end.close()
            if fd is not None:
                os.close(fd)

        def started(child: Child) -> None:
            child.watch(reactor, self.exited.set)
            outcome(child)

        reactor.call_soon(launch)
        self.outcome = outcome.get(TIMEOUT)
        if hello.pop("say_hello", True) and isinstance(self.outcome, Child):
            self.hello(ledger_entry=-1 if ledger is None else 0, **hello)

    def hello(self, **changes: Any) -> None:
        """
        Send the first frame.
        """
        hello = {
            "index": 0,
            "name": "test",
            "sys_path": list(sys.path),
            "argv": ["program", "argument"],
            "main": None if self.launcher.shares_memory else {},
            "environ": None,
            "cwd": None,
            "multiprocessing": {
                "pid": os.getpid(),
                "name": "MainProcess",
                "identity": (),
                "authkey": None,
                "start_method": None,
            },
            "generation": 1,
            "ledger_entry": -1,
            "n_fds": 0,
            "initializer": None,
            "worker_data": None,
        }
        assert changes.keys() <= hello.keys()
        packed = codec.pack({**hello, **changes})
        self.send(HELLO, 0, packed.payload, packed.buffers)

    @property
    def child(self) -> Child:
        """The process."""
        assert isinstance(self.outcome, Child), self.outcome
        return self.outcome

    def send(self, kind: int, ident: int, *parts: Any) -> None:
        """
        Send one frame on the data link.
        """
        for part in encode(kind, ident, *parts):
            self.data.sendall(part)

    def call(self, ident: int, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        """
        Send a call, after its definition.
        """
        definition, shape, packed = pack_call(fn, args, kwargs)
        number = 0
        if definition is not None:
            number = definition.ident
            self.send(DEFINE, number, definition.payload)
        prefix = CALL_PREFIX.pack(number, shape)
        self.send(CALL, ident, packed.payload, packed.buffers, prefix)

    def next_frame(self) -> Frame:
        """
        Wait for the next frame of the worker.

        Raises:
            EOFError: The worker has closed its end.
        """
        while not self._frames:
            try:
                data = self.data.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._frames = self._decoder.feed(data)
        return self._frames.pop(0)

    def ready(self) -> Peer:
        """
        Wait until the worker takes tasks.
        """
        frame = self.next_frame()
        if frame.kind == LOAD_ERROR:
            raise unpack_failure(frame.payload)
        assert READY == frame.kind
        return self

    def answer(self, ident: int) -> Any:
        """
        Wait for an answer, which must be to this task.
        """
        frame = self.next_frame()
        assert ident == frame.ident, frame
        payload = frame.payload[ANSWER_PREFIX.size :]
        if frame.kind != RESULT:
            raise unpack_failure(payload)
        return codec.unpack(payload, frame.buffers)

    def run(self, fn: Callable[..., object], *args: object, **kwargs: object) -> Any:
        """
        Run one call in the worker and return its value.
        """
        self.call(1, fn, *args, **kwargs)
        return self.answer(1)

    def message(self) -> Any:
        """
        Wait for a message of the worker.
        """
        frame = self.next_frame()
        assert MESSAGE == frame.kind, frame
        return codec.unpack(frame.payload, frame.buffers)

    def post(self, message: object) -> None:
        """
        Send a message to the worker.
        """
        packed = codec.pack(message)
        self.send(MESSAGE, 0, packed.payload, packed.buffers)

    def wait(self, timeout: float = TIMEOUT) -> int | None:
        """
        Wait for the end of the process and return its exit code.
        """
        assert self.exited.wait(timeout), f"{self.child} runs on"
        return self.child.exitcode

    def leave(self) -> int | None:
        """
        Say goodbye and wait for the end.
        """
        self.send(CLOSE, 0)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in (self.data, self.control):
            end.close()
        if isinstance(self.outcome, Child):
            if kind is not None:
                self.child.kill()
            self.wait()
        closed = threading.Event()
        self.reactor.call_soon(lambda: self.launcher.close(closed.set))
        assert closed.wait(TIMEOUT)
