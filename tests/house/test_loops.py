"""
No loop leaves its ``with`` or ``try`` behind when a signal handler raises.

CPython looks for signals where a loop jumps back. From 3.12 on some of these jumps do not count as
part of the block that they stand in: those of ``while condition:`` and of a ``for`` whose body ends
in an ``if``. In 3.13 what a handler raises there, KeyboardInterrupt for one, skips ``finally`` and
``__exit__``: a lock stays locked for ever. ``while True: if not condition: break`` is well.

Source: CPython, issues 108214 and 130279.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.layout import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a block's handler begins; those that only tidy up within an expression begin otherwise.
HANDLER = "PUSH_EXC_INFO"


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """
    Yield a code object and all within it.
    """
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def loose_jumps(source: str, name: str = "<text>") -> set[str]:
    """
    Name the functions with a jump that its own loop's block does not cover.
    """
    return {
        f"{name}:{code.co_qualname}"
        for code in codes_in(compile(source, name, "exec", dont_inherit=True))
        if has_loose_jump(code)
    }


def has_loose_jump(code: CodeType) -> bool:
    entries: Any = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]  # untold by typeshed
    steps = {step.offset: step for step in dis.get_instructions(code)}

    def handlers(offset: int) -> set[int]:
        found: set[int] = set()
        todo = {offset}
        while todo:
            # Of a handler, too: what it raises again goes on to those around it.
            at = todo.pop()
            todo |= {entry.target for entry in entries if entry.start <= at < entry.end} - found
            found |= todo
        return {target for target in found if steps[target].opname == HANDLER}

    before = ""
    for offset, step in steps.items():
        # Behind that one, an await or a `yield from` goes on after an exception was thrown in.
        is_loop = step.opname == "JUMP_BACKWARD" and before != "CLEANUP_THROW"
        if is_loop and handlers(step.argval) - handlers(offset):
            return True
        before = step.opname
    return False


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_loop_stays_within_its_block(path: Any) -> None:
    """
    A signal handler may raise wherever a loop of ours begins anew.
    """
    assert set() == loose_jumps(path.read_text(encoding="utf-8"), path.name)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the jumps of 3.11 are whole")
@pytest.mark.parametrize(
    "loop",
    ["while work: work.pop()", "for each in work:\n            if each: each()"],
)
def test_a_planted_loop_is_found(loop: str) -> None:
    """
    In the versions that have the fault; another shape of the same loop is well.
    """
    planted = f"def f(lock, work):\n    with lock:\n        {loop}\n"
    assert {"<text>:f"} == loose_jumps(planted)
    well = "while True:\n            if not work: break\n            work.pop()"
    assert set() == loose_jumps(planted.replace(loop, well))
