"""
How things of the standard library are given away: sockets, connections, files, pipes, memory.

Not for ports or bare descriptors, which pack themselves. Importing this module teaches the pickler.
Whoever changes it must know that nothing may be given up before all has been packed: the sender's
side is made unusable in a parcel's ``commits``, and what was touched is mended in ``rollbacks``.
"""

from __future__ import annotations

import _socket
import io
import os
import socket
import sys
from functools import partial
from itertools import filterfalse
from operator import call, is_
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import DataCloneError
from webworker_executor.web.descriptor import duplicate
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import reducers, taken

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from multiprocessing.connection import Connection

    from webworker_executor.wire.transfer import Parcel, Step


# -- sockets and multiprocessing's connections: duplicated, or moved if listed


def _reduce_socket(parcel: Parcel, item: socket.socket) -> Any:
    slot = duplicate(parcel, item)
    if parcel.is_moved(item):
        parcel.commits += _closing(item)
    return _receive_socket, (slot, int(item.family), int(item.type), item.proto, item.gettimeout())


def _closing(item: socket.socket) -> tuple[Step, ...]:
    """Return what closes a socket, also where files are made of it."""
    numbers = filter((-1).__ne__, map(_socket.socket.detach, (item,)))
    # The other tells the class of Python.
    return partial(any, map(os.close, numbers)), partial(setattr, item, "_closed", True)


def _receive_socket(
    slot: int, family: int, kind: int, proto: int, timeout: float | None
) -> socket.socket:
    item = socket.socket(family, kind, proto, fileno=taken(slot).take())
    item.settimeout(timeout)
    return item


def _reduce_transport_socket(parcel: Parcel, item: TransportSocket) -> Any:
    # What asyncio shows of a transport's socket. It arrives as a plain one.
    own: socket.socket = item._sock  # type: ignore[attr-defined]  # typeshed leaves it out
    transport = _transport_of(own)
    is_moved = parcel.is_moved(item)
    if is_moved and transport is not None and transport.get_write_buffer_size():
        raise DataCloneError(
            f"{shown(item)} cannot be transferred while its transport has something to write; "
            "wait until that has gone",
            item,
        )
    slot = duplicate(parcel, item)
    if is_moved:
        if transport is not None:
            # First: closed alone, it would stay in the loop's epoll as long as anybody has it.
            parcel.commits.append(transport.abort)
        parcel.commits += _closing(own)
    return _receive_socket, (slot, int(own.family), int(own.type), own.proto, own.gettimeout())


def _transport_of(item: socket.socket) -> Any:
    """Return what uses a socket on the loop that runs here, ``None`` if nothing does."""
    events: Any = sys.modules.get("asyncio.events")
    loop = None if events is None else events._get_running_loop()
    # There is no public way from a socket to its transport.
    transports = getattr(loop, "_transports", None)
    return None if transports is None else transports.get(item.fileno())


def _reduce_connection(parcel: Parcel, item: Connection) -> Any:
    if item.closed:
        raise DataCloneError(f"{shown(item)} is closed; send an open one", item)
    slot = duplicate(parcel, item)
    if parcel.is_moved(item):
        # What its `close` does.
        handles = filterfalse(partial(is_, None), map(getattr, (item,), ("_handle",)))
        close = partial(any, map(os.close, handles))
        parcel.commits += (close, partial(setattr, item, "_handle", None))
    return _receive_connection, (slot, item.readable, item.writable)


def _receive_connection(slot: int, readable: bool, writable: bool) -> Connection:
    from multiprocessing.connection import Connection

    return Connection(taken(slot).take(), readable, writable)


# -- files and pipes: moved if listed, and else whatever the pickler makes of them


def _reduce_file(parcel: Parcel, item: Any) -> Any:
    if not parcel.is_moved(item):
        return NotImplemented
    if item.closed:
        raise DataCloneError(f"{shown(item)} is closed; send an open one", item)
    if item.writable():
        item.flush()
    ahead = b""
    if item.readable():
        ahead = _give_back_what_was_read_ahead(parcel, item)
    slot = duplicate(parcel, item)
    parcel.commits.append(item.close)
    text = None
    if isinstance(item, io.TextIOWrapper):
        text = (item.encoding, item.errors, item.line_buffering, item.write_through)
    is_raw = isinstance(item, io.FileIO)
    mode = ("r" if item.readable() else "") + ("w" if item.writable() else "")
    return _receive_file, (slot, {"rw": "rb+"}.get(mode, mode + "b"), is_raw, text, ahead)


