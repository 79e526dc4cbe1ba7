"""
Runs one scenario and returns its outcome in a few words.

Most scenarios judge themselves. What is judged here is the ends of programs: who outlives them,
what they leave undone, what they write, and what Ctrl-C costs.

Whoever changes it must know that `row` gives the outcomes their meaning: a word changed here is
changed there.
"""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from webworker_executor.conformance.program import Program
from webworker_executor.conformance.programs import MARKS, N_TASKS
from webworker_executor.conformance.row import HANGS
from webworker_executor.conformance.scene import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.conformance.row import Row
    from webworker_executor.conformance.subject import Subject

MAX_LENGTH = 120
"""Characters of an outcome."""

_TRACEBACK = "Traceback (most recent call last)"


class Runs:
    """Scenarios that run in several threads, to be ended together."""

    def __init__(self) -> None:
        self._programs: set[Program] = set()
        self._is_over = False

    def run(self, row: Row, subject: Subject) -> str:
        """Run a scenario, as the module's `run` does; after `end`, the outcome means nothing."""
        with (
            TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as folder,
            Program(row, subject, Path(folder)) as program,
        ):
            # Noted first, then looked; `end` does both the other way round. So one of the two sees
            # the other, and a program that starts in that moment ends as well.
            self._programs.add(program)
            if self._is_over:
                program.process.kill()
            try:
                outcome = _JUDGES.get(row.name, _take_its_word)(program, row.limit)
            finally:
                self._programs.discard(program)
        # One line, that a table can hold: an exception's message may be a page.
        return textwrap.shorten(outcome, MAX_LENGTH, placeholder=" …")

    def end(self) -> None:
        """Kill the programs that run or are about to: each `run` returns in a moment."""
        self._is_over = True
        for program in tuple(self._programs):
            program.process.kill()


def run(row: Row, subject: Subject) -> str:
    """
    Run a scenario against a class.

    Args:
        row: The scenario.
        subject: The class.

    Returns:
        What happened, in a few words; "hangs" if nothing did within the row's limit.
    """
    return Runs().run(row, subject)


def _take_its_word(program: Program, limit: float) -> str:
    if not program.ends_within(limit):
        return program.outcome or HANGS
    return program.outcome or _describe_failure(program)


def _describe_failure(program: Program) -> str:
    lines = program.read("stderr").strip().splitlines()
    return f"{FAILED}{lines[-1] if lines else _describe_exit(program)}"


def _describe_exit(program: Program) -> str:
    code = program.process.returncode
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name


def _describe_noise(text: str) -> str:
    if n_tracebacks := text.count(_TRACEBACK):
        return f"{n_tracebacks} traceback{'s' if n_tracebacks > 1 else ''}"
    n_lines = len(text.strip().splitlines())
    return f"{n_lines} lines of noise" if n_lines else "quiet"


def _describe_survivors(program: Program) -> str:
    n_survivors = program.count_survivors()
    return f"{n_survivors} left behind" if n_survivors else "nobody left"


def _count_survivors(program: Program, limit: float) -> str:
    return _end_and_count(program, limit, signal.SIGKILL)


def _count_survivors_of_term(program: Program, limit: float) -> str:
    return _end_and_count(program, limit, signal.SIGTERM)


def _end_and_count(program: Program, limit: float, number: signal.Signals) -> str:
    if not program.wait_for_tasks(2, limit):
        return program.outcome or "tasks do not start"
    program.process.send_signal(number)
    if not program.ends_within(limit):
        return HANGS
    # What else a pool has started, such as a fork server, counts too.
    return f"{_describe_exit(program)}, {_describe_survivors(program)}"


def _measure_interrupt(program: Program, limit: float) -> str:
    return _interrupt(program, limit, lambda: _describe_noise(program.read("stderr")))


def _measure_interrupt_at_terminal(program: Program, limit: float) -> str:
    def describe() -> str:
        return f"{_describe_noise(program.read_terminal())}, {_describe_survivors(program)}"

    return _interrupt(program, limit, describe)


def _interrupt(program: Program, limit: float, describe: Callable[[], str]) -> str:
    if not program.wait_for_tasks(2, limit):
        return program.outcome or "tasks do not start"
    program.press_ctrl_c()
    pressed = monotonic()
    if not program.ends_within(limit):
        return HANGS
    return f"{monotonic() - pressed:.1f} s, {describe()}"


def _press_and_go_on(program: Program, limit: float) -> str:
    if not program.wait_for_tasks(2, limit):
        return program.outcome or "tasks do not start"
    program.press_ctrl_c()
    return _take_its_word(program, limit)


def _describe_end(program: Program, limit: float) -> str:
    ended = program.ends_within(limit)
    n_done = len(program.read(MARKS).split())
    done = f"{n_done} of {N_TASKS} done"
    if not ended:
        return f"{done}, then {HANGS}"
    noise = _describe_noise(program.read("stderr"))
    return f"{done}, {_describe_exit(program)}, {noise}, {_describe_survivors(program)}"


def _describe_late_use(program: Program, limit: float) -> str:
    if not program.ends_within(limit):
        return f"{program.outcome or 'no answer'}, then {HANGS}"
    noise = _describe_noise(program.read("stderr"))
    survivors = _describe_survivors(program)
    return f"{program.outcome}, {_describe_exit(program)}, {noise}, {survivors}"


_JUDGES: dict[str, Callable[[Program, float], str]] = {
    "parent_is_killed": _count_survivors,
    "parent_is_killed_busy": _count_survivors,
    "parent_is_terminated": _count_survivors_of_term,
    "interrupt_with_block": _measure_interrupt,
    "interrupt_without_block": _measure_interrupt,
    "interrupt_at_terminal": _measure_interrupt_at_terminal,
    "interrupt_and_go_on": _press_and_go_on,
    "exit_with_pending_work": _describe_end,
    "exit_by_exception": _describe_end,
    "exit_while_idle": _describe_end,
    "use_in_atexit": _describe_late_use,
}
