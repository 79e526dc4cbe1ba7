"""
What a process has been told of callables.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from webworker_executor.pool import defined as module
from webworker_executor.pool.defined import Defined
from webworker_executor.wire.definition import Definition, FixedDefinition
from webworker_executor.wire.frame import HEADER
from webworker_executor.wire.kinds import DEFINE

if TYPE_CHECKING:
    import pytest


class Side:
    """A link and a reactor that write down what they are asked for."""

    def __init__(self) -> None:
        self.posted: list[tuple[int, int, bytes]] = []
        self.n_flushes = 0
        self.is_closed = False
        self.calls: list[Any] = []

    def post(self, parts: list[bytes]) -> None:
        frame = b"".join(parts)
        _, kind, _, _, _, ident = HEADER.unpack_from(frame)
        self.posted.append((kind, ident, frame[HEADER.size :]))

    def flush(self) -> None:
        self.n_flushes += 1

    def call_soon(self, call: Any) -> None:
        self.calls.append(call)


def test_a_definition_is_told_with_its_payload() -> None:
    """
    And known from then on.
    """
    side: Any = Side()
    defined, definition = Defined(side), Definition(abs, b"abs")
    defined.tell(side, definition)
    assert [(DEFINE, definition.ident, b"abs")] == side.posted
    assert {definition.ident} == defined.idents


def test_a_definition_that_nobody_needs_is_taken_back() -> None:
    """
    By a finalizer, which leaves the writing to the reactor.
    """
    side: Any = Side()
    defined, definition = Defined(side), FixedDefinition(abs, b"abs", [])
    ident = definition.ident
    defined.tell(side, definition)
    del definition
    gc.collect()
    assert (DEFINE, ident, b"") == side.posted[-1]
    assert (set(), 0, [side.flush]) == (defined.idents, side.n_flushes, side.calls)


def test_nothing_is_taken_back_from_a_process_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    At the end of the interpreter, where that happens, the names of the module are gone as well.
    """
    side: Any = Side()
    defined, definition = Defined(side), FixedDefinition(abs, b"abs", [])
    defined.tell(side, definition)
    del side.posted[:]
    side.is_closed = True
    for name in ("encode", "DEFINE"):
        monkeypatch.setattr(module, name, None)
    definition.__del__()
    assert ([], []) == (side.posted, side.calls)
