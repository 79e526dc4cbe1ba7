"""
Who is measured side by side, and how each is made.

Not for the work that they are given: see ``workloads``. Whoever adds one must say in its name how
it starts its workers if it has a choice: the name is all that a reader of the table sees. Nothing
is imported here before it is made, for the time that an import takes is measured too.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks import face

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from tests.benchmarks.face import Face
    from webworker_executor import ZygoteLauncher
    from webworker_executor.web.launchers import LauncherName

OURS = "ours"
BASELINE = "ppe-fork"
LIMIT = "limit"
"""Stands beside the contenders: the same work with no pool at all."""


_LACKS = {
    "submit": "takes calls by the list alone",
    "executor": "is no concurrent.futures.Executor",
}


class Contender(NamedTuple):
    """A kind of pool, and a way to start its workers."""

    module: str
    make: Callable[[int], Face]
    """Makes a pool of so many workers."""

    distribution: str = ""
    """What it is installed as; nothing for what comes with Python."""

    stands_for_all: bool = True
    """Whether it takes part where it does not matter how workers are started."""

    has: tuple[str, ...] = ("map", "submit", "executor")

    def why_not(self, needs: str) -> str:
        """Say why it cannot do what needs "map", "submit" or "executor"; nothing if it can."""
        if not self.is_installed():
            return f"{self.distribution} is not installed"
        return "" if needs in self.has else _LACKS[needs]

    def is_installed(self) -> bool:
        """Say whether it can be measured here."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

    def load(self) -> None:
        """Import what its users import."""
        importlib.import_module(self.module)


def _make_ours(launcher: LauncherName, n_workers: int) -> Executor:
    from webworker_executor import WebWorkerExecutor

    return WebWorkerExecutor(n_workers, launcher=launcher)


@cache
def _zygote() -> ZygoteLauncher:
    from webworker_executor import ZygoteLauncher

    # Kept for as long as the program runs, as whoever has many executors in turn would keep it.
    return ZygoteLauncher().__enter__()


def _make_ours_by_zygote(n_workers: int) -> Executor:
    from webworker_executor import WebWorkerExecutor

    return WebWorkerExecutor(n_workers, launcher=_zygote())


def _make_stdlib(method: str, n_workers: int) -> Executor:
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(n_workers, _context(method))


def _make_loky(n_workers: int) -> Executor:
    executor: Executor = importlib.import_module("loky").ProcessPoolExecutor(n_workers)
    return executor


EXECUTORS: dict[str, Callable[[int], Executor]] = {
    OURS: partial(_make_ours, "spawn"),
    "ours-zygote": _make_ours_by_zygote,
    "ours-fork": partial(_make_ours, "fork"),
    BASELINE: partial(_make_stdlib, "fork"),
    "ppe-spawn": partial(_make_stdlib, "spawn"),
    "ppe-forkserver": partial(_make_stdlib, "forkserver"),
    "loky": _make_loky,
}
"""Those that are an executor, to be called with the number of workers."""


def _face_of(name: str, n_workers: int) -> Face:
    return face.face_of_executor(EXECUTORS[name](n_workers))


def _make_pool(n_workers: int) -> Face:
    return face.face_of_pool(_context("fork").Pool(n_workers))


def _make_pebble(n_workers: int) -> Face:
    pebble = importlib.import_module("pebble")
    return face.face_of_pebble(pebble.ProcessPool(n_workers, context=_context("fork")))


def _make_mpire(n_workers: int) -> Face:
    mpire = importlib.import_module("mpire")
    return face.face_of_mpire(mpire.WorkerPool(n_workers, start_method="fork", keep_alive=True))


def _make_joblib(n_workers: int) -> Face:
    joblib = importlib.import_module("joblib")
    reusable = importlib.import_module("joblib.externals.loky").get_reusable_executor

    parallel = joblib.Parallel(n_workers).__enter__()

    def close() -> None:
        parallel.__exit__(None, None, None)
        # Otherwise the next one would get the same workers, and their start not be measured.
        reusable().shutdown()

    return face.face_of_joblib(parallel, joblib.delayed, close)


def _context(method: str) -> Any:
    import multiprocessing

    return multiprocessing.get_context(method)


_STDLIB = "concurrent.futures.process"
_PACKAGE = "webworker_executor.pool.executor"
_NO_EXECUTOR = ("map", "submit")

CONTENDERS: dict[str, Contender] = {
    OURS: Contender(_PACKAGE, partial(_face_of, OURS)),
    "ours-zygote": Contender(_PACKAGE, partial(_face_of, "ours-zygote"), stands_for_all=False),
    "ours-fork": Contender(_PACKAGE, partial(_face_of, "ours-fork"), stands_for_all=False),
    BASELINE: Contender(_STDLIB, partial(_face_of, BASELINE)),
    "ppe-spawn": Contender(_STDLIB, partial(_face_of, "ppe-spawn"), stands_for_all=False),
    "ppe-forkserver": Contender(_STDLIB, partial(_face_of, "ppe-forkserver"), stands_for_all=False),
    "pool-fork": Contender("multiprocessing.pool", _make_pool, has=_NO_EXECUTOR),
    "loky": Contender("loky", partial(_face_of, "loky"), "loky"),
    "pebble": Contender("pebble", _make_pebble, "pebble", has=_NO_EXECUTOR),
    "mpire": Contender("mpire", _make_mpire, "mpire", has=_NO_EXECUTOR),
    "joblib": Contender("joblib", _make_joblib, "joblib", has=("map",)),
}
"""All of them, in the order of the columns."""
