"""
``WEBWORKER_DEBUG`` shows what goes on in a program that logs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner

PROGRAM = """
from webworker_executor import WebWorkerExecutor, Worker
with WebWorkerExecutor(1) as pool:
    assert 3 == pool.submit(abs, -3).result()
with Worker(source="post_message(1)", name="w") as worker:
    assert 1 == worker.receive(20).data
"""
LIFETIME = ("worker 0 (pid", "worker 'w' was started as process", "worker 'w' is ready")
FRAMES = ("sends HELLO #0", "sends CALL #1", "has read RESULT #1", "has read MESSAGE #0")


@pytest.mark.parametrize(
    ("value", "told", "untold"),
    [
        ("lifetime", LIFETIME, FRAMES),
        ("frames", FRAMES, LIFETIME),
        ("frames, lifetime", LIFETIME + FRAMES, ()),
        ("", (), LIFETIME + FRAMES),
    ],
)
def test_what_is_asked_for_is_told(
    run_script: ScriptRunner, value: str, told: tuple[str, ...], untold: tuple[str, ...]
) -> None:
    """
    On standard error, and the program works as ever.
    """
    done = run_script(PROGRAM, env={"WEBWORKER_DEBUG": value})
    assert (0, "") == (done.returncode, done.stdout)
    assert [] == [words for words in told if words not in done.stderr]
    assert [] == [words for words in untold if words in done.stderr]
    if not value:
        assert "" == done.stderr


def test_an_unknown_word_is_a_warning(run_script: ScriptRunner) -> None:
    """
    The program goes on.
    """
    done = run_script(PROGRAM, env={"WEBWORKER_DEBUG": "frame"})
    assert 0 == done.returncode
    assert "WEBWORKER_DEBUG knows frames and lifetime, and not frame" in done.stderr
