"""
All outcomes of a comparison: medians, and ratios between contenders.

Not for showing them: see ``table`` and ``chart``. Whoever changes this must keep a ratio that of
the medians that are shown: the median of the rounds' ratios was tried, and with three rounds a
single hiccup of the machine made the faster of two medians the one with the worse ratio.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.benchmarks.interpreter import Outcome
    from tests.benchmarks.metric import Metric, Workload
    from tests.benchmarks.schedule import Turn


class Comparison:
    """The outcomes of all turns, in their order."""

    def __init__(self, workloads: dict[str, Workload]) -> None:
        self.workloads = workloads
        self.outcomes: dict[tuple[str, str], list[Outcome]] = {}
        """By workload and contender."""
        self._workload_of = {
            metric.key: name for name, workload in workloads.items() for metric in workload.metrics
        }

    def add(self, turn: Turn, outcome: Outcome) -> None:
        """Take in what came of a turn."""
        self.outcomes.setdefault((turn.workload, turn.contender), []).append(outcome)

    def has_given_up(self, turn: Turn) -> bool:
        """Say whether the contender was unable to do it before: then it need not try again."""
        return any(outcome.is_final for outcome in self._of(turn.workload, turn.contender))

    def reason(self, workload: str, contender: str) -> str:
        """Say why a contender has not all figures of a workload; nothing if it has."""
        reasons = [outcome.reason for outcome in self._of(workload, contender) if outcome.reason]
        return reasons[0] if reasons else ""

    def median(self, metric: Metric, contender: str) -> float | None:
        """Return the median of what was measured, or None if nothing was."""
        outcomes = self._of(self._workload_of[metric.key], contender)
        values = [o.figures[metric.key] for o in outcomes if metric.key in o.figures]
        return median(values) if values else None

    def ratio(self, metric: Metric, contender: str, baseline: str) -> float | None:
        """
        Say how many times as good a contender is as another.

        Returns:
            The ratio of the medians: more than 1 if it is better, whether more or less of the
            metric is better. None if one of them was never measured.
        """
        mine, theirs = self.median(metric, contender), self.median(metric, baseline)
        if not mine or not theirs:
            return None
        return mine / theirs if metric.more_is_better else theirs / mine

    def best(self, metric: Metric, contenders: Iterable[str]) -> str | None:
        """Return whose median is best, or None if nobody has one."""
        found = [
            (value, name) for name in contenders if (value := self.median(metric, name)) is not None
        ]
        choose = max if metric.more_is_better else min
        return choose(found)[1] if found else None

    def _of(self, workload: str, contender: str) -> list[Outcome]:
        return self.outcomes.get((workload, contender), [])
