"""
The tables of the documentation: what each pool makes of each scenario.

`python -m tests.dropin.table` writes both pages anew; half an hour. `--findings FOLDER` keeps what
was found there, a file for each pool, and measures only what is missing.

Not for judging: `tests/conformance/test_tool.py` holds ours to what is promised.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.dropin.peers import PEERS, SUBJECTS, describe_versions, is_installed
from webworker_executor.conformance.command import ask
from webworker_executor.conformance.row import Finding
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.table import as_json, as_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webworker_executor.conformance.row import Row

PAGES = Path(__file__).resolve().parents[2] / "docs" / "explanation"

FAULTS = ("webworker-spawn", "stdlib-fork", "stdlib-forkserver", "loky", "pebble")
"""The columns of the table of all faults; the page beside it speaks of these pools."""

HARD_CASES = (
    "lambda_task",
    "required_arguments",
    "unpicklable_result",
    "result_fails_to_unpickle",
    "argument_fails_to_unpickle",
    "exit_in_task",
    "one_crash",
    "cancel_running",
    "nested_pool",
    "remote_frames",
    "context_variable",
    "mutated_argument",
    "initializer_raises",
    "parent_is_killed",
    "interrupt_with_block",
    "interrupt_without_block",
    "submit_while_importing",
    "wait_after_cancel",
)
"""The rows of the table of every pool: what programs meet in their first month."""

_FAULTS_PAGE = """\
# Every fault and every pool

Measured on Linux with two workers each: {versions}.
Bold is what was expected. [What can go wrong](what-can-go-wrong.md) explains the rows, and
`python -m webworker_executor.conformance` asks any executor the same.

{table}
"""

_PEERS_PAGE = """\
# What process pools make of hard cases

Measured on Linux with two workers each: {versions}.
Bold is the verdict that this package promises for its own executor, and tests.
`python -m tests.dropin.table` measures anew, and [the long table](faults-table.md) has more rows.

{table}
"""


def read_json(text: str, rows: Iterable[Row]) -> list[Finding]:
    """
    Read what `as_json` wrote.

    Args:
        text: The findings.
        rows: The rows of today, by which the outcomes are judged anew. Findings about others are
            left out.
    """
    by_name = {row.name: row for row in rows}
    return [
        Finding(by_name[found["scenario"]], found["subject"], found["outcome"])
        for found in json.loads(text)
        if found["scenario"] in by_name
    ]


def measure(name: str, rows: Sequence[Row], folder: Path) -> list[Finding]:
    """
    Ask a pool, or read what it was found to make of it before.

    Args:
        name: One of `SUBJECTS`.
        rows: The scenarios.
        folder: Where findings are kept.
    """
    path = folder / f"{name}.json"
    wanted = {row.name for row in rows}
    known = read_json(path.read_text(), ROWS) if path.exists() else []
    missing = [row for row in rows if row.name not in {found.row.name for found in known}]
    for finding in ask(SUBJECTS[name], missing):
        known.append(finding)
        path.write_text(as_json(known) + "\n")
        sys.stderr.write(f"{name}: {finding.row.name}: {finding.outcome}\n")
    return [
        found._replace(subject=name)
        for found in sorted(known, key=lambda found: ROWS.index(found.row))
        if found.row.name in wanted
    ]


def main() -> None:
    """Write the pages, with those of the pools that are installed here."""
    parser = argparse.ArgumentParser(description="Write the tables of faults and of peers.")
    parser.add_argument("--findings", type=Path, help="where findings are kept")
    folder = parser.parse_args().findings or Path(tempfile.mkdtemp())
    every = [name for name in SUBJECTS if name not in PEERS or is_installed(name)]
    hard = [row for row in ROWS if row.name in HARD_CASES]
    for page, text, rows, names in (
        ("faults-table.md", _FAULTS_PAGE, ROWS, [name for name in FAULTS if name in every]),
        ("peers-table.md", _PEERS_PAGE, hard, every),
    ):
        findings = [found for name in names for found in measure(name, rows, folder)]
        table = as_markdown(findings, names)
        (PAGES / page).write_text(text.format(versions=describe_versions(names), table=table))
        sys.stdout.write(f"docs/explanation/{page} is written\n")


if __name__ == "__main__":
    main()
