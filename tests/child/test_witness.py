"""
A worker testifies: its stacks are written into the pipe it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.script import ScriptRunner

TESTIFY = """
import faulthandler, os, signal, sys
from webworker_executor.child.witness import testify

reader, writer = os.pipe2(os.O_NONBLOCK)
if {is_enabled}:
    faulthandler.enable()
testify(writer)
signal.raise_signal(signal.SIGURG)
print(os.read(reader, 65536).decode().splitlines()[0])
if os.fork() == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.raise_signal(signal.SIGSEGV)
print(-os.waitstatus_to_exitcode(os.wait()[1]))
try:
    print(os.read(reader, 65536).decode().splitlines()[0])
except BlockingIOError:
    print("nothing")
"""


def test_stacks_are_written_on_request_and_at_death(run_script: ScriptRunner) -> None:
    """
    The signal that kills is the one that it was.
    """
    done = run_script(TESTIFY.format(is_enabled=False))
    first, number, last = done.stdout.splitlines()
    assert first.startswith("Current thread 0x")
    assert ("11", "Fatal Python error: Segmentation fault") == (number, last)


def test_a_program_that_has_enabled_it_keeps_it(run_script: ScriptRunner) -> None:
    """
    What it dies of is written where it wants to have it.
    """
    done = run_script(TESTIFY.format(is_enabled=True))
    assert ["11", "nothing"] == done.stdout.splitlines()[1:]
    assert "" == done.stderr
