"""
One message: from a value to a frame's bytes, and from a frame to an event.

Not for the way it goes, nor for who gets it: see ``messaging``. A worker imports this module at its
start, so it imports the least.
"""

from __future__ import annotations

from _pickle import loads

from webworker_executor.web.blame import clone_error
from webworker_executor.web.event import MessageEvent
from webworker_executor.wire import codec
from webworker_executor.wire.transfer import unpacking_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn

    from webworker_executor.web.messaging import MessageTarget
    from webworker_executor.wire.codec import Packed
    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.place import Place
    from webworker_executor.wire.transfer import Parcel

    Shelf = Callable[[Sequence[memoryview]], Sequence[Place] | None]

# What a MESSAGE frame has as its ident: its pickle is the message, or a pair of the message and
# what was transferred or sent beside it. With the bit LENT its large buffers lie in memory whose
# descriptor is the last that came along.
PLAIN, WITH_LIST = 0, 1
# Whoever posted it wants a RECEIPT when it has been taken.
REGISTERED = 0x08
LENT = 0x10
# It is no pickle but a text in JSON, or MessagePack.
AS_JSON = 0x20
AS_MSGPACK = 0x40
# Below this, what is lent costs more (a file, a mapping, a fault for each page) than two copies.
LENT_NBYTES = 1 << 18


def pack_message(
    message: object,
    transfer: Iterable[object] | None,
    fds: Iterable[object] = (),
    *,
    target: MessageTarget | None = None,
    to_host: bool = False,
    shelf: Shelf | None = None,
) -> Packed:
    """
    Pack a message together with what is transferred with it.

    Args:
        message: The message.
        transfer: As for ``MessageTarget.post_message``.
        fds: The same.
        target: What it is posted to, which cannot be transferred to itself.
        to_host: As for ``codec.pack``.
        shelf: The same.

    Returns:
        A pair of the message and its ports and descriptors, packed.

    Raises:
        Exception: As for ``MessageTarget.post_message``.
    """
    from webworker_executor.web.luggage import Luggage

    luggage = Luggage(target, transfer, fds)
    try:
        return codec.pack_by_value(
            (message, luggage.items), to_host=to_host, parcel=luggage.make_parcel, shelf=shelf
        )
    except Exception as exc:
        refuse(message, exc)


def event_of(frame: Frame, source: object = None) -> MessageEvent:
    """
    Unpack a MESSAGE frame; its descriptors are closed if that fails.

    Where a signal handler has raised meanwhile, and nothing came along that is used up, the frame
    is whole and still has its payload: whoever took it out puts it back.

    Raises:
        Exception: Whatever unpacking raises.
    """
    came, frame.fds = frame.fds, ()
    fds = came
    try:
        if not frame.ident:
            if not (fds or frame.buffers):
                # As `codec.unpack` does, without the call: most messages are so.
                return MessageEvent(loads(frame.payload), source)
            return MessageEvent(codec.unpack(frame.payload, frame.buffers, fds), source)
        payload, buffers = frame.payload, frame.buffers
        if frame.ident & (AS_JSON | AS_MSGPACK):
            return MessageEvent(_load_neutral(frame), source)
        if frame.ident & LENT:
            from webworker_executor.web.lent import borrowed

            payload, buffers, fds = borrowed(payload, fds)
        if not frame.ident & WITH_LIST:
            return MessageEvent(codec.unpack(payload, buffers, fds), source)
        from webworker_executor.web.luggage import unpack_luggage

        message, ports, numbers = unpack_luggage(payload, buffers, fds)
        return MessageEvent(message, source, ports=ports, fds=numbers)
    except BaseException as exc:
        if is_sound(frame, came):
            frame.fds = came
            raise
        # The error keeps this call's values, and its callers', the message among them. It is taken.
        payload, buffers, fds, came = b"", (), (), ()
        frame.payload, frame.buffers = b"", ()
        let_go = getattr(frame, "let_go", None)
        if let_go is not None:
            let_go()
        if isinstance(exc, Exception):
            _forget_values(exc)
        raise


def _load_neutral(frame: Frame) -> object:
    if frame.ident & AS_JSON:
        from webworker_executor.wire.neutral import load_json

        return load_json(frame.payload)
    from webworker_executor.wire.messagepack import load_msgpack

    return load_msgpack(frame.payload)


def is_sound(frame: Frame, fds: Sequence[object]) -> bool:
    """
    Whether a message unpacks, and none of its descriptors is used up by that.

    Whose an exception is cannot be told from it: a message may raise whatever a signal handler
    may. But the message does so each time.

    Args:
        frame: The message.
        fds: The descriptors that came along.
    """
    if frame.ident & LENT:
        return False
    try:
        if frame.ident & (AS_JSON | AS_MSGPACK):
            _load_neutral(frame)
        else:
            unpacking_with(tuple(fds)).run(loads, frame.payload, buffers=frame.buffers)
    except BaseException:
        return False
    return True


def _forget_values(exc: Exception) -> None:
    """Empty the frames of an error: whoever keeps it must not keep open what came along."""
    trace = exc.__traceback__
    while trace is not None:
        try:
            trace.tb_frame.clear()
        except RuntimeError:
            # It is still running: the one that called.
            pass
        trace = trace.tb_next


def new_parcel(target: MessageTarget | None = None) -> Parcel:
    """Make the parcel of a message without a list: only now it is known that it needs one."""
    from webworker_executor.web.luggage import Luggage

    return Luggage(target, (), ()).make_parcel()


def give_back(parcel: Parcel, error: BaseException) -> None:
    """
    Keep what was to be moved, unless it has gone; in the handler of ``error`` only.

    Raises:
        DataCloneError: The error is that of memory which something is laid over; nothing was sent.
    """
    parcel.settle()
    if isinstance(error, BufferError):
        from webworker_executor.errors import DataCloneError

        raise DataCloneError(
            "a memoryview or bytearray cannot be transferred while something is laid over it; "
            "release that"
        ) from error


def refuse(message: object, exc: Exception) -> NoReturn:
    """Raise what a message that could not be packed ends in; in the handler of ``exc`` only."""
    error = clone_error(message, exc)
    if error is exc:
        raise
    raise error from exc
