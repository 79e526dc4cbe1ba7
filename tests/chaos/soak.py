"""
A storm for as long as one likes, with what the host holds measured all along.

``python -m tests.chaos.soak --seconds 1800``. Every task's outcome is checked by the storm; here it
is counted that each future was resolved exactly once, and looked after each squall whether
descriptors, threads, processes and memory are what they were.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import operator
import os
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tests.chaos.storm import squall
from tests.patience import wait_until
from webworker_executor import WebWorkerExecutor, WorkerFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.web.launchers import LauncherName

LAUNCHERS: tuple[LauncherName, ...] = ("spawn", "fork", "zygote")
# Until the allocator has what it needs; what grows after that grows for ever.
WARM_UP = 0.2


class Holding(NamedTuple):
    """What this process holds at a moment."""

    n_descriptors: int
    n_threads: int
    n_children: int
    n_bytes: int

    @classmethod
    def now(cls) -> Holding:
        """Look."""
        fields = Path("/proc/self/statm").read_text().split()
        children: list[str] = []
        for task in os.listdir("/proc/self/task"):
            # A thread that has ended meanwhile has none any more.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children += Path(f"/proc/self/task/{task}/children").read_text().split()
        return cls(
            len(os.listdir("/proc/self/fd")) - 1,
            threading.active_count(),
            len(children),
            int(fields[1]) * os.sysconf("SC_PAGE_SIZE"),
        )

    def __str__(self) -> str:
        return (
            f"{self.n_descriptors} descriptors, {self.n_threads} threads, "
            f"{self.n_children} children, {self.n_bytes / 1e6:.0f} MB"
        )


class Counting(WebWorkerExecutor):
    """An executor that watches its futures: each is to be resolved, and only once."""

    numbers: ClassVar[Iterator[int]] = itertools.count()
    unresolved: ClassVar[set[int]] = set()
    resolved_again: ClassVar[list[int]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> WorkerFuture[Any]:
        """Submit, and have the future on the list until it is resolved."""
        future = super().submit(fn, *args, **kwargs)
        number = next(self.numbers)
        self.unresolved.add(number)
        future.add_done_callback(lambda _: self._resolved(number))
        return future

    @classmethod
    def _resolved(cls, number: int) -> None:
        try:
            cls.unresolved.remove(number)
        except KeyError:
            cls.resolved_again.append(number)


def soak(seconds: float, seed: int) -> None:
    """
    Storm for a time, and tell every minute how things stand.

    Raises:
        AssertionError: A task had another outcome than its own, or something grows.
    """
    chance = random.Random(seed)
    # Such as a resource tracker, where this does not run alone.
    n_others = Holding.now().n_children
    began = time.monotonic()
    told = began
    n_tasks = 0
    make: type[WebWorkerExecutor] = WebWorkerExecutor
    other: type[WebWorkerExecutor] = Counting
    first: Holding | None = None
    while (passed := time.monotonic() - began) < seconds:
        # Every other one without, because a callback keeps a future from the fastest path.
        make, other = other, make
        n_tasks += squall(chance.choice(LAUNCHERS), chance, make)
        now = settled(n_others)
        if first is None or passed < seconds * WARM_UP:
            first = now
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{passed:5.0f} s: {n_tasks} tasks, {now}", flush=True)
    last = settled(n_others)
    print(f"{n_tasks} tasks in {seconds:.0f} s, seed {seed}; first {first}; last {last}")
    print(f"{next(Counting.numbers)} futures were watched")
    assert set() == Counting.unresolved, "futures were not resolved"
    assert [] == Counting.resolved_again, "futures were resolved twice"
    assert first is not None
    assert all(map(operator.le, last[:3], first[:3])), "something was left behind"
    assert last.n_bytes < 1.3 * first.n_bytes + 20e6, "memory grows"


def settled(n_others: int) -> Holding:
    """Look when what ends by itself has had its time: a thread that was just told to, say."""
    wait_until(lambda: Holding.now().n_children <= n_others)
    return Holding.now()


def main() -> None:
    """Take the time and the seed from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long (default: 1800)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments = parser.parse_args()
    soak(arguments.seconds, arguments.seed)


if __name__ == "__main__":
    main()
