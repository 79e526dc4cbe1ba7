"""
The table of promises: what each pool makes of each scenario.

`python -m tests.dropin.table` writes it for the docs.

Not for judging: `test_table.py` holds ours to the promises that stand here.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tests.dropin.drive import PACKAGE_ROOT, run_scenario
from tests.dropin.peers import OURS, PEERS, is_installed

PAGE = PACKAGE_ROOT / "docs" / "explanation" / "peers-table.md"


class Row(NamedTuple):
    """One scenario: its title in the table, and what ours must make of it, as a pattern."""

    title: str
    scenario: str
    promise: str


ROWS = (
    Row("lambda as task", "lambda_task", "ok"),
    Row("exception, required init args", "required_arguments", "right exception, pool usable"),
    Row("unpicklable result", "unpicklable_result", "TypeError, pool usable"),
    Row("result fails to unpickle", "result_fails_to_unpickle", "ValueError, pool usable"),
    Row("argument fails to unpickle", "argument_fails_to_unpickle", "ValueError, pool usable"),
    Row("`sys.exit(3)` in task", "exit_in_task", "SystemExit, pool usable"),
    Row("1 crash + 4 innocent tasks", "one_crash", "4 ok, 1 WorkerCrashedError, pool usable"),
    Row("cancel running", "cancel_running", "yes"),
    Row("nested pool in task", "nested_pool", "ok"),
    Row("remote frames / original cause", "remote_frames", "yes / yes"),
    Row("context variables reach the task", "context_variable", "yes"),
    Row("argument mutated after submit", "mutated_argument", "intact"),
    Row("initializer raises", "initializer_raises", "BrokenWorkerPool from ValueError"),
    Row("workers alive 3 s after `kill -9` of the parent", "parent_is_killed", "0 of 2"),
    Row(
        "Ctrl-C, six tasks of 3 s, in a `with` block",
        "interrupt_with_block",
        r"0\.\d s, 1 tracebacks",
    ),
    Row("Ctrl-C, six tasks of 3 s, without", "interrupt_without_block", r"0\.\d s, 1 tracebacks"),
    Row("submit in a module's body at import", "submit_while_importing", "ok"),
    Row("`wait()` after `shutdown(cancel_futures=True)`", "wait_after_cancel", "returns"),
)


def keeps_promise(row: Row, verdict: str) -> bool:
    """Say whether a verdict is the one that is promised of ours."""
    return re.fullmatch(row.promise, verdict) is not None


def make_table(names: list[str]) -> str:
    """
    Run every scenario against every pool; takes minutes.

    Args:
        names: The pools, in the order of the columns.

    Returns:
        The table, as Markdown. A verdict as good as ours is in bold.
    """
    lines = [
        "| scenario | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in ROWS:
        cells = []
        for name in names:
            verdict = run_scenario(row.scenario, name)
            cells.append(f"**{verdict}**" if keeps_promise(row, verdict) else verdict)
            sys.stderr.write(f"{name}: {row.title}: {verdict}\n")
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def describe_versions(names: list[str]) -> str:
    """Say what the table was measured with."""
    versions = [f"CPython {platform.python_version()}"]
    for name in names:
        distribution = {"deadpool": "deadpool-executor"}.get(name, name)
        if PEERS.get(name, "multiprocessing") not in ("multiprocessing", "concurrent.futures"):
            versions.append(f"{name} {importlib.metadata.version(distribution)}")
    return ", ".join(versions)


def main() -> None:
    """Write the page, with the pools that are installed here, or those named as arguments."""
    names = sys.argv[1:] or [*OURS, *(name for name in PEERS if is_installed(name))]
    PAGE.write_text(
        "# What process pools make of hard cases\n\n"
        f"Measured on Linux with two workers each: {describe_versions(names)}.\n"
        "Bold is the verdict that this package promises for its own executor, and tests.\n"
        "`python -m tests.dropin.table` measures anew.\n\n"
        f"{make_table(names)}\n"
    )
    sys.stdout.write(f"{Path(PAGE).relative_to(PACKAGE_ROOT)} is written\n")


if __name__ == "__main__":
    main()
