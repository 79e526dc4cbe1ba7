"""
A worker's loggers send what they are given to the host, and nothing else handles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.script import ScriptRunner

INSTALL = """
import logging, sys
from webworker_executor.child.logs import install

class End:
    is_copy = False
    def post(self, parts, fds):
        if self.is_copy:
            raise RuntimeError("a copy")
        print("posted", len(parts))

logging.basicConfig()
logging.getLogger("own").addHandler(logging.StreamHandler())
logging.getLogger("own").propagate = False
logging.getLogger("a.b")
end = End()
install(end, {"": 30, "own": 10}, 0, "WebWorker-0")
logging.getLogger("own").debug("said")
logging.getLogger("other").info("not wanted")
logging.getLogger("other").warning("%s %s", "not made")
end.is_copy = True
logging.getLogger("own").debug("nothing")
logging.getLogger("own").warning("seen")
"""


def test_what_was_there_is_put_away(run_script: ScriptRunner) -> None:
    """
    Levels are those that were told; a copy falls back to standard error for what matters.
    """
    done = run_script(INSTALL)
    assert 0 == done.returncode
    assert "posted 1\n" == done.stdout
    assert "--- Logging error ---" in done.stderr
    assert "not enough arguments for format string" in done.stderr
    assert done.stderr.endswith("seen\n")
    assert "nothing" not in done.stderr
