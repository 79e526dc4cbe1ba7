"""
Values that most languages have, as MessagePack; for peers that are not Python, or not trusted.

For: what JSON has, and bytes, NaN and keys that are no texts besides. Tuples become lists.
Not for: anything else. What MessagePack has no form for (a number of more than 64 bits, an object,
a value in itself) is refused. A changer must know: no code of the sender runs, and it must stay so:
no hook makes objects of extension types.

The package ``msgpack`` is not among what this one needs; it comes with the extra ``[msgpack]``.

Source: the MessagePack specification, "Type system"; worker-process, which advises it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webworker_executor.errors import DataCloneError

if TYPE_CHECKING:
    from typing import Any


def check_installed() -> None:
    """
    See to it that there is a codec.

    Raises:
        ModuleNotFoundError: The package ``msgpack`` is not installed.
    """
    try:
        import msgpack as msgpack
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "codec='msgpack' needs the package msgpack, which is not installed; install "
            "webworker-executor[msgpack], or use codec='json'",
            name="msgpack",
        ) from error


def dump_msgpack(value: object) -> bytes:
    """
    Write a value as MessagePack.

    Args:
        value: Anything of the kinds above.

    Raises:
        DataCloneError: There is something else in it, or itself.
    """
    import msgpack

    try:
        packed: bytes = msgpack.packb(value, strict_types=True, default=_list_of)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataCloneError(f"message cannot be sent as MessagePack: {error}") from error
    return packed


def load_msgpack(data: bytes | bytearray | memoryview) -> Any:
    """
    Read a value.

    Raises:
        ValueError: It is no MessagePack, nested too deeply, or has a map with a key that no
            ``dict`` can have: a list or another map.
    """
    import msgpack

    try:
        return msgpack.unpackb(data, strict_map_key=False)
    except TypeError as error:
        raise ValueError(f"a map has a key that no dict can have: {error}") from error


def _list_of(value: object) -> list[object]:
    # Strict, msgpack asks for all that is not exactly one of its types: numbers of enumerations,
    # say, which would arrive as something else.
    if type(value) is tuple:
        return list(value)
    raise TypeError(f"{type(value).__name__} is not known there; send what it consists of")
