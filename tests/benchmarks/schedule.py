"""
Who is measured when: contenders take turns, so that a busy minute of the machine hits all alike.

Not for measuring. Whoever changes this must keep two things: within a round all contenders do a
workload one after the other, and no contender always follows the same other one's heat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.metric import Workload


class Turn(NamedTuple):
    """One measurement: of which workload, for whom, in which round (from 1)."""

    round: int
    workload: str
    contender: str


def plan(
    workloads: Mapping[str, Workload],
    contenders: Mapping[str, Sequence[str]],
    n_rounds: int,
) -> list[Turn]:
    """
    Put all measurements in order.

    Args:
        workloads: By name.
        contenders: For each workload, who takes part.
        n_rounds: How many rounds; a workload may want fewer.

    Returns:
        The turns. Within a workload, each begins with the next contender.
    """
    return list(_turns(workloads, contenders, n_rounds))


def _turns(
    workloads: Mapping[str, Workload], contenders: Mapping[str, Sequence[str]], n_rounds: int
) -> Iterator[Turn]:
    for round_ in range(1, n_rounds + 1):
        for name, workload in workloads.items():
            if round_ > workload.max_rounds:
                continue
            for repeat in range(workload.n_repeats):
                names = contenders[name]
                first = ((round_ - 1) * workload.n_repeats + repeat) % max(1, len(names))
                for contender in [*names[first:], *names[:first]]:
                    yield Turn(round_, name, contender)
