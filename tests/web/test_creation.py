"""
Tests of `webworker_executor.web.creation`: a worker, once it is ready.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS
from tests.patience import wait_until
from webworker_executor import (
    HandshakeError,
    HandshakeTimeoutError,
    Worker,
    WorkerLoadError,
    WorkerStartError,
    create_worker,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.script import ScriptRunner

ECHO = """
import sys
post_message(sys.argv[1:])
onmessage = lambda event: post_message(event.data)
"""


def test_the_worker_is_ready_and_nothing_is_missed(tmp_path: Path) -> None:
    """C1: what it has posted before somebody could listen waits."""
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    with create_worker(script, ["a", "b"], name="echo").result(SECONDS) as worker:
        assert isinstance(worker, Worker)
        assert worker.ready.done()
        assert "echo" == worker.name
        assert ["a", "b"] == worker.receive(SECONDS).data
        worker.post_message(1)
        assert 1 == worker.receive(SECONDS).data


def test_a_callable_and_a_source() -> None:
    """All that `Worker` runs."""
    with create_worker(print, stdout="devnull").result(SECONDS) as worker:
        assert worker.ready.done()
    with create_worker(None, ["x"], source=ECHO).result(SECONDS) as worker:
        assert ["x"] == worker.receive(SECONDS).data


def test_it_can_be_awaited() -> None:
    """On a loop, whose thread may as well wait itself."""

    async def main() -> None:
        async with await create_worker(source=ECHO) as worker:
            worker.post_message(2)
            assert [] == (await worker.areceive()).data
            assert 2 == (await worker.areceive()).data
        with create_worker(source=ECHO).result(SECONDS) as worker:
            assert worker.ready.done()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (WorkerLoadError, {"source": "this is no Python"}),
        (WorkerStartError, {"source": "", "executable": "/nowhere/python"}),
        (HandshakeError, {"command": [sys.executable, "-c", ""]}),
        (
            HandshakeTimeoutError,
            {
                "command": [sys.executable, "-c", "import time; time.sleep(60)"],
                "handshake_timeout": 0.1,
            },
        ),
    ],
)
def test_it_fails_as_ready_does(
    error: type[Exception], options: dict[str, Any], run_script: ScriptRunner
) -> None:
    """C1: each way to fail has its own exception, which is told once, and leaves no process."""
    made = create_worker(**options)
    assert error is type(made.exception(SECONDS))
    assert not made.cancel()
    # At the end of the program, all that was to be written has been.
    program = f"""
from webworker_executor import create_worker
print(type(create_worker(**{options!r}).exception({SECONDS})).__name__)
"""
    done = run_script(program)
    assert (error.__name__, "") == (done.stdout.strip(), done.stderr)


def test_what_happens_later_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """Of what the script raises the future says nothing."""
    with create_worker(source="1 / 0").result(SECONDS):
        wait_until(lambda: "ZeroDivisionError" in capfd.readouterr().err)


def test_bad_arguments_are_told_at_once() -> None:
    """C1: a script is text and arguments are a list."""
    with pytest.raises(TypeError, match="script"):
        create_worker()
    with pytest.raises(TypeError, match="script"):
        create_worker(1)  # type: ignore[arg-type]  # what is tried
    with pytest.raises(TypeError, match="argv"):
        create_worker("worker.py", "one")
    with pytest.raises(TypeError, match="colour"):
        create_worker("worker.py", colour="red")


def test_the_future_holds_the_worker_and_nothing_else_does() -> None:
    """A worker that nobody holds any more is asked to leave, as ever."""
    made = create_worker(source="")
    gc.collect()
    worker = made.result(SECONDS)
    exited = worker.exited
    del made, worker
    gc.collect()
    assert 0 == exited.result(SECONDS)
