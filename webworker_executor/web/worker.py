"""
Dedicated workers: a process that runs a script, and the channel to it.

Not for the process itself (`life`), nor for what comes from it (`incoming`).
"""

from __future__ import annotations

import signal as signals
from operator import index
from typing import TYPE_CHECKING, Any, Self

from webworker_executor.web.incoming import WorkerTarget
from webworker_executor.web.options import Options, make_life
from webworker_executor.web.process_statistics import ProcessStatistics, take
from webworker_executor.web.seconds import check_seconds

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from typing import IO, Literal

    from _typeshed import HasFileno

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.launch.limits import Limits
    from webworker_executor.web.outcome import WorkerOutcome
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step


class Worker(WorkerTarget):
    """
    A process that runs a script, seen from the program that made it.

    The constructor returns at once; the process is started meanwhile, and messages that are posted
    before it is up wait for it in order. The script runs from top to bottom as the main program of
    its process, and after that messages are delivered to it. It lives until it calls
    ``scope.close()``, until ``terminate()``, or until this program ends. A worker that nobody
    refers to and nobody listens to is asked to leave when it has nothing left to do: no message, no
    timer, and no port there that listens (see ``MessagePort.unref``). Its futures do not count as
    referring to it; a listener for any event does.

    An exception that the script does not catch, in any of its threads, does not end it, unless
    ``on_uncaught`` says so. It is an ``ErrorEvent`` here. If nobody listens for ``error``, it is
    written to standard error; where this process is a worker itself, what is not handled goes on to
    whoever made it. That the script did not load goes on only if nobody listens.

    Args:
        script: A path, a ``file:`` URL (``?query`` and ``#fragment`` if you like), or a callable,
            which is called in the worker; an ``async def`` as ``asyncio.run`` does. In a script of
            a worker, a path is looked for beside that script before the current directory.
        source: The text of a script instead.
        module: The name of a module instead, which is run as ``python -m`` does.
        command: Any program and its arguments instead, which speaks the raw profile on descriptor
            3: see ``send_bytes``.
        codec: ``"pickle"``; ``"raw"`` for messages that are bytes, as of a command if nothing else
            is said; or ``"json"`` for values that any language has, or ``"msgpack"``, which has
            bytes, too, and needs the extra ``[msgpack]``. With these a script is run by a plain
            interpreter and calls ``connect()`` itself.
        name: What the script finds as ``scope.name``, and what the process is called.
        argv: What follows the script's own name in its ``sys.argv``; of a callable, its arguments.
        worker_data: A value whose copy is ``scope.worker_data``; ports in it move.
        env: Variables laid over this program's own. The worker imports from where this program
            does, whatever they say: a ``PYTHONPATH`` is for programs that it starts.
        cwd: The directory that the worker runs in. Paths of scripts do not depend on it.
        executable: The interpreter for a script; ``None`` is this program's own. Another one
            imports what is installed for it, and then what this program can import.
        interpreter_args: Options of the interpreter, such as ``["-X", "dev"]``.
        stdin: ``"devnull"``, ``"inherit"``, ``"pipe"``, a descriptor or a file; ``None`` is
            ``"inherit"``, as with ``subprocess``.
        stdout: ``"inherit"`` or ``None``, ``"pipe"``, ``"devnull"``, a descriptor or a file. What
            the worker prints leaves it line by line.
        stderr: The same, or ``"stdout"``.
        limits: What the kernel holds the process to.
        user: Whose process it is, by name or number, from before the script is read. Needs root.
        group: The same for the group; that of the user if not given, who needs an entry then.
        nice: What is added to its niceness.
        umask: Its file mode creation mask; ``None`` is this program's own.
        cpu_affinity: The numbers of the processors it may run on; ``None`` is this program's own.
        start_new_session: Whether it leads a session of its own, without this program's terminal.
        handshake_timeout: Seconds until it must be ready, or it is stopped; ``None`` or 0 is for
            ever.
        max_duration: Seconds that it may run once it is ready; ``None`` or 0 is for ever.
        on_uncaught: ``"report"``, or ``"exit"``: a script then ends with status 1 after the first
            exception that its own ``onerror`` has not handled, and nothing more is begun in it, as
            Node.js has it.
        launcher: ``"spawn"``, ``"zygote"``, ``"fork"`` or a launcher.

    Attributes:
        ononline: Called with a plain ``Event`` when the process is ready, before it is told of
            anything that comes from there; at once if that was so before.
        onmessage: Called with a ``MessageEvent`` for each message.
        onmessageerror: Called with one that cannot be unpacked, if somebody listens for messages.
        onerror: Called with an ``ErrorEvent`` for each exception that nobody caught there; with a
            plain ``Event`` when the script could not be loaded or the process not be started.
        onclose: Called when no message can come any more, before ``onexit``.
        onexit: Called with an ``ExitEvent``, last of all; ``receive`` still has what nobody heard.

    Raises:
        TypeError: An argument is of the wrong type, or there is nothing to run.
        ValueError: An argument has a value that it cannot have.
        RuntimeError: The interpreter is exiting.
        Exception: What packing the callable, its arguments or the data raises, with a note that
            names which.

    Source: HTML, "Dedicated workers and the Worker interface"; node-webworkers for ``onexit``;
    Node.js for ``ononline``; worker-process for ``ready``, ``lifetime`` and the raw profile.
    """

    # A finalizer of C, which each has as a value: see `Life.farewell`.
    __slots__ = ("__del__",)

    def __init__(
        self,
        script: str | os.PathLike[str] | Callable[..., object] | None = None,
        /,
        *,
        source: str | None = None,
        module: str | None = None,
        command: Sequence[str] | None = None,
        codec: Literal["pickle", "raw", "json", "msgpack"] | None = None,
        name: str = "",
        argv: Sequence[Any] = (),
        worker_data: Any = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        executable: str | os.PathLike[str] | None = None,
        interpreter_args: Sequence[str] = (),
        stdin: Literal["devnull", "inherit", "pipe"] | int | HasFileno | None = "devnull",
        stdout: Literal["devnull", "inherit", "pipe"] | int | HasFileno | None = "inherit",
        stderr: Literal["devnull", "inherit", "pipe", "stdout"]
        | int
        | HasFileno
        | None = "inherit",
        limits: Limits | None = None,
        user: str | int | None = None,
        group: str | int | None = None,
        nice: int = 0,
        umask: int | None = None,
        cpu_affinity: Iterable[int] | None = None,
        start_new_session: bool = False,
        handshake_timeout: float | None = 60.0,
        max_duration: float | None = None,
        on_uncaught: Literal["report", "exit"] = "report",
        launcher: Literal["spawn", "zygote", "fork"] | Launcher = "spawn",
    ) -> None:
        options = Options(
            script=script,
            source=source,
            module=module,
            command=command,
            codec=codec,
            name=name,
            argv=argv,
            worker_data=worker_data,
            env=env,
            cwd=cwd,
            executable=executable,
            interpreter_args=interpreter_args,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            limits=limits,
            user=user,
            group=group,
            nice=nice,
            umask=umask,
            cpu_affinity=cpu_affinity,
            start_new_session=start_new_session,
            handshake_timeout=handshake_timeout,
            max_duration=max_duration,
            on_uncaught=on_uncaught,
            launcher=launcher,
        )
        super().__init__()
        self._name = name
        self._life = make_life(options)
        self.__del__ = self._life.farewell()
        self._life.begin(self)

    def __repr__(self) -> str:
        pid = "" if self.pid is None else f" pid={self.pid}"
        return f"<Worker {self._life.title.partition(' ')[2]}{pid} {self.state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Terminate the worker, and wait for its end."""
        self.terminate().result()
        self._close_streams()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Terminate the worker, and wait for its end on the running loop."""
        self.terminate()
        await self._life.exited
        self._close_streams()

    # -- what it is

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def pid(self) -> int | None:
        """The process id, ``None`` before the process is started."""
        return None if self._life.child is None else self._life.child.pid

    @property
    def state(self) -> str:
        """``"starting"``, ``"running"``, ``"closing"`` or ``"exited"``."""
        return self._life.state

    @property
    def ready(self) -> WorkerOutcome[None]:
        """
        A future that resolves when the script is about to run. It can be awaited.

        It fails with ``WorkerLoadError`` if the script cannot be loaded, ``WorkerStartError`` if
        there is no process, ``HandshakeError`` if the process is no worker or ends too soon, and
        ``HandshakeTimeoutError`` if it takes too long.

        Source: worker-process, ``createWorker``.
        """
        return self._life.ready

    @property
    def lifetime(self) -> WorkerOutcome[None]:
        """
        A future that resolves when the worker has ended as it should. It can be awaited.

        That is with status 0, or because it was asked to. It fails with ``WorkerCrashedError``
        after any other status or a signal, with ``MaxDurationError``, with ``ProtocolError``, or as
        ``ready`` did.

        Source: worker-process, ``worker.lifetime``.
        """
        return self._life.lifetime

    @property
    def exited(self) -> WorkerOutcome[int | None]:
        """A future of the exit status: ``-signal`` if a signal ended it. It can be awaited."""
        return self._life.exited

    @property
    def stdin(self) -> IO[bytes] | None:
        """The host's end of a pipe, if that was asked for."""
        return self._life.streams.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """As ``stdin``."""
        return self._life.streams.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        """As ``stdin``."""
        return self._life.streams.stderr

    # -- what it is told

    def terminate(self, timeout: float | None = 5.0) -> WorkerOutcome[int | None]:
        """
        End the worker without waiting for its work. Nothing comes from it any more but ``exit``.

        It is asked to leave, and its ``onclose`` runs; SIGTERM follows, and SIGKILL a second later.
        Calls of the objects that it exposes fail at once, also one that it is busy with.
        Again, only a shorter time has an effect.

        Args:
            timeout: Seconds until SIGTERM. 0 kills at once, ``None`` never forces.

        Returns:
            A future of the exit status, as ``exited``. It can be awaited.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is negative or NaN.

        Source: HTML, "terminate a worker"; node-webworkers, where 0 waits for ever.
        """
        if timeout is not None:
            timeout = check_seconds("timeout", timeout, may_be_endless=True, hint="0 kills at once")
        self._die()
        self._life.terminate(timeout)
        return self._life.exited

    def kill(self, signal: int = signals.SIGTERM) -> None:
        """
        Send a signal, SIGTERM by default (not SIGKILL, unlike ``Popen.kill``).

        Nothing happens when the process has ended.

        Args:
            signal: Its number, real-time signals included.

        Raises:
            ValueError: There is no such signal.
            TypeError: It is no whole number.

        Source: worker-process, ``worker.kill``.
        """
        number = index(signal)
        if number not in signals.valid_signals():
            raise ValueError(f"{number} is no signal; signal.valid_signals() has those there are")
        self._life.send_signal(number)

    def dump_stacks(self, timeout: float = 5.0) -> str:
        """
        Return the Python stacks of all threads of the process, also while it is stuck in C.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            What ``faulthandler`` writes, or in angle brackets why there is no answer: a process
            that is stopped, or not of Python. Empty when the process has ended.

        Raises:
            ValueError: ``timeout`` is negative or infinite.
            TypeError: It is no number.

        Source: faulthandler, ``register``.
        """
        check_seconds("timeout", timeout)
        return self._life.dump_stacks(timeout)

    def statistics(self) -> ProcessStatistics:
        """
        Return what the process has used so far, and what waits on the way to it and from it.

        Source: Node.js, ``worker.cpuUsage`` and ``worker.getHeapStatistics``.
        """
        waiting = len(self._inbox)
        return take(self._life, n_waiting=waiting, buffered_nbytes=self.buffered_amount)

    def send_bytes(self, data: bytes | bytearray | memoryview) -> Future[None]:
        """
        Send bytes as they are, to a worker of the raw profile.

        Returns:
            A future that resolves when the kernel has taken them all; in the order of the calls.

        Raises:
            TypeError: It is not bytes, or the worker takes any value: use ``post_message``.
            InvalidStateError: The worker has ended.
            ValueError: They are more than 2 GiB.

        Source: worker-process, ``worker.send``.
        """
        if self._is_dead or self._life.is_over:
            from webworker_executor.errors import InvalidStateError

            raise InvalidStateError(f"{self!r} has ended, and takes nothing any more")
        return self._life.send_bytes(data)

    def post_message(
        self, message: Any, transfer: Iterable[Any] | None = (), *, fds: Iterable[Any] = ()
    ) -> None:
        """
        Send a copy of a value to the worker; takes and raises what ``MessagePort``'s does.

        Silently lost if the worker has ended. To a worker of the raw profile only bytes can go, and
        to one with ``codec="json"`` what JSON has; ``DataCloneError`` names what it has not.
        """
        if self._life.is_raw:
            self._life.post_value(message, is_alone=not (transfer or fds))
        else:
            super().post_message(message, transfer, fds=fds)

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        if not self._is_dead:
            self._life.post(parts, fds, *going)

    @property
    def buffered_amount(self) -> int:
        """How many bytes were posted and still wait: for the kernel, or large ones for a reader."""
        return self._life.buffered_nbytes + self._unread_nbytes()

    def _wait_until_written(self, timeout: float | None) -> bool:
        return self._life.wait_until_written(timeout)

    def _await_arrival(self, timeout: float | None) -> None:
        if not self._life.lead(self, timeout):
            super()._await_arrival(timeout)

    def _keep(self, *, is_kept: bool) -> None:
        self._life.keep(self if is_kept else None)

    def _close_streams(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
