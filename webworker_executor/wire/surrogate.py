"""
Stand in for what could not cross from one process to another.

`RemoteError` replaces a whole exception, `LeftBehind` one value of it. Not for errors of this
package's own: those are in `errors`. Whoever changes a constructor must keep the arguments
sufficient to rebuild the object, because both cross again when workers are nested.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class RemoteError(Exception):
    """
    Stand for an exception of a worker that could not be rebuilt in this process.

    Args:
        type_name: The original's class, module-qualified.
        text: What `str()` of the original gave in the worker.
        notes: The original's notes.
        traceback_text: The whole failure as the worker would have printed it.
        reason: Why the original could not be rebuilt.
        original_args: The original's `args`; what could not cross is a `LeftBehind`.

    Its `__traceback__` holds the worker's frames whenever those could be sent.

    Source: CPython's `process.py`, where such an exception ends the pool with all its tasks.
    """

    def __init__(
        self,
        type_name: str,
        text: str = "",
        notes: Sequence[str] = (),
        traceback_text: str = "",
        reason: str = "",
        original_args: tuple[object, ...] = (),
    ) -> None:
        super().__init__(type_name, text, notes, traceback_text, reason, original_args)
        self.type_name = type_name
        self.text = text
        self.notes = tuple(notes)
        self.traceback_text = traceback_text
        self.reason = reason
        self.original_args = original_args

    def __str__(self) -> str:
        # An original without a text of its own is told apart from its like only by its arguments.
        told = self.text or ", ".join(map(repr, self.original_args))
        line = f"{self.type_name}: {told}" if told else self.type_name
        lines = [line, *self.notes]
        if self.reason:
            lines.append(f"(The worker's exception could not be rebuilt here: {self.reason})")
        return "\n".join(lines)


class LeftBehind:
    """
    Stand for a value of an exception that could not cross.

    Args:
        type_name: The value's class, module-qualified.
        text: What `repr()` of the value gave in the worker.
        reason: Which error kept it from crossing.
    """

    __slots__ = ("reason", "text", "type_name")

    def __init__(self, type_name: str, text: str, reason: str) -> None:
        self.type_name = type_name
        self.text = text
        self.reason = reason

    def __reduce__(self) -> tuple[type[LeftBehind], tuple[str, str, str]]:
        return LeftBehind, (self.type_name, self.text, self.reason)

    def __repr__(self) -> str:
        return f"<left behind in the worker: {self.text} ({self.reason})>"
