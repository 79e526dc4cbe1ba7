"""
The runner of programs ends when it says, and shows what there was to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner


def test_gives_arguments_input_and_environment(run_script: ScriptRunner) -> None:
    """
    A program gets what it was given, and its output and return code come back.
    """
    done = run_script(
        "import os, sys; print(sys.argv[1], input(), os.environ['COLOUR']); sys.exit(3)",
        "first",
        input="second",
        env={"COLOUR": "third"},
    )
    assert (3, "first second third\n", "") == (done.returncode, done.stdout, done.stderr)


def test_fails_when_the_time_is_over(run_script: ScriptRunner) -> None:
    """
    A program that hangs is killed, and what it wrote until then stands in the failure.
    """
    program = "import signal; print('so far', flush=True); signal.pause()"
    with pytest.raises(pytest.fail.Exception, match=r"more than 2 s\nstdout: so far"):
        run_script(program, timeout=2.0)
