"""
Bars count items, and move with what tasks report.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pool import talking
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor, progress

if TYPE_CHECKING:
    from tests.script import ScriptRunner

tqdm = pytest.importorskip("tqdm")


@pytest.fixture(autouse=True)
def no_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Keep tqdm from starting a thread that stays.
    """
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)


def test_items_are_counted_and_passed_on(forked: WebWorkerExecutor) -> None:
    """
    One by one, whatever the chunks.
    """
    screen = io.StringIO()
    results = forked.map(double, range(10), chunksize=4)
    assert [2 * number for number in range(10)] == list(progress(results, total=10, file=screen))
    assert "10/10" in screen.getvalue()


def test_a_list_tells_its_own_length() -> None:
    """
    A total need not be given.
    """
    screen = io.StringIO()
    assert [1, 2] == list(progress([1, 2], file=screen))
    assert "2/2" in screen.getvalue()


def test_futures_move_the_bar_while_they_run(forked: WebWorkerExecutor) -> None:
    """
    And are passed on when they are done.
    """
    screen = io.StringIO()
    futures = [forked.submit(talking.report, 1000), forked.submit(talking.report, 10)]
    assert set(futures) == set(progress(futures, file=screen, mininterval=0))
    assert "2/2" in screen.getvalue() or "2.0/2" in screen.getvalue()


AT_ONCE = """
import io, re, sys
from webworker_executor import WebWorkerExecutor, current_task, progress

def report():
    for done in (0, 1):
        current_task().report(done, 1)

if __name__ == "__main__":
    sys.setswitchinterval(1e-6)
    with WebWorkerExecutor(1, launcher="fork") as pool:
        for _ in range(50):
            screen = io.StringIO()
            futures = [pool.submit(report) for _ in range(20)]
            assert set(futures) == set(progress(futures, file=screen, mininterval=0))
            assert re.search(r"20(\\.0)?/20", screen.getvalue())
"""


def test_reports_and_ends_that_come_at_once(run_script: ScriptRunner) -> None:
    """
    A bar that two threads move adds nothing twice, and nobody moves it when it is closed.
    """
    done = run_script(AT_ONCE)
    assert (0, "") == (done.returncode, done.stderr)


def test_without_tqdm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    At the call, not at the first item.
    """
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"webworker-executor\[progress\]"):
        progress([1])
