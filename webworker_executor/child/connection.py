"""
The worker's side of the raw profile: for scripts that run under any parent that speaks it.

Not for the script of a ``Worker`` without ``codec="raw"`` and its like: that has ``scope``.

Source: worker-process, ``connect`` and "Connection".
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import HandshakeError, InvalidStateError, NotAWorkerError
from webworker_executor.launch.launcher import DATA_FD, FD_VARIABLE
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.link.thread import OwnThread
from webworker_executor.web.message import AS_JSON, AS_MSGPACK
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE
from webworker_executor.wire.messagepack import check_installed, dump_msgpack
from webworker_executor.wire.neutral import dump_json
from webworker_executor.wire.plain import (
    FROM_HOST,
    FROM_WORKER,
    PlainDecoder,
    as_frame,
    encode_plain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn


READ_NBYTES = 65536
# By codec, what marks a message that came, and what writes one that goes.
_CODECS: dict[str, tuple[int, Callable[[object], bytes] | None]] = {
    "raw": (0, None),
    "json": (AS_JSON, dump_json),
    "msgpack": (AS_MSGPACK, dump_msgpack),
}

_connection: list[Connection] = []


class Connection(MessageTarget):
    """
    The channel to the parent. Messages are bytes, or values in JSON or MessagePack.

    A thread reads it, so that a parent that vanishes is noticed: then the process exits with 1 at
    once, whatever it does. Messages go to listeners on the events thread, or to ``receive``.

    Source: worker-process, "Connection".
    """

    def __init__(self, end: socket.socket, codec: str = "raw") -> None:
        super().__init__()
        self._codec = _CODECS[codec]
        self._socket = end
        self._decoder = PlainDecoder(FROM_HOST)
        # Held by who sends a message, so that each stays whole. Reentrant: a signal handler may
        # send, too, while this very thread holds it; the outer call writes what it sent.
        self._writing = threading.RLock()
        self._outbox = Outbox(end, waits=True)
        self._is_sending = False
        self._is_finished = False
        early = self._shake_hands()
        for message in early:
            self._arrive(self._frame_of(message))
        OwnThread(self._read, "webworker-connection").start()

    def __repr__(self) -> str:
        return f"<Connection {'finished' if self._is_finished else f'fd={self._socket.fileno()}'}>"

    def send(self, data: Any) -> None:
        """
        Send bytes to the parent, or a value; waits until the kernel has taken it.

        Args:
            data: Bytes; with ``codec="json"`` or ``"msgpack"`` a value that has a form there.

        Raises:
            TypeError: It is not bytes.
            DataCloneError: It is no value that the codec has a form for.
            ValueError: They are more than 2 GiB.
            InvalidStateError: The connection was finished.

        Source: worker-process, ``connection.send``.
        """
        _, dump = self._codec
        frame = encode_plain(data if dump is None else dump(data))
        with self._writing:
            if self._is_finished:
                raise InvalidStateError("the connection was finished; nothing more can be sent")
            self._write(frame)

    def post_message(
        self, message: Any, transfer: Iterable[Any] | None = (), *, fds: Iterable[Any] = ()
    ) -> None:
        """
        Send to the parent, as ``send`` does.

        Args:
            message: What ``send`` takes.
            transfer: Must be empty: nothing but bytes goes over the raw profile.
            fds: The same.

        Raises:
            TypeError: One of the two is not; otherwise as ``send``.
        """
        if transfer or fds:
            raise TypeError("nothing can be transferred over the raw profile")
        self.send(message)

    def _post(self, *_: object) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """
        Close the channel in order: all that was sent arrives. The process should exit then.

        Source: worker-process, ``connection.finish``.
        """
        with self._writing:
            if self._is_finished:
                return
            self._is_finished = True
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The parent was faster.
                return

    def _shake_hands(self) -> list[bytes]:
        data = self._socket.recv(READ_NBYTES)
        if not data:
            raise HandshakeError("the parent closed the channel at once", "closed")
        try:
            messages = self._decoder.feed(data)
        except MalformedFrame as error:
            raise HandshakeError(
                f"the parent does not speak the raw profile: {error}. A script that is started by "
                "Worker(script) has `scope` instead; connect() needs codec='raw'.",
                "mismatch",
            ) from error
        self._write(FROM_WORKER)
        return messages

    def _write(self, data: bytes) -> None:
        self._outbox.append([data])
        while not self._is_sending and not self._outbox.is_empty:
            self._is_sending = True
            try:
                self._outbox.write()
            except OSError as error:
                if is_of_a_handler(error):
                    # What is left goes ahead of the next message.
                    raise
                self._lose_parent()
            finally:
                self._is_sending = False

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(READ_NBYTES)
                messages = self._decoder.feed(data) if data else None
            except (OSError, MalformedFrame):
                messages = None
            if messages is None:
                break
            for message in messages:
                self._arrive(self._frame_of(message))
        if self._is_finished:
            self._ended()
        else:
            self._lose_parent()

    def _frame_of(self, message: bytes) -> Frame:
        ident, dump = self._codec
        return as_frame(message) if dump is None else Frame(MESSAGE, ident, message)

    def _lose_parent(self) -> NoReturn:
        # Nobody waits for what this process does, and its main thread may never notice.
        os._exit(1)


def connect(codec: str = "raw") -> Connection:
    """
    Take up the channel to the parent: descriptor 3, or the one that ``WEBWORKER_FD`` names.

    That variable is gone from ``os.environ`` then: programs that this one starts have no channel.

    Args:
        codec: What messages are: ``"raw"`` bytes, or values in ``"json"`` or ``"msgpack"``; as the
            parent has it.

    Returns:
        The connection, when parent and worker have greeted each other.

    Raises:
        NotAWorkerError: That descriptor is no socket: no parent gave it to this process.
        HandshakeError: The parent speaks something else.
        InvalidStateError: This process is connected already.
        ValueError: There is no such codec.
        ModuleNotFoundError: MessagePack was asked for and ``msgpack`` is not installed.

    Source: worker-process, ``connect``.
    """
    if codec not in _CODECS:
        raise ValueError(f"codec must be 'raw', 'json' or 'msgpack', not {codec!r}")
    if codec == "msgpack":
        check_installed()
    if _connection:
        raise InvalidStateError(
            "connect() was called before in this process; keep what it returned"
        )
    number = os.environ.get(FD_VARIABLE, str(DATA_FD))
    try:
        fd = int(number)
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except (OSError, ValueError, OverflowError):
        is_socket = False
    if not is_socket:
        raise NotAWorkerError(
            f"descriptor {number} is no socket, so no parent has made this process a worker. "
            "Start it with Worker(path, codec='raw')."
        )
    # The channel is not for the programs that this one starts, nor is its number.
    os.set_inheritable(fd, False)
    os.environ.pop(FD_VARIABLE, None)
    connection = Connection(socket.socket(fileno=fd), codec)
    _connection.append(connection)
    return connection
