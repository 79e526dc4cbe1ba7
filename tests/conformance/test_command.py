"""The command line: what it asks, writes, and ends with."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.house.layout import ROOT
from webworker_executor.conformance.command import choose, main
from webworker_executor.conformance.rows import CALLS, ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner


def test_rows_are_chosen_by_name() -> None:
    """By their own name or their module's, in the table's order; no name means all."""
    assert list(ROWS) == choose(None)
    assert list(CALLS) == choose("calls")
    names = [row.name for row in choose("many_pools, lambda_task,")]
    assert ["lambda_task", "many_pools"] == names
    with pytest.raises(ValueError, match="no scenario is named nonsense, more nonsense"):
        choose("lambda_task,nonsense,more nonsense")


def test_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its title, and none is run."""
    assert 0 == main(["--list"])
    assert len(ROWS) == len(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "not of the form 'module:Class'"),
        (["--option", "nonsense"], "not of the form 'key=value'"),
        (["--only", "nonsense"], "no scenario is named nonsense"),
        (["no_such_module:C"], "No module named 'no_such_module'"),
        (["os:NoSuchClass"], "has no attribute 'NoSuchClass'"),
        (["--jobs", "0"], "argument --jobs: 0 is not a whole number from 1"),
        (["--jobs=-1"], "argument --jobs: -1 is not a whole number from 1"),
        (["--jobs", "two"], "argument --jobs: two is not a whole number from 1"),
    ],
)
def test_a_wrong_command_line_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """In one line, with status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_a_good_class_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 0, progress on stderr, a table on stdout, and JSON in a file."""
    path = tmp_path / "findings.json"
    assert 0 == main(["--only", "lambda_task,exit_in_task", "--json", str(path), "--jobs", "2"])
    written = capsys.readouterr()
    assert "[2/2] ok     exit_in_task: SystemExit, pool usable" in written.err
    assert "2 of 2 kept" == written.out.splitlines()[-1]
    assert ["ok", "ok"] == [found["verdict"] for found in json.loads(path.read_text())]


INTERRUPTED = """
import os, pathlib, signal, sys, threading
from webworker_executor.conformance import command

def count_children():
    tasks = pathlib.Path("/proc/self/task").glob("*/children")
    return sum(len(children.read_text().split()) for children in tasks)

def press():
    while count_children() < int(sys.argv[3]):
        pass
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press).start()
    command.main([sys.argv[1], "--only", "values", "--jobs", sys.argv[2]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("n_jobs", "n_begun"), [("1", "1"), ("2", "1"), ("2", "2")])
def test_ctrl_c_ends_the_tool(
    run_script: ScriptRunner, planted: str, n_jobs: str, n_begun: str
) -> None:
    """At once, with the scenarios that run or just begin, though each would hang for its limit."""
    finished = run_script(
        INTERRUPTED,
        f"{planted}:HangingForEver",
        n_jobs,
        n_begun,
        timeout=15.0,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert -signal.SIGINT == finished.returncode, finished.stderr


@pytest.mark.slow
def test_a_bad_class_fails(run_script: ScriptRunner, planted: str) -> None:
    """Status 1, and the table says why."""
    command = (
        "import runpy, sys\n"
        f"sys.argv[1:] = ['{planted}:Lying', '--only', 'exit_in_task', '--markdown']\n"
        "runpy.run_module('webworker_executor.conformance', run_name='__main__')\n"
    )
    finished = run_script(command, env={"PYTHONPATH": str(ROOT)})
    assert 1 == finished.returncode, finished.stderr
    assert "| `sys.exit(3)` in task | SystemExit, pool usable | ok, pool usable |" in (
        finished.stdout
    )
