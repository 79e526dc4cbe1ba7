"""
How a value of the user is shown in an error or a repr: in one short line, cut where one can see it.

Not for a task's name or an exception's text. A worker imports this module at its start, so it
imports the least.
"""

from __future__ import annotations

ELLIPSIS = "..."
# How much of a value is shown that is not there itself, such as a reason that cannot be sent.
LONG = 1000


def shown(value: object, limit: int = 60) -> str:
    """
    Return the repr of a value, or as much of it as there is room for.

    Args:
        value: Anything. One whose own repr fails is shown by its type: the error that is about to
            be told must not be replaced by another.
        limit: How many characters it may have.
    """
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__} object that cannot be shown>"
    return cut(text, limit)


def cut(text: str, limit: int) -> str:
    """Return so many characters of a text at most, with three dots at the end if it is cut."""
    return text if len(text) <= limit else text[: limit - len(ELLIPSIS)] + ELLIPSIS
