"""
Tests of `webworker_executor.child.forked`: a fork that shakes off the process before it.
"""

from __future__ import annotations

import _frozen_importlib
import functools
import importlib
import signal
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.child import tasks
from tests.launch.peer import Peer, make_launcher
from webworker_executor.child import forked

if TYPE_CHECKING:
    from webworker_executor.link.reactor import Reactor


@pytest.fixture(params=["fork", "zygote"])
def launcher(request: pytest.FixtureRequest) -> str:
    """
    Name the launchers that fork.
    """
    name: str = request.param
    return name


def test_sigterm_ends_a_forked_worker(launcher: str, reactor: Reactor) -> None:
    """
    A handler that the program has for SIGTERM is not the worker's.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with Peer(make_launcher(launcher), reactor) as peer:
            peer.ready().child.terminate()
            assert -signal.SIGTERM == peer.wait()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_wakeup_descriptor_is_the_programs(launcher: str, reactor: Reactor) -> None:
    """
    A signal in the worker does not wake an event loop of the program.
    """
    with Peer(make_launcher(launcher), reactor) as peer:
        assert -1 == peer.ready().run(tasks.evaluate, "signal.set_wakeup_fd(-1)")


def test_output_is_flushed_at_the_end(
    launcher: str, reactor: Reactor, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    What a task printed without a newline is written when the worker leaves.
    """
    with Peer(make_launcher("zygote"), reactor) as peer:
        peer.ready().run(tasks.evaluate, "sys.stdout.write('the end')")
        assert 0 == peer.leave()
    assert "the end" == capfd.readouterr().out


def test_threads_are_joined(launcher: str, reactor: Reactor, tmp_path: object) -> None:
    """
    A worker that is asked to leave waits for its threads, as any interpreter does.
    """
    path = f"{tmp_path}/trace"
    with Peer(make_launcher(launcher), reactor) as peer:
        peer.ready().run(tasks.start_thread, path)
        assert 0 == peer.leave()
    with open(path) as trace:
        assert "done" == trace.read()


def test_failure_is_shown(launcher: str, reactor: Reactor) -> None:
    """
    A worker that ends by an error of its own ends with status 1.
    """
    with Peer(make_launcher(launcher), reactor) as peer:
        peer.ready().data.sendall(b"noise in place of a frame")
        assert 1 == peer.wait()


@pytest.mark.parametrize(("module", "path", "name"), forked._LOCKS)
def test_locks_that_others_held_are_free(
    module: str, path: str, name: str, reactor: Reactor
) -> None:
    """
    What a thread of the program held when the worker was forked, nobody holds in the worker.
    """
    steps = [*path.split("."), name] if path else [name]
    try:
        lock: Any = functools.reduce(getattr, steps, importlib.import_module(module))
    except (ImportError, AttributeError):
        pytest.skip("there is no such lock here")
    with lock:
        peer = Peer(make_launcher("fork"), reactor)
    found = f"__import__('importlib').import_module({module!r}).{'.'.join(steps)}"
    with peer:
        assert peer.ready().run(tasks.evaluate, f"{found}.acquire(False)") is True


@pytest.mark.parametrize("name", ["multiprocessing.util", "wave", "json.tool"])
def test_what_another_thread_was_importing_is_imported_anew(
    name: str, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A worker that is forked in the midst of it starts, and its tasks find the module whole.
    """
    half_made: Any = types.ModuleType(name)
    half_made.__spec__ = types.SimpleNamespace(_initializing=True)
    manager: Any = vars(_frozen_importlib)["_ModuleLockManager"]
    with manager(name), monkeypatch.context() as patch:
        patch.setitem(sys.modules, name, half_made)
        peer = Peer(make_launcher("fork"), reactor)
    found = f"vars(__import__('importlib').import_module({name!r}))"
    with peer:
        assert peer.ready().run(tasks.evaluate, f"'__file__' in {found}") is True
