"""
Programs that fork, reap, exit, run out of descriptors, are killed or interrupted.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import wait_until
from tests.script import PACKAGE_ROOT

if TYPE_CHECKING:
    from tests.script import ScriptRunner

pytestmark = pytest.mark.slow

HEAD = """
import os, signal, sys, threading, time
from webworker_executor import *
pool = WebWorkerExecutor(2, launcher=sys.argv[1])
"""

QUIET = {
    "another reaper": """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
list(pool.map(abs, range(5)))
assert isinstance(pool.submit(os._exit, 3).exception(10), WorkerCrashedError)
""",
    "SIGCHLD ignored": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
list(pool.map(abs, range(5)))
assert isinstance(pool.submit(os._exit, 3).exception(10), WorkerCrashedError)
""",
    "a folder that is gone": """
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
""",
    "closed standard streams": """
line = os.dup(1)
for fd in range(3):
    os.close(fd)
assert [0, 1, 2] == list(pool.map(abs, range(3)))
pool.shutdown()
os.write(line, b"fine\\n")
sys.exit()
""",
    "no pidfd": """
def refuse(*_): raise OSError(38, "refused")
os.pidfd_open = refuse
assert isinstance(pool.submit(os._exit, 3).exception(10), WorkerCrashedError)
""",
    "no memfd": """
def refuse(*_): raise OSError(1, "refused")
os.memfd_create = refuse
assert isinstance(pool.submit(os._exit, 3).exception(10), WorkerCrashedError)
""",
    "no descriptors at the start": """
import resource
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
now = len(os.listdir("/proc/self/fd"))
for spare in range(0, 14):
    resource.setrlimit(resource.RLIMIT_NOFILE, (now + spare, limits[1]))
    try:
        future = pool.submit(abs, -1)
    except OSError as error:
        assert error.errno == 24, error
    else:
        break
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
assert 1 == future.result(10)
""",
    "no descriptors at a replacement": """
import resource
list(pool.map(abs, range(5)))
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, limits[1]))
held = []
try:
    while True:
        held.append(os.open("/dev/null", 0))
except OSError:
    pass
futures = [pool.submit(os._exit, 1) for _ in range(2)]
assert all(isinstance(future.exception(10), WorkerCrashedError) for future in futures)
future = pool.submit(abs, -5)
for fd in held:
    os.close(fd)
assert 5 == future.result(10)
""",
    "a forked copy": """
list(pool.map(abs, range(5)))
os.mkfifo("gate")
future = pool.submit(lambda: open("gate").close())
pid = os.fork()
if pid == 0:
    for attempt in (lambda: pool.submit(abs, 1), lambda: future.result(5)):
        try:
            attempt()
        except RuntimeError as error:
            assert "belongs to the parent process" in str(error)
        else:
            os._exit(1)
    pool.shutdown()
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as own:
        assert 3 == own.submit(abs, -3).result(10)
    sys.exit(7)
assert 7 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
open("gate", "w").close()
assert future.result(10) is None
""",
    "many pools one after the other": """
def held():
    return len(os.listdir("/proc/self/fd")), threading.active_count()
pool.submit(abs, 1).result()
pool.shutdown()
before = held()
for _ in range(60 if sys.argv[1] == "fork" else 5):
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as pool:
        pool.submit(abs, 1).result(10)
assert before == held(), (before, held())
pool = WebWorkerExecutor(2, launcher=sys.argv[1])
""",
}
TAIL = """
assert [0, 1, 2] == list(pool.map(abs, range(3)))
pool.shutdown()
print("fine")
"""


@pytest.mark.parametrize("program", QUIET)
def test_a_strange_program_works(run_script: ScriptRunner, launcher: str, program: str) -> None:
    """
    With the right results, the right exit status, and nothing left behind.
    """
    options = ["-W", "ignore:This process:DeprecationWarning"]
    finished = run_script(HEAD + QUIET[program] + TAIL, launcher, options=options)
    assert (0, "fine\n") == (finished.returncode, finished.stdout), finished.stderr
    assert "Traceback" not in finished.stderr


ENDS = {
    "unused": "",
    "idle": "list(pool.map(abs, range(5)))",
    "pending": """
futures = [pool.submit(time.sleep, 0.02) for _ in range(10)]
import atexit
atexit.register(lambda: print("" if all(future.done() for future in futures) else "lost"))
""",
    "broken": """
pool = WebWorkerExecutor(1, launcher=sys.argv[1], on_crash="break")
pool.submit(os._exit, 3).exception()
""",
}


@pytest.mark.parametrize("program", ENDS)
def test_a_program_may_end_without_shutdown(
    run_script: ScriptRunner, launcher: str, program: str
) -> None:
    """
    Pending work is done, without a word.
    """
    finished = run_script(HEAD + ENDS[program], launcher)
    assert (0, "", "") == (finished.returncode, finished.stdout.strip(), finished.stderr)


def start(program: str, launcher: str, folder: Path) -> subprocess.Popen[str]:
    path = folder / "program.py"
    path.write_text(HEAD + program)
    return subprocess.Popen(
        [sys.executable, str(path), launcher],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        start_new_session=True,
    )


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


