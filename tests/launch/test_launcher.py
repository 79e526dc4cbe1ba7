"""
Tests of `webworker_executor.launch.launcher`: what holds for every way of starting a worker.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.launch.launcher import Child, interpreter, interpreter_flags
from webworker_executor.link.ledger import Ledger
from webworker_executor.link.reactor import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.launch.peer import Peer
    from tests.script import ScriptRunner
    from webworker_executor.link.reactor import Reactor


def evaluate(expression: str) -> Any:
    """
    Evaluate an expression in the worker, where `os` and `sys` are at hand.
    """
    return eval(expression)


def open_files() -> dict[str, str]:
    """
    List the descriptors of the worker by what they lead to.
    """
    files = {}
    for name in os.listdir("/proc/self/fd"):
        if os.path.lexists(f"/proc/self/fd/{name}"):
            files[name] = os.readlink(f"/proc/self/fd/{name}")
    return files


def test_child_is_the_process(start: Callable[..., Peer]) -> None:
    """
    The child object has the pid of the process that answers.
    """
    with start() as peer:
        assert peer.child.pid == peer.ready().run(os.getpid)
        assert f"pid={peer.child.pid} running>" in repr(peer.child)
        assert peer.child.is_alive()
        assert 0 == peer.leave()
        assert f"pid={peer.child.pid} exitcode=0>" in repr(peer.child)
        assert not peer.child.is_alive()


def test_process_leads_its_own_group(start: Callable[..., Peer]) -> None:
    """
    The terminal's Ctrl-C does not reach a worker.
    """
    with start() as peer:
        assert peer.child.pid == peer.ready().run(os.getpgrp)


def test_standard_input_is_empty(start: Callable[..., Peer]) -> None:
    """
    A worker does not read what is meant for the program.
    """
    with start() as peer:
        peer.ready()
        assert os.devnull == peer.run(os.readlink, "/proc/self/fd/0")
        assert b"" == peer.run(os.read, 0, 10)


def test_program_descriptors_stay_out(
    start: Callable[..., Peer], launcher: str, tmp_path: object
) -> None:
    """
    What the program has open is not open in a worker, whether it may be inherited or not.
    """
    if launcher == "fork":
        pytest.skip("a fork has the program's memory and descriptors: that is what it is for")
    plain = os.open(f"{tmp_path}/plain", os.O_CREAT | os.O_RDWR)
    shared = os.open(f"{tmp_path}/shared", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(shared, True)
    # As far up as a program can have it.
    high = os.dup2(shared, 900, inheritable=True)
    try:
        with start() as peer:
            files = peer.ready().run(open_files)
            assert [] == [file for file in files.values() if str(tmp_path) in file]
    finally:
        for fd in (plain, shared, high):
            os.close(fd)


def test_links_are_only_in_the_worker(start: Callable[..., Peer]) -> None:
    """
    When a worker ends, the host sees the end of both links: nobody else holds them.
    """
    with start() as peer, start() as other:
        peer.ready()
        other.ready()
        peer.child.kill()
        with pytest.raises(EOFError):
            peer.next_frame()
        peer.control.settimeout(20)
        assert b"" == peer.control.recv(1)
        assert other.child.pid == other.run(os.getpid)


def test_environment(start: Callable[..., Peer]) -> None:
    """
    A worker has the program's environment and directory.
    """
    with start() as peer:
        peer.ready()
        assert os.getcwd() == peer.run(os.getcwd)
        assert os.environ["WEBWORKER_EXECUTOR_TEST_RUN"] == peer.run(
            evaluate, "os.environ['WEBWORKER_EXECUTOR_TEST_RUN']"
        )


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status(start: Callable[..., Peer], status: int) -> None:
    """
    The status that a process ends with is told.
    """
    with start() as peer:
        peer.ready().call(1, os._exit, status)
        assert status == peer.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_the_exit_code(start: Callable[..., Peer], number: signal.Signals) -> None:
    """
    A process that was killed has minus the signal's number for an exit code.
    """
    with start() as peer:
        peer.ready()
        peer.child.send_signal(number)
        assert -number == peer.wait()


def test_terminate_and_kill(start: Callable[..., Peer]) -> None:
    """
    SIGTERM ends a worker; SIGKILL ends one that is stopped.
    """
    with start() as peer, start() as other:
        peer.ready().child.terminate()
        assert -signal.SIGTERM == peer.wait()
        other.ready().child.send_signal(signal.SIGSTOP)
        other.child.kill()
        assert -signal.SIGKILL == other.wait()


def test_signal_to_the_dead(start: Callable[..., Peer]) -> None:
    """
    A signal to a process that has ended reaches nobody and is no error.
    """
    with start() as peer:
        assert 0 == peer.ready().leave()
        peer.child.kill()
        peer.child.terminate()
        assert 0 == peer.child.exitcode


def test_signal_while_the_end_is_seen(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Peer]
) -> None:
    """
    A signal that is on its way when the process's end is seen reaches no process that came after.
    """
    send = signal.pidfd_send_signal

    with start() as peer, start() as other:
        peer.ready()
        other.ready()

        def send_late(pidfd: int, number: int) -> None:
            if threading.current_thread() is not threading.main_thread():
                # The reactor's, for a zygote that has ended.
                return send(pidfd, number)
            monkeypatch.setattr(signal, "pidfd_send_signal", send)
            peer.leave()
            later: list[Child] = []
            try:
                # One of them gets the number, if it is free.
                while not later or (later[-1].pidfd or pidfd) < pidfd:
                    later.append(Child(other.child.pid))
                send(pidfd, number)
            finally:
                for child in later:
                    child.forget_after_fork()

        monkeypatch.setattr(signal, "pidfd_send_signal", send_late)
        peer.child.kill()
        assert other.child.pid == other.run(os.getpid)


def test_ledger_is_mapped(start: Callable[..., Peer]) -> None:
    """
    A worker notes a task before it begins it, where the host reads it.
    """
    ledger = Ledger(1)
    entry = ledger.claim()
    with start(ledger=ledger) as peer:
        peer.ready()
        assert 0 == ledger.begun(entry)
        peer.call(77, os._exit, 0)
        peer.wait()
        assert 77 == ledger.begun(entry)
    ledger.close()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_kernel_without_pidfd(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Peer], launcher: str, number: int
) -> None:
    """
    Where the kernel refuses a pidfd, the end of a process is seen all the same.
    """

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with start() as peer:
        assert launcher == "zygote" or peer.ready().child.pidfd is None
        peer.child.kill()
        assert -signal.SIGKILL == peer.wait()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_kernel_that_sends_no_signal_by_pidfd(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Peer], number: int
) -> None:
    """
    Then the process gets it by its number, while it is known to be this one's.
    """

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with start() as peer:
        peer.ready().child.terminate()
        assert -signal.SIGTERM == peer.wait()
        peer.child.terminate()


SIGCHLD_IGNORED = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from tests.launch.peer import Peer, make_launcher
from webworker_executor.link.reactor import Reactor

reactor = Reactor()
reactor.start()
with Peer(make_launcher(sys.argv[1]), reactor) as peer:
    peer.ready()
    code = peer.leave()
reactor.stop()
reactor.join()
print(code)
"""


