"""
Tests of `webworker_executor.child.script`: a worker with a script, from first frame to last.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conformance.listening import SECONDS, Ear
from webworker_executor import RemoteError, Worker, WorkerLoadError, WorkerStartError


def test_a_script_starts_lean() -> None:
    """
    Until the script asks for them, none of the heavy modules is loaded.
    """
    heavy = ["asyncio", "cloudpickle", "concurrent.futures", "dataclasses", "logging", "socket"]
    heavy += ["multiprocessing", "threading", "traceback", "typing", "urllib", "subprocess"]
    source = f"import sys\npost_message([name for name in {heavy!r} if name in sys.modules])"
    # Without site, whose .pth files may import anything.
    with Worker(source=source, interpreter_args=["-S"]) as worker:
        assert [] == worker.receive(SECONDS).data


def test_programs_of_a_script_do_not_hold_its_links() -> None:
    """
    A program that outlives the worker does not keep its channel open.
    """
    source = """
import os
pid = os.posix_spawn("/bin/ls", ["ls", "/proc/self/fd"], os.environ, file_actions=[
    (os.POSIX_SPAWN_DUP2, 1, 1)])
os.waitpid(pid, 0)
"""
    with Worker(source=source, stdout="pipe") as worker:
        assert worker.stdout is not None
        numbers = [worker.stdout.readline().strip() for _ in range(4)]
    assert [b"0", b"1", b"2", b"3"] == numbers  # The last is that of the listing.


def test_surroundings_that_cannot_be_had() -> None:
    """
    They are told as what they are, before the script is looked at.
    """
    worker = Worker("missing.py", cwd="/no/such/folder")
    Ear(worker)
    error = worker.ready.exception(SECONDS)
    assert isinstance(error, WorkerStartError)
    assert "could not be set up as asked for" in str(error)
    assert 1 == worker.exited.result(SECONDS)


class Fragile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return int, ("no number",)


def test_data_that_does_not_unpack() -> None:
    """
    A worker whose data cannot be unpacked is not run.
    """
    worker = Worker(source="", worker_data=Fragile())
    Ear(worker)
    error = worker.ready.exception(SECONDS)
    assert isinstance(error, WorkerLoadError)
    assert isinstance(error.__cause__, ValueError | RemoteError)


def test_output_is_complete_when_it_ends() -> None:
    """
    A worker ends as a program does: buffers are flushed and exit handlers run.
    """
    source = """
import atexit, sys
atexit.register(lambda: sys.stdout.write("handler"))
sys.stdout.write("script ")
close()
"""
    worker = Worker(source=source, stdout="pipe")
    assert worker.stdout is not None
    assert b"script handler" == worker.stdout.read()
    worker.stdout.close()
    assert 0 == worker.exited.result(SECONDS)


@pytest.mark.parametrize("flag", ["-c", "-"])
def test_a_host_without_a_file(flag: str) -> None:
    """
    A program from the command line or from standard input has workers like any other.
    """
    program = (
        "from webworker_executor import Worker\n"
        "def answer(): from webworker_executor import scope; scope.post_message(5)\n"
        "with Worker(answer) as worker: print(worker.receive(20).data)\n"
    )
    arguments = [flag, program] if flag == "-c" else [flag]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=program,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ("5\n", "") == (done.stdout, done.stderr)
