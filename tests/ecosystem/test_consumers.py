"""
Packages that take an executor take ours, with no plug-in: real computations, asserted results.

Not for packages that need an adapter of their own.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import operator
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webworker_executor.web.launchers import LauncherName

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.slow,
    # What these packages and theirs warn about is not ours to fail for.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module", autouse=True)
def _let_packages_settle() -> None:
    """What a package starts once and keeps is no leak of a test: threads, libuv's pipe."""
    if importlib.util.find_spec("adaptive"):
        importlib.import_module("adaptive")
    if importlib.util.find_spec("tqdm"):
        importlib.import_module("tqdm").tqdm.monitor_interval = 0
    if importlib.util.find_spec("uvloop"):
        importlib.import_module("uvloop").run(asyncio.sleep(0))


@pytest.fixture
def executor(launcher: LauncherName) -> Iterator[WebWorkerExecutor]:
    """Make a pool of two workers."""
    with WebWorkerExecutor(2, launcher=launcher) as executor:
        yield executor


def _square(number: int) -> int:
    return number * number


def _rosenbrock(point: Any) -> float:
    x, y = point
    return float((1 - x) ** 2 + 100 * (y - x**2) ** 2)


def _log_normal(point: Any, mean: float) -> float:
    return float(-0.5 * ((point - mean) ** 2).sum())


def _count_primes(limit: int) -> int:
    return sum(
        all(number % n for n in range(2, int(number**0.5) + 1)) for number in range(2, limit)
    )


def test_scipy_differential_evolution(executor: WebWorkerExecutor) -> None:
    """`workers=executor.map` finds the minimum that the serial run finds."""
    optimize = pytest.importorskip("scipy.optimize")
    options: dict[str, Any] = {"seed": 3, "maxiter": 60, "updating": "deferred", "polish": False}
    bounds = [(-2.0, 2.0), (-2.0, 2.0)]
    serial = optimize.differential_evolution(_rosenbrock, bounds, **options)
    ours = optimize.differential_evolution(_rosenbrock, bounds, workers=executor.map, **options)
    assert list(serial.x) == list(ours.x)
    assert ours.fun < 1e-3


def test_scipy_brute(executor: WebWorkerExecutor) -> None:
    """A grid search over `executor.map` finds the same point."""
    optimize = pytest.importorskip("scipy.optimize")
    ranges = (slice(-2, 2, 0.5), slice(-2, 2, 0.5))
    point = optimize.brute(_rosenbrock, ranges, workers=executor.map, finish=None)
    assert [1.0, 1.0] == list(point)


@pytest.mark.parametrize("way", ["scheduler", "pool"])
def test_dask_local_scheduler(executor: WebWorkerExecutor, way: str) -> None:
    """A graph of dask is computed in our workers, given as scheduler or as pool."""
    dask = pytest.importorskip("dask")
    total = dask.delayed(sum)([dask.delayed(_square)(number) for number in range(30)])
    if way == "scheduler":
        assert 8555 == total.compute(scheduler=executor)
    else:
        with dask.config.set(pool=executor):
            assert 8555 == total.compute(scheduler="processes")


def test_dask_bag(executor: WebWorkerExecutor) -> None:
    """A bag of dask maps, filters and folds in our workers."""
    bag = pytest.importorskip("dask.bag")
    numbers = bag.from_sequence(range(100), npartitions=8)
    result = numbers.map(_square).filter(lambda number: number % 2 == 0).fold(operator.add)
    assert sum(n * n for n in range(0, 100, 2)) == result.compute(scheduler=executor)


def test_emcee(executor: WebWorkerExecutor) -> None:
    """A sampler with `pool=executor` draws the very chain that it draws alone."""
    emcee = pytest.importorskip("emcee")
    numpy = pytest.importorskip("numpy")
    start = numpy.random.default_rng(1).normal(size=(8, 2))
    chains = []
    for pool in (None, executor):
        numpy.random.seed(5)
        sampler = emcee.EnsembleSampler(8, 2, _log_normal, args=(1.5,), pool=pool)
        sampler.run_mcmc(start, 40)
        chains.append(sampler.get_chain())
    assert numpy.array_equal(*chains)


