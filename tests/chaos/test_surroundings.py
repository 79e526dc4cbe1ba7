"""
Programs in strange surroundings: closed streams, refused system calls, high descriptors, a broken
``sys`` or logging.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner

pytestmark = pytest.mark.slow

HEAD = """
import os, signal, sys, threading, time
from webworker_executor import *
LAUNCHER = sys.argv[1]

def work():
    with WebWorkerExecutor(2, launcher=LAUNCHER) as pool:
        assert [2, 1, 0] == list(pool.map(abs, range(-2, 1)))
        assert 7 == pool.submit(lambda: 7).result(10)
        assert isinstance(pool.submit(os._exit, 3).exception(10), WorkerCrashedError)
        large = bytes(1_000_000)
        assert large == pool.submit(bytes, large).result(10)
        future = pool.submit(signal.pause)
        assert future.abort()
        assert isinstance(future.exception(10), TaskAborted)
        assert 1 == pool.submit(abs, -1).result(10)
"""

REFUSE = """
def refuse(number, errno):
    import ctypes, struct
    libc = ctypes.CDLL(None, use_errno=True)
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the call
    code += struct.pack("HBBI", 0x15, 1, 0, number)  # skip one if it is this
    code += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # SECCOMP_RET_ALLOW
    code += struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | errno)  # SECCOMP_RET_ERRNO
    text = ctypes.create_string_buffer(code)
    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    program = Program(len(code) // 8, ctypes.addressof(text))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0  # PR_SET_SECCOMP
"""

TINY = """
import socket
def tiny(*args, pair=socket.socketpair):
    ends = pair(*args)
    for end in ends:
        # The kernel raises both to the least it grants, some 4 kB.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    return ends
socket.socketpair = tiny
"""

PROGRAMS = {
    "sys without argv": """
del sys.argv
work()
""",
    "an argv that is none": """
sys.argv = None
def post():
    scope.post_message(sys.argv)
with Worker(post) as worker:
    assert [] == worker.receive(10).data
work()
""",
    "no main module": """
del sys.modules["__main__"]
work()
""",
    "another main module": """
sys.modules["__main__"] = object()
work()
""",
    "a module that hides the standard library's": """
import array, mmap
for name in ("array", "mmap"):
    with open(name + ".py", "w") as file:
        file.write("raise ImportError('evil')")
work()
""",
    "standard streams that raise": """
class Stream:
    def __getattr__(self, name):
        raise RuntimeError(name)
streams = sys.stdout, sys.stderr
sys.stdout = sys.stderr = Stream()
work()
sys.stdout, sys.stderr = streams
""",
    "logging that raises": """
import logging
class Handler(logging.Handler):
    def emit(self, record):
        raise RuntimeError
logging.getLogger("webworker_executor").addHandler(Handler())
real, os.posix_spawn, fork, os.fork = os.posix_spawn, None, os.fork, None
pool = WebWorkerExecutor(1, launcher=LAUNCHER)
assert isinstance(pool.submit(abs, 1).exception(10), BrokenWorkerPool)
os.posix_spawn, os.fork = real, fork
pool.shutdown()
work()
""",
    "logging that submits": """
import logging
lock = threading.Lock()
class Handler(logging.Handler):
    def emit(self, record):
        # Whoever holds the lock submits, which a pool that logs under its own lock would not bear.
        with lock:
            pass
logging.getLogger("webworker_executor").addHandler(Handler())
real, os.posix_spawn, fork, os.fork = os.posix_spawn, None, os.fork, None
pool = WebWorkerExecutor(1, launcher=LAUNCHER)
with lock:
    future = pool.submit(abs, 1)
    for _ in range(100):
        try:
            pool.submit(abs, 1)
        except BrokenWorkerPool:
            break
        threading.Event().wait(0.01)
    assert isinstance(future.exception(10), BrokenWorkerPool)
os.posix_spawn, os.fork = real, fork
pool.shutdown()
work()
""",
    "logging that waits for a pool": """
import logging
late = []
class Handler(logging.Handler):
    def emit(self, record):
        try:
            work()
        except BaseException as error:
            late.append((record.getMessage(), error))
logger = logging.getLogger("webworker_executor.web")
logger.setLevel(logging.DEBUG)
logger.addHandler(Handler())
with Worker(source="scope.post_message(7)", launcher=LAUNCHER) as worker:
    assert 7 == worker.receive(10).data
assert not late, late
""",
    "descriptors above 1024": """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = [os.open(os.devnull, 0) for _ in range(2000)]
work()
if LAUNCHER == "zygote":
    with ZygoteLauncher() as LAUNCHER:
        work()
        work()
""",
    "a clock that jumps": """
import random
def jump():
    # For this process alone: nobody here may set the machine's clock.
    time.time = lambda: random.uniform(-1e12, 1e12)
jump()
work()
with WebWorkerExecutor(1, launcher=LAUNCHER, initializer=jump) as pool:
    began = time.monotonic()
    late = pool.options(timeout=0.3).submit(signal.pause)
    assert isinstance(late.exception(10), TimeoutError)
    assert 0.3 <= time.monotonic() - began
    assert 1 == pool.options(timeout=10).submit(abs, -1).result(10)
    channel = MessageChannel()
    began = time.monotonic()
    try:
        channel.port1.receive(0.1)
    except TimeoutError:
        assert 0.1 <= time.monotonic() - began < 10
    channel.port1.close()
""",
    "tiny buffers": f"""
{TINY}
work()
""",
}
# Their numbers in this kernel's table.
CALLS = {"pidfd_open": 434, "pidfd_send_signal": 424, "memfd_create": 319, "close_range": 436}
if platform.machine() == "x86_64":
    for name, number in CALLS.items():
        PROGRAMS[f"{name} refused"] = f"{REFUSE}refuse({number}, 1)\nwork()\n"
        PROGRAMS[f"{name} unknown"] = f"{REFUSE}refuse({number}, 38)\nwork()\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_works_in_strange_surroundings(
    run_script: ScriptRunner, launcher: str, program: str
) -> None:
    """
    With the right results, and without a word.
    """
    finished = run_script(HEAD + PROGRAMS[program] + 'print("fine")\n', launcher)
    assert (0, "fine\n", "") == (finished.returncode, finished.stdout, finished.stderr)


FULL = """
large = os.urandom(1 << 20) * 100
script = "scope.post_message(bytes(100 << 20)); scope.post_message(scope.receive(50).data)"
with Worker(source=script, launcher=LAUNCHER) as worker:
    worker.post_message(large)
    assert bytes(100 << 20) == worker.receive(50).data
    assert large == worker.receive(50).data
with WebWorkerExecutor(2, launcher=LAUNCHER) as pool:
    futures = [pool.submit(bytes, large) for _ in range(2)]
    assert all(large == future.result(50) for future in futures)
print("fine")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of the call is another")
def test_full_both_ways_through_tiny_buffers(run_script: ScriptRunner) -> None:
    """
    Without shared memory all of it goes through the sockets, and neither side waits for the other.
    """
    refuse = f"{REFUSE}refuse({CALLS['memfd_create']}, 38)\n"
    # However the worker was started, it has the same sockets.
    finished = run_script(HEAD + refuse + TINY + FULL, "fork", timeout=50.0)
    assert (0, "fine\n", "") == (finished.returncode, finished.stdout, finished.stderr)


CLOSED = """
import os, sys
for fd in sys.argv[2].split(","):
    os.close(int(fd))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[3], sys.argv[1], sys.argv[4]])
"""

PRINTS = """
def write_raw():
    for fd in range(3):
        try:
            os.write(fd, b"raw")
        except OSError:
            pass
    print("noise")
    return 5

work()
channel = MessageChannel()
with WebWorkerExecutor(2, launcher=LAUNCHER) as pool:
    assert [5] * 20 == [pool.submit(write_raw).result(10) for _ in range(20)]
    port = pool.submit(lambda port: port, channel.port2).result(10)
    write_raw()
    port.post_message("through")
    assert "through" == channel.port1.receive(10).data
channel.port1.close()
with open(sys.argv[2], "w") as file:
    file.write("fine")
"""


@pytest.mark.parametrize("closed", ["0", "1", "2", "0,1", "1,2", "0,1,2"])
def test_streams_closed_from_the_start(
    run_script: ScriptRunner, tmp_path: Path, launcher: str, closed: str
) -> None:
    """
    No descriptor of ours comes to stand where the program or a task prints.
    """
    report = tmp_path / "report"
    finished = run_script(CLOSED, launcher, closed, HEAD + PRINTS, str(report))
    assert (0, "fine") == (finished.returncode, report.read_text()), finished.stderr
