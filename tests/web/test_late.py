"""
Tests of `webworker_executor.web.late`: an object has one ``__dict__``, whoever asks when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner

# A finalizer asks, as garbage is collected while it is made.
PROGRAM = """
import gc
from webworker_executor import AbortController, EventTarget
from webworker_executor.pool.future import WorkerFuture
from webworker_executor.pool.talk import Conversation

asked, found = [], []

class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        found.extend(one.__dict__ for one in asked)

def ask(make):
    gc.disable()
    gc.collect()
    Cycle()
    one = make()
    asked[:], found[:] = [one], []
    gc.set_threshold(1, 1000, 1000)
    gc.enable()
    own = one.__dict__
    gc.disable()
    asked.clear()
    assert all(other is own for other in found)

for _ in range(50):
    ask({make})
print("one")
"""


@pytest.mark.parametrize(
    "make",
    [
        "WorkerFuture",
        "EventTarget",
        "lambda: AbortController().signal",
        "lambda: Conversation(WorkerFuture())",
    ],
)
def test_what_several_threads_ask_for_is_there_from_the_first(
    run_script: ScriptRunner, make: str
) -> None:
    """
    On Python 3.11 it would be made of the same memory twice.
    """
    done = run_script(PROGRAM.replace("{make}", make))
    assert ("one\n", "") == (done.stdout, done.stderr)
