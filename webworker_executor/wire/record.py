"""
Records of ``logging`` as they cross a link: text instead of what only their own process can show.

Not for where they come from or go to. Imported in workers whose records are wanted, and in the host
when the first one has come.
"""

from __future__ import annotations

from webworker_executor.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from logging import LogRecord
    from typing import Any

    from webworker_executor.wire.codec import Packed


def pack_record(record: LogRecord, process_name: str) -> Packed:
    """
    Pack a record; it stays as it is.

    The message is made here, for its arguments may not pickle or may be changed meanwhile, and so
    is the text of an exception. What a program has added to the record goes along where it can be
    packed, and else as its ``repr``.

    Args:
        record: The record.
        process_name: Its process, unless the record says something else than ``MainProcess``.

    Raises:
        Exception: What making the message raises.

    Source: logging.handlers, ``QueueHandler.prepare``.
    """
    values = dict(vars(record))
    values["msg"] = values["message"] = record.getMessage()
    values["args"] = None
    if record.exc_info and not record.exc_text:
        import traceback

        values["exc_text"] = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    values["exc_info"] = None
    if values.get("processName") == "MainProcess":
        values["processName"] = process_name
    try:
        return _pack(values)
    except Exception:
        return _pack({name: _packable(value) for name, value in values.items()})


def unpack_record(payload: bytes, buffers: Sequence[Any]) -> dict[str, Any]:
    """
    Return the attributes of a record.

    Args:
        payload: As ``pack_record`` made it.
        buffers: Those that came with it.

    Raises:
        Exception: What unpacking something that a program has added raises.
    """
    values: Any = codec.unpack(payload, buffers)
    return dict(values)


def _pack(values: dict[str, Any]) -> Packed:
    return codec.pack(values, to_host=True)


def _packable(value: object) -> object:
    try:
        _pack({"value": value})
    except Exception:
        try:
            return repr(value)
        except Exception:
            return f"<{type(value).__name__} without a repr>"
    return value
