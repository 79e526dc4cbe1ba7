"""
``python -m tests.benchmarks.compare``: our executor beside the standard library's and others.

Every number comes from a fresh interpreter that measures one workload for one contender; all
contenders take turns. Not a test: it asserts nothing. Whoever changes this must keep its own
process idle while another one measures.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from tests.benchmarks import machine, workloads
from tests.benchmarks.contender import CONTENDERS, LIMIT
from tests.benchmarks.interpreter import Outcome, copy_sources, measure
from tests.benchmarks.outcome import Comparison
from tests.benchmarks.report import Report
from tests.benchmarks.schedule import plan
from tests.benchmarks.table import show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.benchmarks.metric import Workload
    from tests.benchmarks.schedule import Turn

_QUICK_LIMIT = 15.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what came of it."""
    options = _parse(arguments)
    chosen = {name: workloads.load(name) for name in options.only or workloads.WORKLOADS}
    if options.quick:
        chosen = {
            name: workload._replace(n_repeats=1, time_limit=_QUICK_LIMIT)
            for name, workload in chosen.items()
        }
    contenders = {
        name: _contenders_of(workload, options.contenders) for name, workload in chosen.items()
    }
    before = machine.load_average()
    began = monotonic()
    comparison = Comparison(chosen)
    with TemporaryDirectory(prefix="compare-") as sources:
        copy_sources(Path(sources))
        turns = plan(chosen, contenders, options.rounds)
        _run(comparison, turns, options.quick, Path(sources))
    facts = {
        **machine.describe(),
        "load average": f"{before} before, {machine.load_average()} after",
        "rounds": f"{options.rounds}, in {_elapsed(began)}"
        + (", quick: too short to be trusted" if options.quick else ""),
    }
    _write(Report(comparison, contenders, facts), options)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare")
    parser.add_argument(
        "--only", type=_list_of(workloads.WORKLOADS), help="workloads, separated by commas"
    )
    parser.add_argument(
        "--contenders", type=_list_of(CONTENDERS), help="contenders, separated by commas"
    )
    parser.add_argument("--rounds", type=int, help="3 unless the run is quick")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's numbers")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the page and its charts")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 1 if options.quick else 3
    return options


def _list_of(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"there is no {name!r}; there are {', '.join(known)}"
                )
        return names

    return parse


def _contenders_of(workload: Workload, named: list[str] | None) -> list[str]:
    """Return who takes part: those named, or all for whom the workload makes a difference."""
    names = named or [
        name
        for name, contender in CONTENDERS.items()
        if workload.by_start_method or contender.stands_for_all
    ]
    return names if workload.limit is None else [*names, LIMIT]


def _run(comparison: Comparison, turns: Sequence[Turn], quick: bool, sources: Path) -> None:
    began = monotonic()
    for number, turn in enumerate(turns, 1):
        if comparison.has_given_up(turn):
            continue
        head = f"[{number}/{len(turns)} {_elapsed(began)}] round {turn.round}, {turn.workload}"
        outcome = _take(turn, comparison.workloads[turn.workload], quick, sources)
        comparison.add(turn, outcome)
        figures = [f"{key} {show(value)}" for key, value in outcome.figures.items()]
        text = "; ".join(filter(None, [", ".join(figures), outcome.reason]))
        sys.stderr.write(f"{head}, {turn.contender}: {text}\n")


def _take(turn: Turn, workload: Workload, quick: bool, sources: Path) -> Outcome:
    contender = CONTENDERS.get(turn.contender)
    if contender is not None and (reason := contender.why_not(workload.needs)):
        return Outcome({}, reason, is_final=True)
    return measure(turn.workload, turn.contender, workload.time_limit, quick=quick, sources=sources)


def _elapsed(began: float) -> str:
    return str(timedelta(seconds=round(monotonic() - began)))


def _write(report: Report, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    if options.output:
        for path in report.write(options.output):
            sys.stdout.write(f"{path} is written\n")
    else:
        sys.stdout.write(report.page())
    if verdicts := report.verdicts():
        sys.stdout.write("\n" + verdicts)


if __name__ == "__main__":
    main()
