"""
A scenario as a program: an interpreter, a session, a folder and perhaps a terminal of its own.

Not for verdicts. Whoever changes it must keep every wait bounded, and must end every process that a
scenario leaves behind: half of the pools hang in one scenario or another, and some workers outlive
whatever started them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from webworker_executor.conformance.scene import FIFO, OUTCOME, TERMINAL
from webworker_executor.conformance.subject import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from webworker_executor.conformance.row import Row
    from webworker_executor.conformance.subject import Subject

PACKAGE_ROOT = Path(__file__).resolve().parents[2]

GRACE = 3.0
"""Seconds that what a program leaves behind has to end by itself."""

QUIET = 0.1
"""Seconds without a switch of context after which a thread is taken to sleep."""


class Program:
    """A scenario's program, for a `with` block: at its end nothing of the program is left."""

    def __init__(self, row: Row, subject: Subject, folder: Path) -> None:
        self._folder = folder
        self._outcome = folder / "outcome"
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        self._fifo = os.open(fifo, os.O_RDWR)
        self._text = b""
        self.pids: list[int] = []
        environment = {
            **os.environ,
            FIFO: str(fifo),
            OUTCOME: str(self._outcome),
            VARIABLE: subject.text,
            "TMPDIR": str(folder),
            # What is written to a terminal is read by words.
            "PYTHON_COLORS": "0",
            "PYTHONPATH": os.pathsep.join(_path()),
        }
        self._terminal: tuple[int, ...] = ()
        if row.has_terminal:
            self._terminal = os.openpty()
            environment[TERMINAL] = os.ttyname(self._terminal[1])
        # Files and not pipes: what outlives the program would hold a pipe open.
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.{row.module}", row.name],
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
        # Again and again, since what is being killed may be starting another.
        for _attempt in range(10):
            relatives = {*self._relatives(), *self.pids}
            if not [pid for pid in relatives if _kill(pid)]:
                break
            self.process.poll()
            _wait_for_ends(relatives - {self.process.pid}, 1.0)
        self.process.wait()
        for fd in (self._fifo, *self._terminal):
            os.close(fd)

    def ends_within(self, seconds: float) -> bool:
        """Wait for the program's end, and say whether it came."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def outcome(self) -> str | None:
        """What the scenario has told of itself."""
        try:
            return self._outcome.read_text()
        except FileNotFoundError:
            return None

    def read(self, name: str) -> str:
        """Read a file of the program's folder, "" if there is none; `stderr` is one."""
        try:
            return (self._folder / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def read_terminal(self) -> str:
        """Read what has been written to the terminal until now."""
        written = b""
        while select.select(self._terminal[:1], [], [], 0.0)[0]:
            written += os.read(self._terminal[0], 4096)
        return written.decode(errors="replace")

    def press_ctrl_c(self) -> None:
        """Press the key where there is a terminal, or else do what the terminal would."""
        self._wait_until_asleep(1.0)
        if self._terminal:
            os.write(self._terminal[0], b"\x03")
        else:
            os.killpg(self.process.pid, signal.SIGINT)

    def _wait_until_asleep(self, seconds: float) -> None:
        # A signal that comes just before a thread goes to sleep is not seen by CPython until it
        # wakes: that would measure the reader's luck, and not the pool.
        deadline = monotonic() + seconds
        before = ""
        while monotonic() < deadline:
            try:
                text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/status").read_text()
            except OSError:
                return
            now = "\n".join(line for line in text.splitlines() if "State" in line or "ctxt" in line)
            if "S (sleeping)" in now and now == before:
                return
            before = now
            select.select([], [], [], QUIET)

    def wait_for_tasks(self, n_tasks: int, seconds: float) -> bool:
        """Wait until so many tasks have said that they run, and say whether they have."""
        deadline = monotonic() + seconds
        while len(self.pids) < n_tasks:
            ready, _, _ = select.select([self._fifo], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                return False
            self._text += os.read(self._fifo, 4096)
            self.pids = [int(line) for line in self._text.split()]
        return True

    def count_survivors(self) -> int:
        """Count the program's relatives that are still there after a grace."""
        return _wait_for_ends({*self._relatives(), *self.pids} - {self.process.pid}, GRACE)

    def _relatives(self) -> Iterator[int]:
        # A session and a mark: whoever makes a session of its own inherits the mark all the same.
        mark = str(self._outcome).encode()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if _is_zombie(int(name)):
                    continue
                is_near = os.getsid(int(name)) == self.process.pid
                if is_near or mark in Path(f"/proc/{name}/environ").read_bytes():
                    yield int(name)


def _path() -> Iterable[str]:
    # The folder that the tool was started in, as `python -m` has it on its path.
    yield str(PACKAGE_ROOT)
    yield os.getcwd()
    if inherited := os.environ.get("PYTHONPATH"):
        yield inherited


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _wait_for_ends(pids: set[int], seconds: float) -> int:
    """Wait for some processes' ends, and return how many have not come."""
    alive = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            alive.add(os.pidfd_open(pid))
    deadline = monotonic() + seconds
    while alive:
        ended, _, _ = select.select(alive, [], [], max(0.0, deadline - monotonic()))
        if not ended:
            break
        for pidfd in ended:
            alive.discard(pidfd)
            os.close(pidfd)
    for pidfd in alive:
        os.close(pidfd)
    return len(alive)
