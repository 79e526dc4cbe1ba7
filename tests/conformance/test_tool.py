"""The tool: our executor keeps every row, and a bad one is found out."""

from __future__ import annotations

import pytest

from webworker_executor.conformance import watch
from webworker_executor.conformance.row import HANGS, Row, Verdict
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.subject import OURS, Subject

# Each program is bounded by its row's limit; `many_pools` has the longest.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]

BY_NAME = {row.name: row for row in ROWS}

SHARPER = {"one_crash": "4 ok, 1 WorkerCrashedError", "initializer_raises": "BrokenWorkerPool from"}
"""How outcomes of our own begin, where the rows accept any exception."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_our_executor_keeps_every_row(row: Row, launcher: str) -> None:
    """What is expected of a good pool is so, however the workers were started."""
    outcome = watch.run(row, Subject(OURS, (("launcher", launcher),)))
    assert Verdict.KEPT is row.judge(outcome), f"expected {row.expected!r}, but: {outcome}"
    assert outcome.startswith(SHARPER.get(row.name, ""))


@pytest.mark.parametrize(
    ("name", "scenario", "expected"),
    [
        ("Hanging", "lambda_task", "caller hangs"),
        ("Hanging", "one_crash", HANGS),
        ("Hanging", "parent_is_killed", "tasks do not start"),
        ("HangingForEver", "lambda_task", HANGS),
        ("Lying", "submit_from_threads", "16 of 800 right"),
        ("Lying", "exit_with_pending_work", "0 of 10 done, exit 0, quiet, nobody left"),
        ("Lying", "mutated_argument", "corrupted"),
        ("Lying", "exit_in_task", "ok, pool usable"),
        ("Refusing", "segfault", "fails: OSError: no calls today"),
        ("Refusing", "submit_from_threads", "0 of 800 right"),
        ("Exiting", "lambda_task", "fails: exit 5"),
        ("Local", "segfault", "fails: SIGSEGV"),
        ("Local", "one_crash", "fails: exit 1"),
        ("Leaking", "many_pools", "[0-9]+ descriptors more"),
        ("Orphaning", "parent_is_killed", "SIGKILL, [123] left behind"),
        ("Orphaning", "exit_with_pending_work", "10 of 10 done, exit 0, .*, 1 left behind"),
    ],
)
def test_a_bad_executor_is_found_out(planted: str, name: str, scenario: str, expected: str) -> None:
    """Who hangs, lies, refuses, ends the program or leaves something behind does not pass."""
    row = BY_NAME[scenario]._replace(limit=7.0 if name != "Leaking" else 60.0)
    outcome = watch.run(row, Subject(f"{planted}:{name}"))
    assert Row("", "", "", "", expected).judge(outcome) is Verdict.KEPT, outcome
    expected_verdict = Verdict.HANGS if "hang" in expected else Verdict.BROKEN
    assert expected_verdict is row.judge(outcome)


def test_what_is_not_claimed_is_not_asked() -> None:
    """A pool without a way to stop a task is not blamed for it."""
    stdlib = Subject("concurrent.futures:ProcessPoolExecutor", (("mp_context", "fork"),))
    row = BY_NAME["cancel_running"]
    assert Verdict.ABSENT is row.judge(watch.run(row, stdlib))
