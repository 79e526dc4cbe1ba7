"""
Whether a number can be a time: one that somebody waits, or one that is a limit or a delay.

Not for what follows when it is over. The thing to know before a change: a wait may be negative, as
everywhere in the standard library, and then looks once; a limit may not. A worker imports this
module at its start, so it imports the least.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENDLESS = float("inf")


def as_seconds(name: str, value: Any) -> float:
    """
    Return a number of seconds, of whatever type, as a float.

    Args:
        name: Of the argument.
        value: What was given.

    Raises:
        TypeError: It is no number.
    """
    # A text can be turned into a number, too; but nobody means that.
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except TypeError:
            pass
        except OverflowError:
            return ENDLESS if value > 0 else -ENDLESS
    raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")


def is_time(seconds: float, *, may_be_zero: bool = True, may_be_endless: bool = False) -> bool:
    """
    Whether a number can be a limit or a delay.

    Args:
        seconds: The number.
        may_be_zero: Whether no time at all is one.
        may_be_endless: Whether infinity is one. Where it is not, whoever has no limit says
            ``None``: the reactor's timers must stay in order.
    """
    is_long_enough = seconds >= 0 if may_be_zero else seconds > 0
    return is_long_enough and (may_be_endless or seconds != ENDLESS)


def check_seconds(
    name: str,
    value: Any,
    *,
    may_be_zero: bool = True,
    may_be_endless: bool = False,
    hint: str = "",
) -> float:
    """
    Refuse what is no limit and no delay.

    Args:
        name: Of the argument.
        value: What was given.
        may_be_zero: As for ``is_time``.
        may_be_endless: The same.
        hint: What a number that is wrong may have been meant to say.

    Returns:
        The seconds.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative or not a number; or infinite, or zero, where that is none.
    """
    if isinstance(value, bool):
        # Who has said that there is to be a limit has not said which.
        raise TypeError(f"{name} must be a number of seconds, not {value}")
    seconds = as_seconds(name, value)
    if not is_time(seconds, may_be_zero=may_be_zero, may_be_endless=may_be_endless):
        bound = "0 seconds or more" if may_be_zero else "more than 0 seconds"
        raise ValueError(f"{name} must be {bound}, not {value!r}{hint and '; '}{hint}")
    return seconds


def seconds_to_wait(timeout: Any) -> float | None:
    """
    Return how long somebody is to wait who has said so.

    Args:
        timeout: Any number of seconds, or ``None``.

    Returns:
        0 or more; ``None`` for ever, which is also what is longer than the system can wait.

    Raises:
        TypeError: It is no number.
        ValueError: It is not a number (NaN), which would never be over.
    """
    if timeout is None:
        return None
    seconds = as_seconds("timeout", timeout)
    if seconds > 0:
        return seconds if seconds < TIMEOUT_MAX else None
    if seconds <= 0:
        return 0.0
    raise ValueError(f"timeout must be seconds, or None to wait for ever, not {seconds}")
