"""A context variable as programs have them: at the top of a module that a worker can import."""

from __future__ import annotations

from contextvars import ContextVar

LANGUAGE = ContextVar("LANGUAGE", default="none")


def read_language() -> str:
    """Return the variable's value where this is called."""
    return LANGUAGE.get()
