"""
What is measured: a metric is one number, a workload is what yields some of them.

Not for the numbers themselves: see ``outcome``. Whoever changes this must know that the measured
interpreter imports it too, so it imports almost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender

    Figures = Iterator[tuple[str, float]]


class Metric(NamedTuple):
    """One number of a workload, as it stands in a row of the table."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False


class Workload(NamedTuple):
    """
    What one fresh interpreter is asked to measure for one contender.

    ``measure`` and ``limit`` yield their figures one by one: when time is over, those that came
    count. Both are told whether the run is a quick one.
    """

    metrics: tuple[Metric, ...]
    measure: Callable[[Contender, bool], Figures]
    limit: Callable[[bool], Figures] | None = None
    """The same without a pool: what nothing behind the same interface could beat."""

    needs: str = "map"
    """What a contender must have: "map", "submit" or "executor"."""

    by_start_method: bool = False
    """Whether it matters how workers are started; otherwise one way stands for all."""

    n_repeats: int = 1
    """How often it is measured in a round, always in turn with the other contenders."""

    max_rounds: int = 100
    """How many rounds it takes part in: long ones need fewer for the same certainty."""

    time_limit: float = 60.0
    """Seconds until a measurement is given up."""


class Unable(Exception):  # It is no error of anybody's.
    """A contender has no way to do a workload; the text says why."""
