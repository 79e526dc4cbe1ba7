"""A scenario's program: it has a session and a terminal, and nothing of it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from webworker_executor.conformance.program import Program
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.subject import Subject

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

BY_NAME = {row.name: row for row in ROWS}


def test_a_program_tells_its_outcome(tmp_path: Path) -> None:
    """In a file, since a pool may write to every stream."""
    with Program(BY_NAME["exit_in_task"], Subject(), tmp_path) as program:
        assert program.ends_within(30.0)
        assert "SystemExit, pool usable" == program.outcome
        assert "" == program.read("stderr") == program.read("nothing")
        assert 0 == program.count_survivors()


def test_whatever_is_left_is_ended(tmp_path: Path, planted: str) -> None:
    """Workers, and processes that made a session of their own."""
    subject = Subject(f"{planted}:Orphaning", (("mp_context", "fork"),))
    with Program(BY_NAME["parent_is_killed"], subject, tmp_path) as program:
        assert program.wait_for_tasks(2, 30.0)
        assert program.outcome is None
        assert not program.ends_within(0.0)
        program.process.kill()
        program.process.wait()
        survivors = set(program._relatives())
        assert 3 <= len(survivors)
    assert set() == survivors & set(program._relatives())


def test_a_program_has_a_terminal(tmp_path: Path) -> None:
    """What it writes is read there, and the key interrupts it."""
    with Program(BY_NAME["interrupt_at_terminal"], Subject(), tmp_path) as program:
        assert program.wait_for_tasks(2, 30.0)
        program.press_ctrl_c()
        assert program.ends_within(30.0)
        assert "KeyboardInterrupt" == program.read_terminal().strip().splitlines()[-1]
        assert "" == program.read("stderr")
