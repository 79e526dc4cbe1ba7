"""
Data that every worker is born with, and those that it makes in its turn.

Not for environment variables (``env``), nor for what one worker gets (``worker_data``). What is
kept are the packed values: a worker hands them on without unpacking what it does not ask for. A
worker may import this module at its start, so it imports the least.
"""

from __future__ import annotations

from webworker_executor.web.blame import point_out
from webworker_executor.wire import codec
from webworker_executor.wire.apart import writable
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Packed = tuple[bytes, Sequence[Any]]

_values: dict[str, Packed] = {}


def set_environment_data(key: str, value: Any) -> None:
    """
    Have all workers that are started from now on find a copy of a value.

    Those of executors as well, and those that the workers start. The copy is made at once. What
    runs already is not told; for that there is ``BroadcastChannel``.

    Args:
        key: What it is asked for by.
        value: Anything that pickles, but no ports or descriptors, which one worker alone could
            have. ``None`` takes the key away.

    Raises:
        TypeError: The key is no text.
        Exception: What packing the value raises, with a note that names the part; nothing has
            changed then.

    Source: Node.js, ``worker.setEnvironmentData``.
    """
    if not isinstance(key, str):
        raise TypeError(f"environment data is kept by texts, not by {shown(key)}")
    if value is None:
        _values.pop(key, None)
        return
    try:
        packed = codec.pack(value)
    except Exception as error:
        point_out(error, {"value": value}, codec.pack_by_value)
        raise
    _values[key] = packed.payload, packed.buffers


def get_environment_data(key: str) -> Any:
    """
    Return a copy of what was set under a key before this worker was started, or here since.

    Args:
        key: What it was set under.

    Returns:
        The value, ``None`` if there is none.

    Raises:
        Exception: What unpacking it raises.

    Source: Node.js, ``worker.getEnvironmentData``.
    """
    packed = _values.get(key)
    if packed is None:
        return None
    payload, buffers = packed
    return codec.unpack(payload, writable(buffers))


def told() -> dict[str, Packed] | None:
    """Return what a worker is told at its start."""
    return dict(_values) or None


def adopt(values: dict[str, Packed]) -> None:
    """Take what the host has told, in a worker that starts."""
    _values.clear()
    _values.update(values)
