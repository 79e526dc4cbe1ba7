"""
What a comparison leaves behind: the page, its charts, the verdicts, and the JSON with every round.

Not for how a table or a chart looks: see ``table`` and ``chart``. Whoever changes this must keep
the names of the files, for other pages show them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.benchmarks import table
from tests.benchmarks.chart import Bar, draw
from tests.benchmarks.contender import BASELINE, LIMIT, OURS
from tests.benchmarks.target import MISSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.benchmarks.metric import Metric
    from tests.benchmarks.outcome import Comparison

PAGE = "performance-table.md"

CHARTS = {
    "performance-round-trip.svg": "rtt-p50",
    "performance-submit.svg": "submit-noop",
    "performance-map.svg": "map-best",
    "performance-asyncio.svg": "asyncio-gather",
    "performance-array.svg": "array-16-in",
    "performance-start.svg": "start-first",
    "performance-backlog.svg": "growth-memory-300k",
}
"""The metric that each chart shows."""


class Report:
    """A comparison with all that is to be said about it."""

    def __init__(
        self,
        comparison: Comparison,
        contenders: Mapping[str, Sequence[str]],
        facts: Mapping[str, str],
    ) -> None:
        self._comparison = comparison
        self._contenders = contenders
        """Who took part, by workload."""
        self._facts = facts
        self._metrics = {
            metric.key: metric
            for workload in comparison.workloads.values()
            for metric in workload.metrics
        }

    def write(self, folder: Path) -> list[Path]:
        """Write the page and its charts, and return their paths."""
        charts = self.charts()
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / PAGE
        page.write_text(self.page(list(charts)), encoding="utf-8")
        for name, text in charts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return [page, *(folder / name for name in charts)]

    def page(self, charts: Sequence[str] = ()) -> str:
        """Write the page as Markdown, with charts of these names."""
        parts = [
            "# Speed beside other process pools",
            "Written by `python -m tests.benchmarks.compare`, which measures anew.\n"
            "Medians; in brackets how many times as good as `ProcessPoolExecutor` with `fork`"
            f" (`{BASELINE}`): more than 1 is better.\nThe best of each row is bold."
            " Everything ran in fresh interpreters, all contenders in turn.\n"
            f"`{LIMIT}` is the same work with no pool at all."
            " `-` stands for what a pool cannot do, or not in time.",
            table.facts_list(self._facts),
            *(f"![{self._metrics[CHARTS[name]].title}]({name})" for name in charts),
        ]
        for title, by_start_method in (("Work", False), ("Workers", True)):
            names = self._names(by_start_method)
            if names:
                parts += [f"## {title}", self._values(by_start_method, names)]
        return "\n\n".join(parts) + "\n"

    def verdicts(self) -> str:
        """Tell which targets are met: for those who work on it, and so no part of the page."""
        verdicts = table.verdicts_of(self._comparison)
        if not verdicts:
            return ""
        n_floors = sum(verdict.target.floor is not None for _, verdict in verdicts)
        n_missed = sum(verdict.text == MISSED for _, verdict in verdicts)
        summary = f"{n_missed} of {n_floors} floors are missed."
        return "\n\n".join(["## Targets", table.targets_table(verdicts), summary]) + "\n"

    def charts(self) -> dict[str, str]:
        """Draw the charts of what was measured, by the names of their files."""
        return {
            name: self._draw(self._metrics[key])
            for name, key in CHARTS.items()
            if key in self._metrics and self._bars(self._metrics[key])
        }

    def as_json(self) -> dict[str, Any]:
        """List all there is: every turn's outcome, the medians, the ratios and the targets."""
        comparison = self._comparison
        medians: dict[str, dict[str, float | None]] = {}
        ratios: dict[str, dict[str, float | None]] = {}
        for name, workload in comparison.workloads.items():
            for metric in workload.metrics:
                names = self._contenders[name]
                medians[metric.key] = {who: comparison.median(metric, who) for who in names}
                ratios[metric.key] = {who: comparison.ratio(metric, who, BASELINE) for who in names}
        return {
            "facts": dict(self._facts),
            "outcomes": [
                {"workload": workload, "contender": contender, **outcome._asdict()}
                for (workload, contender), outcomes in comparison.outcomes.items()
                for outcome in outcomes
            ],
            "medians": medians,
            "ratios": ratios,
            "targets": [
                {**verdict.target._asdict(), "measured": verdict.measured, "reached": verdict.text}
                for _, verdict in table.verdicts_of(comparison)
            ],
        }

    def _names(self, by_start_method: bool) -> list[str]:
        names: dict[str, None] = {}
        for name, workload in self._comparison.workloads.items():
            if workload.by_start_method == by_start_method:
                names.update(dict.fromkeys(self._contenders[name]))
        names.pop(LIMIT, None)
        return [*names, LIMIT] if names else []

    def _values(self, by_start_method: bool, names: Sequence[str]) -> str:
        metrics = [
            metric
            for workload in self._comparison.workloads.values()
            if workload.by_start_method == by_start_method
            for metric in workload.metrics
        ]
        return table.values_table(self._comparison, metrics, names)

    def _draw(self, metric: Metric) -> str:
        way = "longer is better" if metric.more_is_better else "shorter is better"
        return draw(metric.title, f"{metric.unit}, {way}", self._bars(metric))

    def _bars(self, metric: Metric) -> list[Bar]:
        bars = []
        for name in dict.fromkeys(who for names in self._contenders.values() for who in names):
            value = self._comparison.median(metric, name)
            if value is not None and name != LIMIT:
                bars.append(Bar(name, value, table.show(value), name.startswith(OURS)))
        return bars
