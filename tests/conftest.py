"""
Fixtures that all tests share: nothing stays behind, every launcher is tried, programs run apart.

Not for the fixtures of one folder: those stand in that folder's own conftest. Whoever changes the
order of things here must keep ``nothing_is_left_behind`` the first fixture to be set up, since it
can see only what the fixtures after it leave behind.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import logging
import os
import shutil
import signal
import sys
import tempfile
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.leaks import Snapshot, have_forks_dump, wait_until_settled
from tests.script import ScriptRunner
from webworker_executor import MessageChannel
from webworker_executor.pool import pool as pools
from webworker_executor.pool.stacks import dump

# Under nohup, or in the background of a script, these are ignored: by programs of tests as well,
# which are to die of them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from webworker_executor.pool.pool import Pool

# Loaded machines stretch any single example; pytest-timeout is what catches a hang.
hypothesis.settings.register_profile(
    "webworker_executor",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("webworker_executor")


def pytest_configure() -> None:
    """
    Give this run a place for temporary files and a name that its descendants inherit.

    Other programs write to the shared temporary folder at the same time, so only in a folder of
    our own does a new file prove a leak.
    """
    folder = tempfile.mkdtemp(prefix="web-")
    # Not config.add_cleanup: multiprocessing tidies up in this folder when the process ends.
    atexit.register(_remove_folder, folder, os.getpid())
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = folder
    have_forks_dump(os.path.join(folder, "dumps"))
    os.environ["WEBWORKER_EXECUTOR_TEST_RUN"] = f"{os.getpid()}-{folder}"
    # Threads of a numerical library would look like leaks, and crowd a small machine.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_collection_finish() -> None:
    """
    Have the collector pass over what is there before any test runs, and stays.

    Many tests collect, and forked workers inherit all of it.
    """
    gc.collect()
    gc.freeze()


def _remove_folder(folder: str, owner: int) -> None:
    # A fork of this process runs its exit handlers too.
    if os.getpid() == owner:
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # It keeps a folder of its own in there, and stumbles if that is gone before its turn.
            util._run_finalizers()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """
    Compare descriptors, threads, processes, files and signal handlers before and after each test.

    Raises:
        AssertionError: If something new is still there after twenty seconds; lists what it is.
    """
    before = Snapshot.take()
    yield
    left_behind = wait_until_settled(before, timeout=20.0)
    assert not left_behind, "the test left behind:\n  " + "\n  ".join(left_behind)


class Failures(logging.Handler):
    """
    Keeps what the reactor logs, as text: a traceback would keep what the test has made.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "a call on the reactor failed":
            self.texts.append(self.format(record))


@pytest.fixture(autouse=True)
def reactor_failures() -> Iterator[list[str]]:
    """
    Take note of what fails on the reactor, where nobody but a log hears of it.

    Raises:
        AssertionError: Something has, and the test has not taken it out of the list.
    """
    failures, logger = Failures(), logging.getLogger("webworker_executor.link")
    logger.addHandler(failures)
    yield failures.texts
    logger.removeHandler(failures)
    assert not failures.texts, "\n".join(failures.texts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell with a failure what the workers that are still there were doing."""
    report = yield
    if report.failed:
        text = "\n".join(itertools.chain.from_iterable(map(_stacks, tuple(pools._pools))))
        if text:
            report.sections.append(("Stacks of workers", text))
    return report


def _stacks(pool: Pool) -> list[str]:
    return [] if pool.is_foreign else list(dump(pool, 2.0).values())


@pytest.fixture(params=["spawn", "fork", "zygote"])
def launcher(request: pytest.FixtureRequest) -> str:
    """
    Name each way to start a worker in turn: what holds for one must hold for all.
    """
    name: str = request.param
    return name


@pytest.fixture
def channel() -> Iterator[MessageChannel]:
    """Make a channel, and close both ends in the end."""
    with MessageChannel() as channel:
        yield channel


@pytest.fixture
def run_script(tmp_path: Path) -> ScriptRunner:
    """
    Run programs in interpreters of their own, see :class:`tests.script.ScriptRunner`.
    """
    return ScriptRunner(tmp_path)


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """
    Have the interpreter change threads a thousand times as often, as a crowded machine does to it.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 1000)
    yield
    sys.setswitchinterval(interval)
