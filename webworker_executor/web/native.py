"""
The process of a `Worker` that runs Python: frames on the data link, its life on the control link.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import ProtocolError, WorkerLoadError, WorkerStartError
from webworker_executor.launch.launcher import WorkerSpec
from webworker_executor.launch.witness import find_witness
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.local import Link
from webworker_executor.link.rights import Descriptor
from webworker_executor.web.blame import point_out
from webworker_executor.web.estate import inherit
from webworker_executor.web.hello import lay_out_hello
from webworker_executor.web.launchers import close_launcher
from webworker_executor.web.leading import lead
from webworker_executor.web.life import Life
from webworker_executor.web.message import REGISTERED
from webworker_executor.web.movable import movable
from webworker_executor.web.registered import Receipts
from webworker_executor.wire import codec
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.frame import MAX_FDS, encode
from webworker_executor.wire.kinds import (
    CLOSE,
    CLOSING,
    DEFINE,
    ERROR,
    ESTATE,
    FROM_SCRIPT,
    LOAD_ERROR,
    MESSAGE,
    OF_SURROUNDINGS,
    READY,
    RECEIPT,
    TRACKER,
)
from webworker_executor.wire.transfer import for_task, learn_later

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.launch.stdio import Streams
    from webworker_executor.web.incoming import WorkerTarget
    from webworker_executor.web.outcome import WorkerOutcome
    from webworker_executor.web.script import Script
    from webworker_executor.wire.frame import Frame, Parts
    from webworker_executor.wire.transfer import Step


# Sockets in what a worker is born with, in programs that have no executor to learn it from.
learn_later(movable)


@dataclass(frozen=True)
class Plan:
    """
    What a worker is born with.

    Attributes:
        script: What it runs.
        launcher: How it is started.
        name: ``scope.name``.
        worker_data: ``scope.worker_data``, yet to be packed.
        env: Variables laid over the program's own.
        settings: From ``launch.limits.settings``.
        executable: The interpreter, ``None`` for the program's own.
        interpreter_args: Its options.
        on_uncaught: As for `Worker`.
    """

    script: Script
    launcher: Launcher
    name: str = ""
    worker_data: Any = field(default=None, repr=False)
    env: Mapping[str, str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    executable: str | None = None
    interpreter_args: Sequence[str] = ()
    on_uncaught: str = "report"


class NativeLife(Life):
    """
    The life of a process that runs a script of Python.

    Args:
        plan: What it is born with.
        streams: Its standard streams; owned from here.
        handshake_timeout: As for `Life`.
        max_duration: As for `Life`.

    Raises:
        Exception: What packing the worker's data or its callable raises; nothing stays open.
    """

    is_raw = False
    _has_launcher = False

    def __init__(
        self, plan: Plan, streams: Streams, handshake_timeout: float, max_duration: float
    ) -> None:
        self._plan = plan
        self._receipts = Receipts()
        self._far_ends: list[socket.socket] = []
        self._links: list[Link] = []
        try:
            self._baggage = codec.pack((plan.worker_data, plan.script.call), parcel=for_task)
        except Exception as error:
            script, argv = plan.script.call or (None, ())
            point_out(error, {"worker_data": plan.worker_data, "argv": argv, "script": script})
            raise
        title = f"worker {plan.name or plan.script.title!r}"
        super().__init__(title, handshake_timeout, max_duration, streams)

    def _connect(self) -> None:
        self._link = self._new_link(FROM_SCRIPT, self._received, self._data_ended)
        self._control = self._new_link(frozenset(), _ignore, _ignore)
        baggage = self._baggage
        del self._baggage
        # Posted before anybody else has the link.
        witness_fds = self._find_witness() if len(baggage.fds) < MAX_FDS else []
        self._link.post(self._hello(has_witness=bool(witness_fds)))
        fds = [*baggage.fds, *witness_fds]
        self._link.post(encode(DEFINE, 0, baggage.payload, baggage.buffers, n_fds=len(fds)), fds)
        self._link.flush()

    def _new_link(
        self,
        kinds: frozenset[int],
        on_frame: Callable[[Frame], object],
        on_end: Callable[[Exception | None], object],
    ) -> Link:
        near, far = socket_pair()
        self._far_ends.append(far)
        try:
            link = Link(near, self._reactor, kinds, on_frame, on_end)
        except BaseException:
            # The reactor has seen it, if at all, with nobody who could close it any more.
            self._reactor.unregister(near.fileno())
            near.close()
            raise
        self._links.append(link)
        return link

    def post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        """Give a frame to the link; any thread. To a process that is gone it is lost."""
        self._link.send(parts, fds, *going)

    def send_bytes(self, data: object) -> WorkerOutcome[None]:
        """Refuse: this worker takes any value, by ``post_message``."""
        raise TypeError(f"{self.title} takes values; use post_message(), or codec='raw'")

    def post_value(self, data: object, *, is_alone: bool) -> None:
        """Refuse as well; nobody comes here."""
        raise NotImplementedError

    @property
    def buffered_nbytes(self) -> int:
        """How many bytes were posted and have not been taken by the kernel; any thread."""
        return self._link.unsent_nbytes

    def lead(self, target: WorkerTarget, timeout: float | None) -> bool:
        """Wait by reading in the caller's thread; any thread. Tell whether that could be done."""
        return lead(self._link, target, timeout)

    def _when_written(self, call: Callable[[], object]) -> None:
        self._link.when_written(call)

    def _find_witness(self) -> list[Descriptor]:
        """Make the pipe for the process's stacks; returns its end of it, if there is room."""
        witness = self.witness = find_witness(self._reactor, self.title, self._post_control)
        if witness is None:
            return []
        try:
            return [Descriptor.to_send(witness.writer)]
        finally:
            # A process that is forked from this one shall not keep the pipe open.
            witness.handed_over()

    def _hello(self, *, has_witness: bool) -> Parts:
        plan = self._plan
        particulars: dict[str, Any] = {
            "argv": list(plan.script.argv),
            "keeps_path": plan.executable is not None,
            "script": {
                **plan.script.described(),
                "settings": dict(plan.settings),
                "on_uncaught": plan.on_uncaught,
            },
        }
        if plan.executable is not None:
            particulars["sys_path"] = _path_for_another()
        return lay_out_hello(
            plan.launcher,
            plan.env,
            index=None,
            name=plan.name,
            has_witness=has_witness,
            **particulars,
        )

    def _launch(self) -> None:
        plan = self._plan
        # Out of the reach of `_disown_links`: a fork is disowned before it becomes the worker.
        (far, control_far), self._far_ends = self._far_ends, []
        with far, control_far:
            plan.launcher.open(self._reactor)
            self._has_launcher = True
            spec = WorkerSpec(
                far.fileno(),
                control_far.fileno(),
                environ=None if plan.env is None else {**os.environ, **plan.env},
                executable=plan.executable,
                interpreter_args=plan.interpreter_args,
                streams=self.streams,
            )
            plan.launcher.launch(spec, self._started, self._refused)

    def _received(self, frame: Frame) -> None:
        kind = frame.kind
        owner = self._owner()
        if kind == MESSAGE:
            if frame.ident & REGISTERED:
                frame = self._receipts.owe(frame, self._give_receipt, self._reactor.finalizer)
            if owner is not None:
                owner._arrive(frame)
        elif kind == READY:
            self._is_ready()
        elif kind == ERROR:
            if owner is not None:
                owner._error_came(frame)
        elif kind == LOAD_ERROR:
            self._cannot_load(frame)
        elif kind == CLOSING:
            self._goodbye()
        elif kind == ESTATE:
            inherit(frame)
        elif kind == TRACKER:
            from webworker_executor.launch.tracker import share_tracker

            share_tracker(self._post_control)

    def _give_receipt(self) -> None:
        self._call(lambda: self._post_control(encode(RECEIPT, 0)))

    def _cannot_load(self, frame: Frame) -> None:
        cause = unpack_failure(frame.payload)
        error: BaseException
        if frame.ident == OF_SURROUNDINGS:
            error = WorkerStartError(f"{self.title} could not be set up as asked for: {cause}")
        else:
            error = WorkerLoadError(f"{self.title} could not be loaded: {cause}")
        error.__cause__ = cause
        self._verdict = error
        # It ends by itself, with a status other than 0.
        self._said_goodbye = True

    def _data_ended(self, error: Exception | None) -> None:
        if error is not None:
            broken = ProtocolError(f"{self.title} wrote what is no frame and is killed: {error}")
            broken.__cause__ = error
            error = broken
        self._channel_ended(error)

    def _ask_to_close(self) -> None:
        # Ahead of the messages that wait in the other link.
        self._post_control(encode(CLOSE, 0))

    def _post_control(self, parts: Parts, fds: Sequence[Any] = ()) -> None:
        self._control.post(parts, fds)
        self._control.flush()

    def _let_go(self) -> None:
        self.post(encode(CLOSE, 0), ())

    def _drain(self) -> None:
        self._link.read()

    def _close_links(self) -> None:
        for end in self._far_ends:
            end.close()
        for link in self._links:
            link.close()
        if self.witness is not None:
            self.witness.close()

    def _close_launcher(self, on_closed: Callable[[], object]) -> None:
        if self._has_launcher:
            close_launcher(self._plan.launcher, on_closed)
        else:
            on_closed()

    def _disown_links(self) -> None:
        for end in self._far_ends:
            end.close()
        for link in self._links:
            link.disown()
        if self.witness is not None:
            self.witness.disown()


def _path_for_another() -> list[str]:
    """Return what another interpreter can use of this one's path: not the standard library."""
    stdlib = os.path.dirname(os.__file__)
    own = {stdlib, os.path.join(stdlib, "lib-dynload")}
    return [entry for entry in sys.path if entry not in own]


def _ignore(_: object) -> None:
    """Take no notice: the end of the process is seen by itself."""
