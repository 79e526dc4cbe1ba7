"""
Runs one scenario against one pool in a process group of its own, and ends what is left of it.

Not for the verdicts themselves: most are made by the scenario. Two are made here, since their
program does not live to tell: who outlives a killed parent, and what Ctrl-C costs.

Whoever changes it must keep every wait bounded: half of the pools it runs hang in one scenario or
another.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

PACKAGE_ROOT = Path(__file__).resolve().parents[2]

TIMEOUT = 30.0
"""Seconds until a program that says nothing is said to hang."""


def run_scenario(scenario: str, peer_name: str) -> str:
    """
    Run a scenario and return its verdict in a few words.

    Args:
        scenario: Name of a function of `scenario.py`.
        peer_name: One of `OURS` or `PEERS`.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        _Program(scenario, peer_name, Path(folder)) as program,
    ):
        if scenario == "parent_is_killed":
            return _count_survivors(program)
        if scenario.startswith("interrupt"):
            return _measure_interrupt(program)
        if not program.ends_within(TIMEOUT):
            return "hangs"
        lines = program.read("stdout").split("\n")
        if len(lines) > 1:
            return lines[-2]
        return f"fails: {program.read('stderr').strip().splitlines()[-1:]}"


class _Program:
    """A scenario in an interpreter, session and folder of its own."""

    def __init__(self, scenario: str, peer_name: str, folder: Path) -> None:
        self._folder = folder
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        self._fifo = os.open(fifo, os.O_RDWR)
        self._text = b""
        self.pids: list[int] = []
        environment = {**os.environ, "SCENARIO_FIFO": str(fifo), "TMPDIR": str(folder)}
        environment["PYTHONPATH"] = str(PACKAGE_ROOT)
        # Files and not pipes: what outlives the program would hold a pipe open.
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.dropin.scenario", scenario, peer_name],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for victim in (*self._processes_of_session(), *self.pids):
            _kill(victim)
        self.process.wait()
        os.close(self._fifo)

    def _processes_of_session(self) -> Iterator[int]:
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(name)) == self.process.pid:
                    yield int(name)
            except ProcessLookupError:
                continue

    def ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def read(self, stream: str) -> str:
        return (self._folder / stream).read_text()

    def wait_for_tasks(self, count: int) -> bool:
        """Wait until so many tasks have said that they run."""
        deadline = monotonic() + TIMEOUT
        while len(self.pids) < count:
            ready, _, _ = select.select([self._fifo], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                return False
            self._text += os.read(self._fifo, 4096)
            self.pids = [int(line) for line in self._text.split()]
        return True


def _count_survivors(program: _Program) -> str:
    if not program.wait_for_tasks(2):
        return "tasks do not start"
    pidfds = [os.pidfd_open(pid) for pid in program.pids]
    program.process.kill()
    program.process.wait()
    alive = set(pidfds)
    deadline = monotonic() + 3.0
    while alive:
        ended, _, _ = select.select(alive, [], [], max(0.0, deadline - monotonic()))
        if not ended:
            break
        alive -= set(ended)
    for pidfd in pidfds:
        os.close(pidfd)
    return f"{len(alive)} of {len(pidfds)}"


def _measure_interrupt(program: _Program) -> str:
    if not program.wait_for_tasks(2):
        return "tasks do not start"
    pressed = monotonic()
    os.killpg(program.process.pid, signal.SIGINT)
    if not program.ends_within(TIMEOUT):
        return "hangs"
    seconds = monotonic() - pressed
    told = program.read("stderr")
    return f"{seconds:.1f} s, {told.count('Traceback (most recent call last)')} tracebacks"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
