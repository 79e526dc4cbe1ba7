"""
Whether a number can be a time that somebody is to wait.

Not for what follows when it is over. Infinity is none: whoever has no limit says ``None`` where
that is allowed, and the reactor's timers must stay in order.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_seconds(name: str, value: Any, *, may_be_zero: bool = True) -> None:
    """
    Refuse what is no time.

    Args:
        name: Of the argument.
        value: What was given.
        may_be_zero: Whether no time at all is one.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, infinite or not a number; or zero where that is none.
    """
    try:
        is_time = 0 <= value < math.inf and (may_be_zero or value != 0)
    except TypeError:
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}") from None
    if not is_time:
        bound = "0 seconds or more" if may_be_zero else "more than 0 seconds"
        raise ValueError(f"{name} must be {bound}, not {value!r}")
