"""
Values that every language has, as JSON; for peers that are not Python, or not trusted.

For: ``None``, truth values, numbers, texts, lists (tuples become lists) and dictionaries with texts
as keys, in UTF-8.
Not for: anything else. What JSON would change in silence (a key that is a number, NaN, an object
that happens to have a text) is refused, so that what arrives is what was sent. A changer must know:
unlike a pickle, JSON runs no code of the sender, and must stay so.

Source: RFC 8259; Gears, WorkerPool, for what is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from webworker_executor.errors import DataCloneError
from webworker_executor.wire.shown import cut, shown

if TYPE_CHECKING:
    from typing import Any, NoReturn

_INFINITIES = (float("inf"), float("-inf"))


def dump_json(value: object) -> bytes:
    """
    Write a value as JSON.

    Args:
        value: Anything of the kinds above.

    Returns:
        The text, in ASCII: what is beyond it is escaped, lone surrogates too.

    Raises:
        DataCloneError: There is something else in it, or itself; the error names the path.
    """
    try:
        _check(value, "message", {})
        text = json.dumps(value, allow_nan=False, check_circular=False, separators=(",", ":"))
    except RecursionError:
        # Without the cause, whose traceback is as long as the value is deep.
        raise DataCloneError("message cannot be sent as JSON: it is nested too deeply") from None
    except ValueError as error:
        # Of a number with more digits than Python writes out.
        raise DataCloneError(f"message cannot be sent as JSON: {error}") from None
    return text.encode("ascii")


def load_json(data: bytes | bytearray | memoryview) -> Any:
    """
    Read a value.

    Raises:
        ValueError: It is no JSON: not UTF-8, not a value, or NaN and its like.
        RecursionError: It is nested too deeply.
    """
    return json.loads(str(data, "utf-8"), parse_constant=_refuse_constant)


def _check(value: Any, path: str, above: dict[int, str]) -> None:
    """Raise unless a value is what JSON has; ``above`` are those that it stands in."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return
    if kind is float:
        if value != value or value in _INFINITIES:
            _refuse(path, f"{value!r} is no number there; send None, or a text", value)
        return
    if kind is not dict and kind is not list and kind is not tuple:
        _refuse(path, f"{kind.__name__} is not known there; send what it consists of", value)
    if id(value) in above:
        _refuse(path, f"it is in itself: it is {above[id(value)]} as well", value)
    above[id(value)] = path
    if kind is dict:
        for key, part in value.items():
            if type(key) is not str:
                _refuse(f"{path}.key({shown(key, 30)})", "keys are texts there", key)
            _check(part, f"{path}[{cut(json.dumps(key), 32)}]", above)
    else:
        for index, part in enumerate(value):
            _check(part, f"{path}[{index}]", above)
    del above[id(value)]


def _refuse(path: str, why: str, part: object) -> NoReturn:
    raise DataCloneError(f"{path} cannot be sent as JSON: {why}", part)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
