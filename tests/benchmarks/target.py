"""
What the executor must reach, and what it should: a table of data.

The floor must be reached before a release; the moonshot is what to publish. Whoever changes a
number must say in the commit what showed that it was wrong. Every number is a ratio, more than 1 is
better, unless it stands against nothing: then it is the metric itself, which must not exceed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.contender import BASELINE, CONTENDERS, LIMIT, OURS

if TYPE_CHECKING:
    from tests.benchmarks.metric import Metric
    from tests.benchmarks.outcome import Comparison

BEST_PEER = "best peer"
NOTHING = "nothing"
MISSED = "**missed**"


class Target(NamedTuple):
    """What one of ours must reach in a metric, against whom."""

    metric: str
    against: str
    floor: float | None
    moonshot: float | None
    who: str = OURS


def _against_baseline(
    floor: float, moonshot: float, *metrics: str, best_peer: float | None = None
) -> list[Target]:
    targets = [Target(metric, BASELINE, floor, moonshot) for metric in metrics]
    if best_peer is not None:
        targets += [Target(metric, BEST_PEER, None, best_peer) for metric in metrics]
    return targets


_LARGE = [f"array-{n_mib}-{way}" for n_mib in (16, 128) for way in ("in", "out", "inout")]
_ONE_MIB = ["array-1-in", "array-1-out", "array-1-inout"]

TARGETS: tuple[Target, ...] = (
    Target("rtt-p50", BASELINE, 3.5, 5),
    Target("rtt-p50", "pool-fork", None, 2),
    Target("rtt-p50", LIMIT, None, 1 / 1.25),
    Target("rtt-p99", BASELINE, 2.5, 4),
    Target("rtt-p99", "pool-fork", None, 8),
    Target("submit-noop", BASELINE, 8, 12),
    Target("submit-noop", "pool-fork", None, 4),
    Target("submit-noop", LIMIT, None, 0.5),
    Target("submit-add", BASELINE, 7, 10),
    Target("submit-add", "pool-fork", None, 3.5),
    Target("submit-cpu", BASELINE, 8, 12),
    Target("submit-cpu", "pool-fork", None, 4),
    Target("map-default", BASELINE, 150, 250),
    Target("map-default", "pool-fork", None, 0.8),
    Target("map-one", BASELINE, 7, 10),
    Target("map-one", "pool-fork", None, 2.5),
    Target("map-long", "pool-fork", None, 1.3),
    *_against_baseline(1.2, 1.5, "map-best", best_peer=1.2),
    *_against_baseline(3, 4.5, "bytes-1k-in", "bytes-1k-out", best_peer=3),
    *_against_baseline(2.5, 3, "bytes-64k-in", "bytes-64k-out", best_peer=2),
    *_against_baseline(20, 40, *_ONE_MIB, best_peer=13),
    *(Target(metric, LIMIT, None, 0.2) for metric in _ONE_MIB),
    *_against_baseline(30, 45, *_LARGE, best_peer=30),
    *(Target(metric, LIMIT, None, 0.7) for metric in _LARGE),
    *_against_baseline(2.5, 4, "array-128-cold", best_peer=3.5),
    Target("array-128-cold", LIMIT, None, 0.8),
    Target("closure-default", BASELINE, 60, 120),
    Target("closure-default", "joblib", None, 1 / 1.2),
    Target("closure-best", BASELINE, 3, 5),
    Target("start-first", "ppe-spawn", 4, 6),
    Target("start-first", "ppe-forkserver", 4, 6),
    Target("start-first", "loky", 4, 6),
    Target("start-first", LIMIT, None, 1 / 1.6),
    Target("start-first", BASELINE, 0.25, 0.45),
    Target("start-first", BASELINE, None, 1, "ours-fork"),
    Target("start-second", BASELINE, None, 1, "ours-zygote"),
    Target("start-second", "ppe-spawn", None, 10, "ours-zygote"),
    Target("start-second", "loky", None, 10, "ours-zygote"),
    Target("growth-time-300k", BASELINE, 10, 15),
    Target("growth-time-300k", "pool-fork", None, 5),
    Target("growth-memory-300k", BASELINE, 4, 5),
    Target("growth-flat", NOTHING, None, 1.1),
    Target("asyncio-gather", BASELINE, 3, 4),
    Target("asyncio-gather", "loky", None, 4),
    Target("asyncio-gather", LIMIT, None, 0.85),
    Target("asyncio-one", BASELINE, 2.5, 3.5),
    Target("raise-chained", BASELINE, 6, 12),
    Target("raise-chained", "pebble", None, 6),
    Target("worker-memory", BASELINE, 1 / 0.65, 1 / 0.55),
    Target("idle-cpu", NOTHING, 1.0, 1.0),
    Target("neighbour", NOTHING, 1.08, 1.04),
    Target("neighbour", BASELINE, 0.98, None),
    Target("millisecond-map", BASELINE, 1.2, 1.4),
    Target("millisecond-map", LIMIT, None, 0.95),
)


class Verdict(NamedTuple):
    """How a target was met."""

    target: Target
    measured: float | None
    against: str
    """Who was meant in the end, where the target names the best of many."""

    @property
    def text(self) -> str:
        """What was reached, in words."""
        if self.measured is None:
            return "not measured"
        for name in ("moonshot", "floor"):
            wanted = getattr(self.target, name)
            if wanted is not None and self._reaches(wanted, self.measured):
                return name
        # Below a moonshot there may be no floor to fall through.
        return "short of it" if self.target.floor is None else MISSED

    def _reaches(self, wanted: float, measured: float) -> bool:
        return measured <= wanted if self.target.against == NOTHING else measured >= wanted


def judge(target: Target, metric: Metric, comparison: Comparison) -> Verdict:
    """Hold a target against what was measured."""
    if target.against == NOTHING:
        return Verdict(target, comparison.median(metric, target.who), NOTHING)
    against: str | None = target.against
    if against == BEST_PEER:
        peers = [name for name in CONTENDERS if not name.startswith(OURS)]
        against = comparison.best(metric, peers)
    if against is None:
        return Verdict(target, None, BEST_PEER)
    return Verdict(target, comparison.ratio(metric, target.who, against), against)
