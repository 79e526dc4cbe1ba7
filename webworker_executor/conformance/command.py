"""
The command line: asks a class every row, and writes what came of it.

Progress goes to stderr, the table to stdout; the exit status is 0 if no row is broken and none
hangs. Not for the scenarios: each is a program of its own.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from webworker_executor.conformance import table, watch
from webworker_executor.conformance.row import Finding, Verdict
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.subject import OURS, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from webworker_executor.conformance.row import Row


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what the command line asks for.

    Args:
        arguments: Its words; this program's own otherwise.

    Returns:
        The exit status: 0, or 1 if a row is broken or hangs.

    Raises:
        SystemExit: With status 2 if the command line is wrong.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.write("".join(f"{row.name}: {row.title}\n" for row in ROWS))
        return 0
    try:
        subject = Subject.parse(options.target, options.option)
        rows = choose(options.only)
        subject.find()
    except (ValueError, ImportError, AttributeError) as exc:
        parser.error(str(exc))
    findings = []
    for finding in ask(subject, rows, options.jobs):
        findings.append(finding)
        _report(finding, len(findings), len(rows))
    # In the table's order, whichever ended first.
    findings.sort(key=lambda finding: ROWS.index(finding.row))
    if options.json is not None:
        options.json.write_text(table.as_json(findings) + "\n")
    lay_out = table.as_markdown if options.markdown else table.as_text
    sys.stdout.write(lay_out(findings) + "\n")
    return int(any(finding.verdict in (Verdict.BROKEN, Verdict.HANGS) for finding in findings))


def choose(names: str | None) -> list[Row]:
    """
    Find rows by their names.

    Args:
        names: Names of scenarios or of their modules, with commas between; None for all.

    Raises:
        ValueError: If there is no such row.
    """
    if names is None:
        return list(ROWS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {row.name for row in ROWS} | {row.module for row in ROWS}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no scenario is named {', '.join(unknown)}; --list names them all")
    return [row for row in ROWS if row.name in wanted or row.module in wanted]


def ask(subject: Subject, rows: Sequence[Row], n_jobs: int = 1) -> Iterator[Finding]:
    """
    Run scenarios against a class.

    Args:
        subject: The class.
        rows: The scenarios.
        n_jobs: How many at a time. On a busy machine, prompt pools look slow.

    Yields:
        What was found, as it is found, in the order of the rows.
    """
    runs = watch.Runs()
    # In threads even one by one: what Ctrl-C interrupts is this thread's waiting, and never the
    # start of a program, which would be lost.
    with ThreadPoolExecutor(n_jobs) as threads:
        try:
            outcomes = [threads.submit(runs.run, row, subject) for row in rows]
            for row, outcome in zip(rows, outcomes, strict=True):
                yield Finding(row, subject.title, _wait_for(outcome))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            runs.end()
            raise


def _wait_for(outcome: Future[str]) -> str:
    # A signal that comes just before a thread goes to sleep is not seen by CPython until it wakes.
    while True:
        if wait([outcome], timeout=0.5).done:
            return outcome.result()


def _report(finding: Finding, number: int, n_rows: int) -> None:
    sys.stderr.write(
        f"[{number}/{n_rows}] {finding.verdict.value:6} {finding.row.name}: {finding.outcome}\n"
    )
    sys.stderr.flush()


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webworker_executor.conformance",
        description="Ask a process pool what it makes of faults. Takes a few minutes.",
    )
    parser.add_argument(
        "target", nargs="?", default=OURS, metavar="module:Class", help=f"default: {OURS}"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an argument to make each pool with, such as mp_context=spawn; may be repeated",
    )
    parser.add_argument("--only", metavar="NAME,...", help="these scenarios, or groups of them")
    parser.add_argument("--list", action="store_true", help="name the scenarios, and run none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there, too")
    parser.add_argument("--markdown", action="store_true", help="write a table for a page")
    parser.add_argument(
        "--jobs", type=_as_n_jobs, default=1, metavar="N", help="scenarios at a time (default: 1)"
    )
    return parser


def _as_n_jobs(text: str) -> int:
    n_jobs = int(text) if text.isdecimal() else 0
    if n_jobs < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return n_jobs