KILLED = {
    "idle": "print(*set(pool.map(f, range(20))), flush=True)",
    "pending": """
pids = set(pool.map(f, range(20)))
futures = [pool.submit(time.sleep, 1) for _ in range(1000)]
print(*pids, flush=True)
""",
    "busy in C": """
pids = {pool.submit(f, 0).result() for _ in range(20)}
futures = [pool.submit(sum, range(10**11)) for _ in range(2)]
print(*pids, flush=True)
""",
    "stopped": """
pids = {pool.submit(f, 0).result() for _ in range(20)}
for pid in pids:
    os.kill(pid, signal.SIGSTOP)
print(*pids, flush=True)
""",
    "nested": """
def nest(launcher):
    inner = WebWorkerExecutor(1, launcher=launcher)
    pid = inner.submit(os.getpid).result()
    inner.submit(time.sleep, 100)
    return [os.getpid(), pid], inner.shutdown(wait=False)
print(*pool.submit(nest, sys.argv[1]).result()[0], flush=True)
""",
}


@pytest.mark.parametrize("state", KILLED)
def test_workers_die_with_the_program(tmp_path: Path, launcher: str, state: str) -> None:
    """
    Within a second, in whatever state they are.
    """
    program = "def f(_):\n    return os.getpid()\n" + KILLED[state] + "\nsignal.pause()\n"
    with start(program, launcher, tmp_path) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(10.0)
        alive = [*pids, *map(int, children)]
        assert pids
        try:
            # The kernel has no event for what happens to another program's descendants.
            wait_until(lambda: not any(map(is_alive, alive)), 3.0)
        finally:
            for pid in filter(is_alive, alive):
                os.kill(pid, signal.SIGKILL)


IN_ASYNCIO = "asyncio"
INTERRUPTED = {
    "result": "pool.submit(time.sleep, 30).result()",
    "map": "list(pool.map(time.sleep, [30] * 6))",
    "with": "with pool:\n    pool.submit(time.sleep, 30)",
    "busy in C": "with pool:\n    pool.submit(sum, range(10**11)).result()",
    IN_ASYNCIO: """
import asyncio
async def main():
    with pool:
        sleeping = asyncio.get_running_loop().run_in_executor(pool, time.sleep, 30)
        await asyncio.gather(*[sleeping] * 3)
asyncio.run(main())
""",
    "a long backlog": "[pool.submit(time.sleep, 30) for _ in range(5000)][0].result()",
}


def is_waiting(pid: int) -> bool:
    """
    Whether the main thread has slept through: then Ctrl-C wakes it.

    A signal that comes just before a thread goes to sleep is not seen by CPython until it wakes.
    """

    def look() -> str:
        status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
        return "\n".join(line for line in status.splitlines() if "State" in line or "ctxt" in line)

    before = look()
    threading.Event().wait(0.1)
    return "S (sleeping)" in before and before == look()


@pytest.mark.parametrize("stage", INTERRUPTED)
def test_ctrl_c_ends_the_program_at_once(tmp_path: Path, launcher: str, stage: str) -> None:
    """
    One KeyboardInterrupt, no noise of workers, and the prompt is back within a second.
    """
    program = "pool.submit(abs, 1).result()\nprint('go', flush=True)\n" + INTERRUPTED[stage]
    with start(program, launcher, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: is_waiting(process.pid), 20.0)
        os.killpg(process.pid, signal.SIGINT)
        wait_until(lambda: process.poll() is not None, 2.0)
        _, stderr = process.communicate(timeout=20.0)
    assert -signal.SIGINT == process.returncode
    # There it is a CancelledError first, and then raised by a line that is shown.
    expected = 2 if stage == IN_ASYNCIO else 1
    assert expected == stderr.count("Traceback") == stderr.count("KeyboardInterrupt")


def test_ctrl_c_at_a_terminal(tmp_path: Path, launcher: str) -> None:
    """
    Workers do not get the terminal's signal: the program alone is interrupted, and may go on.
    """
    program = (
        HEAD + "future = pool.submit(time.sleep, 0.5)\npool.submit(abs, 1).result()\n"
        "print('go', flush=True)\ntry:\n    signal.pause()\nexcept KeyboardInterrupt:\n"
        "    print(future.result(), pool.submit(abs, -3).result(), 'on')\npool.shutdown()\n"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = str(PACKAGE_ROOT)
        os.execv(sys.executable, [sys.executable, str(path), launcher])
    written = b""
    try:
        while b"go" not in written:
            written += os.read(terminal, 1000)
        wait_until(lambda: is_waiting(pid), 20.0)
        os.write(terminal, b"\x03")
        while select.select([terminal], [], [], 20.0)[0]:
            written += os.read(terminal, 1000)
    except OSError:
        pass  # The other end is closed: the program has ended.
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert 0 == os.waitstatus_to_exitcode(status)
    assert b"None 3 on" in written
    assert b"Traceback" not in written
