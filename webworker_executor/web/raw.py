"""
The process of a `Worker` of the raw profile: any program, and messages that are bytes or values.

Source: worker-process, "Handshake", "Protocol".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webworker_executor.errors import (
    DataCloneError,
    HandshakeError,
    InvalidStateError,
    ProtocolError,
)
from webworker_executor.launch.command import start_command
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.plain import PlainLink
from webworker_executor.web.life import Life
from webworker_executor.web.message import AS_JSON, AS_MSGPACK
from webworker_executor.web.outcome import WorkerOutcome
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE
from webworker_executor.wire.messagepack import dump_msgpack
from webworker_executor.wire.neutral import dump_json
from webworker_executor.wire.plain import (
    FROM_HOST,
    FROM_WORKER,
    PlainDecoder,
    as_frame,
    encode_plain,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from webworker_executor.launch.stdio import Streams
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step


class RawLife(Life):
    """
    The life of any program that speaks the raw profile on descriptor 3.

    There is nothing in the profile that asks a program to leave but the end of the stream, so that
    is what ``terminate`` begins with.

    Args:
        name: What a reader knows it by; the program's own name if it is empty.
        command: The program and its arguments.
        settings: From ``launch.limits.settings``.
        env: Variables laid over the program's own.
        streams: Its standard streams; owned from here.
        handshake_timeout: As for `Life`.
        max_duration: As for `Life`.
    """

    is_raw = True
    # It has nothing else to say goodbye with, and may have to tidy up after that.
    _closing_seconds = 30.0

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        settings: Mapping[str, Any],
        env: Mapping[str, str] | None,
        streams: Streams,
        handshake_timeout: float,
        max_duration: float,
    ) -> None:
        self._command = command
        self._settings = settings
        self._env = env
        self._decoder = PlainDecoder(FROM_WORKER)
        # The program's, and the link: as far as they have been made.
        self._ends: list[socket.socket | PlainLink] = []
        title = f"worker {name or command[0]!r}"
        super().__init__(title, handshake_timeout, max_duration, streams)

    def _connect(self) -> None:
        near, self._far = socket_pair()
        self._ends.append(self._far)
        try:
            self._link = PlainLink(near, self._reactor, self._received, self._stream_ended)
        except BaseException:
            # The reactor has seen it, if at all, with nobody who could close it any more.
            self._reactor.unregister(near.fileno())
            near.close()
            raise
        self._ends.append(self._link)
        self._link.send(FROM_HOST, lambda _: None)

    def send_bytes(self, data: Any) -> WorkerOutcome[None]:
        """Queue a message; any thread."""
        return self._queue(data)

    def _queue(self, data: Any) -> WorkerOutcome[None]:
        sent: WorkerOutcome[None] = WorkerOutcome()

        def tell(was_sent: bool) -> None:
            if was_sent:
                sent.settle()
            else:
                sent.settle(
                    error=InvalidStateError(f"{self.title} ended before it took this message")
                )

        self._link.send(encode_plain(data), tell)
        return sent

    def post_value(self, data: object, *, is_alone: bool) -> None:
        """Queue a message, and refuse what is not bytes; to a program that is gone it is lost."""
        if not is_alone:
            raise TypeError(f"nothing can be transferred to {self.title}, which takes bytes")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"{self.title} takes bytes, not {type(data).__name__}; pack it, for instance with "
                "json.dumps(value).encode()"
            )
        self.send_bytes(data)

    def post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        """Refuse: nothing of ours would be understood."""
        raise NotImplementedError

    @property
    def buffered_nbytes(self) -> int:
        """How many bytes the kernel has not taken yet; any thread."""
        return self._link.unsent_nbytes

    def _when_written(self, call: Callable[[], object]) -> None:
        self._link.send(b"", lambda _: call())

    def _launch(self) -> None:
        with self._far:
            child = start_command(
                self._command,
                self._far.fileno(),
                settings=self._settings,
                streams=self.streams,
                env=self._env,
            )
        self._started(child)

    def _received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except MalformedFrame as broken:
            error: Exception
            if self._decoder.is_greeted:
                self._is_ready()
                error = ProtocolError(f"{self.title} broke the raw profile and is killed: {broken}")
            else:
                error = HandshakeError(
                    f"{self.title} is no worker: {broken}. A program of the raw profile answers "
                    "the byte 0x00 on descriptor 3 with 0x01.",
                    "mismatch",
                )
            error.__cause__ = broken
            self._link.close()
            self._channel_ended(error)
            return
        if self._decoder.is_greeted:
            self._is_ready()
        owner = self._owner()
        if owner is not None:
            for message in messages:
                owner._arrive(self._frame_of(message))

    def _frame_of(self, message: bytes) -> Frame:
        return as_frame(message)

    def _stream_ended(self) -> None:
        self._channel_ended(None)

    def _judge(self, exitcode: int | None) -> BaseException | None:
        error = super()._judge(exitcode)
        if error is None and self._decoder.is_within_message and not self._is_wanted:
            return ProtocolError(f"{self.title} ended in the middle of a message, which is lost")
        return error

    def _ask_to_close(self) -> None:
        self._said_goodbye = True
        self._link.close()

    def _let_go(self) -> None:
        self._ask_to_close()

    def _drain(self) -> None:
        self._link.read()

    def _close_links(self) -> None:
        for end in self._ends:
            end.close()

    def _disown_links(self) -> None:
        self._far.close()
        self._link.disown()


class NeutralLife(RawLife):
    """
    The same, where each message is a value in a form that any language reads.

    The subclasses say which.
    """

    _form: str
    _ident: int

    @staticmethod
    def _dump(value: object) -> bytes:
        """Write a value; raises ``DataCloneError`` for what there is no form for."""
        raise NotImplementedError

    def send_bytes(self, data: object) -> WorkerOutcome[None]:
        """Refuse: this worker takes values, by ``post_message``."""
        raise TypeError(
            f"{self.title} takes values in {self._form}; use post_message(), or codec='raw'"
        )

    def post_value(self, data: object, *, is_alone: bool) -> None:
        """Queue a message, and refuse what has no form; to a program that is gone it is lost."""
        if not is_alone:
            raise DataCloneError(
                f"nothing can be transferred to {self.title}, which takes {self._form}"
            )
        self._queue(self._dump(data))

    def _frame_of(self, message: bytes) -> Frame:
        return Frame(MESSAGE, self._ident, message)


class JsonLife(NeutralLife):
    """
    With values in JSON.

    Source: node-webworkers, whose messages are JSON.
    """

    _form, _ident, _dump = "JSON", AS_JSON, staticmethod(dump_json)


class MsgpackLife(NeutralLife):
    """
    With values in MessagePack.

    Source: worker-process, which advises it.
    """

    _form, _ident, _dump = "MessagePack", AS_MSGPACK, staticmethod(dump_msgpack)