def test_program_that_ignores_sigchld(run_script: ScriptRunner, launcher: str) -> None:
    """
    In a program that ignores SIGCHLD the end is seen; only the status may be unknown.
    """
    done = run_script(SIGCHLD_IGNORED, launcher)
    assert "" == done.stderr
    assert ("0" if launcher == "zygote" else "None") == done.stdout.strip()


def test_program_that_reaps_everything(reactor: Reactor) -> None:
    """
    A child that the program itself has reaped is dead with a status that is not known.
    """
    process = subprocess.Popen([sys.executable, "-c", ""])
    child = Child(process.pid)
    process.wait()
    ended = threading.Event()
    child.watch(reactor, ended.set)
    assert ended.wait(20)
    assert None is child.exitcode
    assert child.reap()
    child.kill()


def test_a_false_alarm_does_not_end_the_watch(reactor: Reactor) -> None:
    """
    A process that runs on is watched on, whatever the reactor was told.
    """
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child, ended, looked = Child(process.pid), threading.Event(), threading.Event()
    pidfd = child.pidfd
    if pidfd is None:
        pytest.skip("this kernel has no pidfd")
    child.watch(reactor, ended.set)
    reactor.call_soon(lambda: reactor._callbacks[pidfd](READ))
    reactor.call_soon(looked.set)
    assert looked.wait(20)
    assert not ended.is_set()
    process.communicate(b"\n")
    assert ended.wait(20)


def test_reap_of_a_running_process() -> None:
    """
    A process that runs is not waited for.
    """
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child = Child(process.pid)
    assert (False, None) == (child.reap(), child.exitcode)
    child.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (True, -signal.SIGKILL) == (child.reap(), child.exitcode)
    child.join(0)
    process.returncode = -signal.SIGKILL
    assert process.stdin is not None
    process.stdin.close()


def test_many_children(start: Callable[..., Peer]) -> None:
    """
    Several workers of one launcher are told apart.
    """
    with start() as one, start() as two, start() as three:
        pids = [peer.ready().run(os.getpid) for peer in (one, two, three)]
        assert [one.child.pid, two.child.pid, three.child.pid] == pids
        two.child.kill()
        assert -signal.SIGKILL == two.wait()
        assert [one.child.pid, three.child.pid] == [one.run(os.getpid), three.run(os.getpid)]


def test_interpreter_is_the_one_that_multiprocessing_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `multiprocessing.set_executable` is heeded.
    """
    assert sys.executable == interpreter()
    monkeypatch.setattr(spawn, "_python_exe", b"/some/python")
    assert "/some/python" == interpreter()


@pytest.mark.parametrize("executable", ["", None])
def test_program_without_interpreter(
    monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    """
    A program that does not know its interpreter is told how to name one.
    """
    monkeypatch.setattr(spawn, "_python_exe", executable)
    with pytest.raises(FileNotFoundError, match=r"multiprocessing\.set_executable\(path\)"):
        interpreter()


def test_interpreter_flags_are_passed_on(run_script: ScriptRunner) -> None:
    """
    A worker's interpreter behaves as the program's was told to.
    """
    program = "from webworker_executor.launch.launcher import interpreter_flags as f; print(f())"
    done = run_script(program, options=["-X", "dev", "-O", "-W", "ignore"])
    flags = done.stdout
    assert ("-O" in flags, "dev" in flags, "-Wignore" in flags) == (True, True, True)
    assert isinstance(interpreter_flags(), list)


def test_no_bytecode_is_passed_on(run_script: ScriptRunner) -> None:
    """
    A program that writes no bytecode has workers that write none.
    """
    program = (
        "import sys; from webworker_executor.launch.launcher import interpreter_flags as f; "
        "print(f(), 'subprocess' in sys.modules)"
    )
    assert "['-B'] False\n" == run_script(program, options=["-B"]).stdout
