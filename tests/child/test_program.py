"""
Tests of `webworker_executor.child.program`: the script of a worker, read and run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS, Ear
from webworker_executor import NetworkError, Worker, scope

if TYPE_CHECKING:
    from pathlib import Path

    from webworker_executor.web.launchers import LauncherName


def test_names_in_the_namespace() -> None:
    """
    A script finds the scope's names, and they are those of the scope.
    """
    source = """
names = ("add_event_listener clear_interval clear_timeout close dispatch_event import_scripts "
    "location name navigator post_message queue_microtask remove_event_listener report_error "
    "scope self set_interval set_timeout worker_data").split()
import webworker_executor
missing = [name for name in names if name not in globals()]
post_message((missing, scope is webworker_executor.scope, self is scope, __name__))
"""
    with Worker(source=source) as worker:
        assert ([], True, True, "__main__") == worker.receive(SECONDS).data


def test_import_scripts(tmp_path: Path) -> None:
    """
    Files run in order in the same namespace, relative to the script; none at all is fine.
    """
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.py").write_text("value = [1]")
    (tmp_path / "two.py").write_text("value.append(2)\ndef onmessage(event): post_message(value)")
    script = tmp_path / "main.py"
    url = (tmp_path / "two.py").as_uri()
    script.write_text(f"import_scripts()\nimport_scripts('parts/one.py', {url!r})")
    with Worker(script, cwd="/") as worker:
        worker.post_message(None)
        assert [1, 2] == worker.receive(SECONDS).data


@pytest.mark.parametrize("launcher", ["spawn", "zygote", "fork"])
def test_workers_of_a_worker_lie_beside_it(tmp_path: Path, launcher: LauncherName) -> None:
    """
    A script starts another by its name alone, wherever it runs itself.
    """
    sub = tmp_path / "sub"
    sub.mkdir()
    (sub / "inner.py").write_text("post_message(location.path)")
    outer = sub / "outer.py"
    outer.write_text(
        "from webworker_executor import Worker\n"
        "worker = Worker('inner.py')\n"
        "worker.onmessage = lambda event: post_message(event.data)\n"
    )
    with Worker(outer, cwd=tmp_path, launcher=launcher) as worker:
        assert str(sub / "inner.py") == worker.receive(SECONDS).data


@pytest.mark.parametrize(
    ("second", "error"),
    [("missing.py", NetworkError), ("broken.py", SyntaxError), ("failing.py", ZeroDivisionError)],
)
def test_the_first_failure_stops(tmp_path: Path, second: str, error: type[Exception]) -> None:
    """
    What ran before it stays, and what follows does not run.
    """
    (tmp_path / "one.py").write_text("ran = [1]")
    (tmp_path / "three.py").write_text("ran.append(3)")
    (tmp_path / "broken.py").write_text("x = (")
    (tmp_path / "failing.py").write_text("1/0")
    script = tmp_path / "main.py"
    script.write_text(
        "def onmessage(event): post_message(ran)\n"
        f"import_scripts('one.py', {second!r}, 'three.py')\n"
    )
    with Worker(script) as worker:
        ear = Ear(worker)
        event = ear.next()
        assert isinstance(event.error, error)
        worker.post_message(None)
        assert [1] == ear.next().data


def test_modules_import() -> None:
    """
    A module has ``import``, and is told so; what is no path is refused.
    """
    with Worker(module="tests.child.module_script") as worker:
        assert ["TypeError", "module="] == worker.receive(SECONDS).data
    with Worker(source="import_scripts(5)") as worker:
        assert "import_scripts() takes paths" in Ear(worker).next().message


def import_one(path: str) -> None:
    scope.import_scripts(path)


def test_callables_import() -> None:
    """
    So has a callable: it has no namespace of its own, and nothing is skipped without a word.
    """
    with Worker(import_one, argv=["/missing.py"]) as worker:
        event = Ear(worker).next()
        assert "TypeError: import_scripts() is not for callables" in event.message
        assert "Use import" in event.message


async def answer_then_fail(step: int) -> None:
    """
    Answer one message on a loop, and the others in a handler when that has ended.
    """
    event = await scope.areceive()
    await asyncio.sleep(0)
    scope.post_message(event.data + step)
    scope.onmessage = lambda event: scope.post_message(event.data + 10 * step)
    raise ValueError("at its end")


def test_a_callable_that_is_async_runs_to_its_end() -> None:
    """
    As `asyncio.run` would; what it raises is told, and then the worker serves on.
    """
    with Worker(answer_then_fail, argv=[1], stderr="pipe") as worker:
        ear = Ear(worker)
        worker.post_message(1)
        assert 2 == ear.next().data
        assert "ValueError: at its end" == ear.next().message
        worker.post_message(2)
        assert 12 == ear.next().data
        worker.terminate().result(SECONDS)
        assert worker.stderr is not None
        assert b"" == worker.stderr.read()


def test_lines_of_a_text_are_shown() -> None:
    """
    A traceback shows the source of a script that was never in a file, here as well.
    """
    with Worker(source="def fail():\n    return {}['missing']\nfail()") as worker:
        event = Ear(worker).next()
        assert "return {}['missing']" in event.traceback
        import traceback

        shown = "".join(traceback.format_exception(event.error))
        assert "return {}['missing']" in shown