def _receive_file(
    slot: int,
    mode: str,
    is_raw: bool,
    text: tuple[str, str | None, bool, bool] | None,
    ahead: bytes,
) -> Any:
    fd = taken(slot).take()
    item: Any = os.fdopen(fd, mode, buffering=0 if is_raw else -1)
    if ahead:
        item = io.BufferedReader(_Continued(ahead, item.detach()))
    if text is not None:
        encoding, errors, line_buffering, write_through = text
        item = io.TextIOWrapper(
            item, encoding, errors, line_buffering=line_buffering, write_through=write_through
        )
    return item


class _Continued(io.RawIOBase):
    """The rest of a pipe behind what its former holder had read of it."""

    def __init__(self, ahead: bytes, raw: io.FileIO) -> None:
        self._ahead = ahead
        self._raw = raw

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, room: Any) -> int | None:
        if not self._ahead:
            return self._raw.readinto(room)
        nbytes = min(len(room), len(self._ahead))
        room[:nbytes], self._ahead = self._ahead[:nbytes], self._ahead[nbytes:]
        return nbytes

    def close(self) -> None:
        self._raw.close()
        super().close()


def _give_back_what_was_read_ahead(parcel: Parcel, item: Any) -> bytes:
    """Return what a file object has read of a pipe and not given out; of a file, seek back."""
    if isinstance(item, io.FileIO):
        return b""
    fd = item.fileno()
    if item.seekable():
        try:
            position = item.tell()
        except OSError as error:
            raise DataCloneError(f"{shown(item)} cannot be sent: {error}", item) from error
        if position >> 63:
            raise DataCloneError(f"{shown(item)} is in the midst of a character; read on first")
        before = os.lseek(fd, 0, os.SEEK_CUR)
        parcel.rollbacks.append(lambda: os.lseek(fd, before, os.SEEK_SET))
        os.lseek(fd, position, os.SEEK_SET)
        return b""
    if isinstance(item, io.TextIOWrapper):
        raise DataCloneError(
            f"{shown(item)} reads a pipe, and may have read more of it than it has given out; "
            "transfer its .buffer, or a FileDescriptor"
        )
    was_blocking = os.get_blocking(fd)
    os.set_blocking(fd, False)
    try:
        # Reads only if nothing was read ahead. Then it may find something, or nothing yet.
        return bytes(item.peek() or b"")
    finally:
        os.set_blocking(fd, was_blocking)


# -- memory: moved if listed


def _reduce_view(parcel: Parcel, item: memoryview) -> Any:
    if not parcel.is_moved(item):
        return NotImplemented

    # Nothing else is given up if this fails, which can only be found out by doing it.
    parcel.conditions.append(item.release)
    # What is packed is another view of the memory: one that is looked at cannot be released.
    memory = PickleBuffer(memoryview(item))
    if (item.format == "B" and item.ndim == 1) or not item.c_contiguous:
        return memoryview, (memory,)
    return _receive_view, (memory, item.format, item.shape)


def _receive_view(memory: Any, form: str, shape: tuple[int, ...]) -> memoryview:
    view = memoryview(memory)
    try:
        return view.cast(form) if len(shape) == 1 else view.cast(form, shape)  # type: ignore[call-overload, no-any-return]  # one of the formats
    except (TypeError, ValueError):
        # Not the machine's own, a structure, or nothing in several dimensions: mere bytes.
        return view


def give_up_bytes(parcel: Parcel, item: bytearray) -> None:
    """
    Empty a bytearray when its message has been packed.

    Raises:
        DataCloneError: Something is laid over it.
    """
    try:
        # Neither is possible while a view of it exists; so nothing is lost by trying. Within C: a
        # signal handler that raises would leave it longer.
        steps: Any = (partial(item.append, 0), item.pop)
        any(map(call, steps))
    except BufferError as error:
        raise DataCloneError(
            "a bytearray cannot be transferred while something is laid over it; release the view"
        ) from error
    parcel.conditions.append(item.clear)


reducers[socket.socket] = _reduce_socket
reducers[memoryview] = _reduce_view
_FILES = (
    io.FileIO,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.TextIOWrapper,
)
for _kind in _FILES:
    reducers[_kind] = _reduce_file
MOVABLE: tuple[type, ...] = (socket.socket, *_FILES, memoryview, bytearray)
_LATE: tuple[tuple[str, str, Any], ...] = (
    ("multiprocessing.connection", "Connection", _reduce_connection),
    ("asyncio.trsock", "TransportSocket", _reduce_transport_socket),
)


def movable() -> tuple[type, ...]:
    """Return the types that can be moved; of modules that are imported late, if there are any."""
    kinds = MOVABLE
    for module, name, reduce in _LATE:
        # Another thread may be importing it at this moment.
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None:
            reducers[kind] = reduce
            kinds = (*kinds, kind)
    return kinds