def test_tqdm_process_map(launcher: LauncherName) -> None:
    """tqdm's `process_map` over our class: its bar, its lock, our workers."""
    concurrent = pytest.importorskip("tqdm.contrib.concurrent")
    make = functools.partial(WebWorkerExecutor, launcher=launcher)
    # tqdm counts workers by the class it is given; process_map itself names the stdlib's.
    ours = concurrent._executor_map(
        make, _square, range(50), max_workers=2, chunksize=5, lock_name="mp_lock", disable=True
    )
    assert [n * n for n in range(50)] == list(ours)


def test_tqdm_process_map_with_the_class_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """`process_map` runs when the stdlib's name stands for our class."""
    concurrent = pytest.importorskip("tqdm.contrib.concurrent")
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", WebWorkerExecutor)
    ours = concurrent.process_map(_square, range(50), max_workers=2, chunksize=5, disable=True)
    assert [n * n for n in range(50)] == list(ours)


def test_pymoo(executor: WebWorkerExecutor) -> None:
    """pymoo evaluates a generation by `executor.starmap` and finds the optimum it finds alone."""
    parallelization = pytest.importorskip("pymoo.parallelization.starmap")
    numpy = pytest.importorskip("numpy")
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    class Sphere(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
        def __init__(self, **options: Any) -> None:
            super().__init__(n_var=3, n_obj=1, xl=-1.0, xu=1.0, **options)

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = float((x**2).sum())

    runner = parallelization.StarmapParallelization(executor.starmap)
    results = [
        minimize(problem, GA(pop_size=10), ("n_gen", 8), seed=1)
        for problem in (Sphere(), Sphere(elementwise_runner=runner))
    ]
    assert numpy.array_equal(results[0].X, results[1].X)


def test_uvloop(executor: WebWorkerExecutor) -> None:
    """An event loop of another make awaits thousands of our calls beside its own work."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, _square, n) for n in range(2000)]
        primes = loop.run_in_executor(executor, _count_primes, 5000)
        return await asyncio.gather(*calls), await primes

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        squares, primes = runner.run(main())
    assert [n * n for n in range(2000)] == squares
    assert 669 == primes


def test_adaptive(executor: WebWorkerExecutor) -> None:
    """A runner of adaptive learns a function of no module, of which each point is a call."""
    adaptive = pytest.importorskip("adaptive")
    learner = adaptive.Learner1D(lambda x: x * x, bounds=(-1, 1))
    adaptive.BlockingRunner(learner, npoints_goal=30, executor=executor, ntasks=2)
    assert len(learner.data) >= 30
    assert all(y == x * x for x, y in learner.data.items())


def test_dynesty(executor: WebWorkerExecutor) -> None:
    """A nested sampler with `pool=executor` asks it for its size, and finds the evidence."""
    dynesty = pytest.importorskip("dynesty")
    numpy = pytest.importorskip("numpy")
    sampler = dynesty.NestedSampler(
        functools.partial(_log_normal, mean=0.0),
        lambda unit: 10 * unit - 5,
        2,
        nlive=80,
        pool=executor,
        rstate=numpy.random.default_rng(1),
    )
    sampler.run_nested(print_progress=False)
    # The integral of the density, which is not normed, over the prior's area.
    assert abs(sampler.results.logz[-1] - numpy.log(2 * numpy.pi / 100)) < 1.0


def test_black(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """black formats files in our workers; its errors, of compiled classes, have their places."""
    cli = pytest.importorskip("click.testing")
    black = pytest.importorskip("black")
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", WebWorkerExecutor)
    if importlib.util.find_spec("uvloop"):
        # Which black prefers, and which does not give up the signals that it was to handle.
        monkeypatch.setattr("uvloop.new_event_loop", asyncio.SelectorEventLoop)
    for name, text in (("a", "x  =  1"), ("b", "y  =  2"), ("broken", "def (")):
        (tmp_path / f"{name}.py").write_text(text)
    result = cli.CliRunner().invoke(black.main, ["--workers", "2", str(tmp_path)])
    assert 123 == result.exit_code
    assert "broken.py:1:4" in result.output
    assert ["x = 1\n", "y = 2\n"] == [(tmp_path / f"{name}.py").read_text() for name in "ab"]
