"""
A comparison as tables in Markdown: medians with ratios, and the targets.

Not for the numbers: see ``outcome``. Whoever changes this must keep the reason for every missing
number out of the page and in the JSON: there are too many to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.contender import BASELINE, LIMIT
from tests.benchmarks.target import NOTHING, TARGETS, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.benchmarks.metric import Metric
    from tests.benchmarks.outcome import Comparison
    from tests.benchmarks.target import Verdict


def show(value: float) -> str:
    """Write a value with about three digits."""
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    if value >= 1e4:
        return f"{value / 1e3:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def show_ratio(ratio: float) -> str:
    """Write a ratio with about two digits."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def values_table(
    comparison: Comparison, metrics: Iterable[Metric], contenders: Sequence[str]
) -> str:
    """
    Write a row for each metric and a column for each contender.

    Args:
        comparison: The numbers.
        metrics: The rows.
        contenders: The columns.

    Returns:
        Medians, in brackets how many times as good as the baseline, the best one in bold.
    """
    rows = [["", *contenders]]
    for metric in metrics:
        best = comparison.best(metric, [name for name in contenders if name != LIMIT])
        row = [f"{metric.title} ({metric.unit})"]
        for name in contenders:
            cell = _cell(comparison, metric, name)
            row.append(f"**{cell}**" if name == best else cell)
        rows.append(row)
    return _table(rows)


def _cell(comparison: Comparison, metric: Metric, contender: str) -> str:
    value = comparison.median(metric, contender)
    if value is None:
        return "-"
    ratio = comparison.ratio(metric, contender, BASELINE)
    return show(value) if ratio is None else f"{show(value)} ({show_ratio(ratio)})"


def verdicts_of(comparison: Comparison) -> list[tuple[Metric, Verdict]]:
    """Hold every target whose metric belongs to the comparison against what was measured."""
    metrics = {
        metric.key: metric
        for workload in comparison.workloads.values()
        for metric in workload.metrics
    }
    return [
        (metrics[target.metric], judge(target, metrics[target.metric], comparison))
        for target in TARGETS
        if target.metric in metrics
    ]


def targets_table(verdicts: Iterable[tuple[Metric, Verdict]]) -> str:
    """Write a row for each target."""
    rows = [["", "of", "against", "floor", "moonshot", "measured", "reached"]]
    for metric, verdict in verdicts:
        target = verdict.target
        sign = "≤ " if target.against == NOTHING else ""
        against = target.against
        if verdict.against not in (against, NOTHING):
            against = f"{against}: {verdict.against}"
        wanted = [
            "-" if number is None else f"{sign}{show(number)}"
            for number in (target.floor, target.moonshot)
        ]
        measured = "-" if verdict.measured is None else show(verdict.measured)
        rows.append([metric.title, target.who, against, *wanted, measured, verdict.text])
    return _table(rows)


def facts_list(facts: Mapping[str, str]) -> str:
    """Write what is to be known about a comparison."""
    return "\n".join(f"- {name}: {text}" for name, text in facts.items())


def _table(rows: list[list[str]]) -> str:
    head, *rest = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|---" + "|---:" * (len(rows[0]) - 1) + "|"
    return "\n".join([head, rule, *rest])
