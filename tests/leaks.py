"""
What a process holds, listed so that two moments can be compared.

Not for memory: tests that promise flat memory measure it. Whoever changes this must keep it from
holding anything open itself, and may add to ``KEPT`` only what lives as long as the process.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# What lives as long as the process by design, as a pattern over the lines that describe things.
KEPT: dict[str, str] = {
    r"^file .*/pytest-of-": "pytest keeps the last runs' tmp_path folders",
    r"^handler of signal 14:": "pytest-timeout gives SIGALRM back as soon as a test has failed",
    r"^file .*/pymp-": "multiprocessing removes its folder when the process ends",
}


# What nobody blocks: for faults of a thread's own.
_DUMP = signal.SIGTRAP
_dumps = -1
# Orphans outlive the test that left them; only that one is to blame.
_blamed: set[object] = set()
# Processes that have nothing to do with this run, so that each is looked into once.
_foreign: set[str] = set()


class Snapshot(NamedTuple):
    """
    Everything a test could leave behind, as descriptions by identity.
    """

    things: Mapping[object, str]
    newest_process: str
    """The last pid that the kernel gave out: unchanged means that no process was born."""

    @classmethod
    def take(cls) -> Snapshot:
        """
        Look at this process now.

        Returns:
            Its descriptors, threads, children, temporary files and signal handlers.
        """
        things: dict[object, str] = {}
        things.update(descriptors())
        things.update(_threads())
        things.update(_children())
        things.update(_files())
        things.update(_signals())
        return cls(things, Path("/proc/loadavg").read_text().split()[-1])


def wait_until_settled(before: Snapshot, timeout: float) -> list[str]:
    """
    Wait until nothing new is left: what ends by itself soon is no leak.

    Args:
        before: How things stood when the test began.
        timeout: Seconds until what is left counts as left behind.

    Returns:
        A line for each thing left behind. Empty is good.
    """
    deadline = monotonic() + timeout
    pause = 0.001
    left_behind = _left_behind(before)
    while left_behind and monotonic() < deadline:
        # Only now, since a collection takes longer than most tests.
        gc.collect()
        # The kernel has no event for "a thread or a descriptor of mine is gone", so here, and
        # nowhere else, time is waited out.
        threading.Event().wait(pause)
        pause = min(2 * pause, 0.1)
        left_behind = _left_behind(before)
    _blamed.update(left_behind)
    return [line + _stack_of(line) for line in left_behind.values()]


def _left_behind(before: Snapshot) -> dict[object, str]:
    now = Snapshot.take()
    new = {key: line for key, line in now.things.items() if key not in before.things}
    if before.newest_process != now.newest_process:
        known = {*now.things, *_blamed}
        new.update((key, line) for key, line in _orphans().items() if key not in known)
    kept = _kept_by_multiprocessing()
    return {
        key: line
        for key, line in new.items()
        if key not in kept and not any(re.search(pattern, line) for pattern in KEPT)
    }


def descriptors() -> dict[object, str]:
    """List what this process has open: a line for each."""
    found: dict[object, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # The listing's own.
        found["descriptor", name, target] = f"descriptor {name} -> {target}"
    return found


def new_descriptors(before: Mapping[object, str]) -> set[str]:
    """
    List what this process has opened since ``descriptors`` was asked, and has open.

    What was closed meanwhile counts for nothing: somebody else may have been about to do that.
    """
    return {line for key, line in descriptors().items() if key not in before}


def _threads() -> dict[object, str]:
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[object, str] = {}
    for task in os.listdir("/proc/self/task"):
        name = names.get(int(task), "not known to Python")
        # The key alone says which thread it is: a thread may be renamed meanwhile.
        found["thread", task] = f"thread {task} ({name})"
    return found


def _children() -> dict[object, str]:
    found: dict[object, str] = {}
    for task in os.listdir("/proc/self/task"):
        try:
            children = Path(f"/proc/self/task/{task}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # The thread ended meanwhile.
        for pid in children:
            found["process", pid] = f"child {_describe_process(pid)}"
    return found


def _describe_process(pid: str) -> str:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except (FileNotFoundError, ProcessLookupError):
        return f"{pid}"
    state = "zombie" if status[0] == "Z" else f"in state {status[0]}"
    return f"{pid} ({state}) {command[:200].strip()}"


def _orphans() -> dict[object, str]:
    """
    Find descendants of this run that are no longer its children.

    A program started by this run inherited its mark. A mere fork of this process has the
    environment of before the mark was set, but the command line and the session of this process;
    so have test runs side by side and their own forks, which are not orphans, though.
    """
    mark = b"WEBWORKER_EXECUTOR_TEST_RUN=" + os.environ["WEBWORKER_EXECUTOR_TEST_RUN"].encode()
    command = Path("/proc/self/cmdline").read_bytes()
    found: dict[object, str] = {}
    alive = {*filter(str.isdigit, os.listdir("/proc"))}
    _foreign.intersection_update(alive)
    for pid in alive - _foreign - {str(os.getpid())}:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            its_command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if not environ and not its_command and os.path.exists(f"/proc/{pid}/exe"):
                continue  # It is in the midst of its exec, and may yet be ours.
            is_marked = mark in environ
            is_fork = command == its_command
            is_left_alone = is_fork and os.getsid(int(pid)) == os.getsid(0) and _has_no_parent(pid)
        except OSError:
            continue  # It ended, or is another user's.
        if is_marked or is_left_alone:
            found["process", pid] = f"descendant {_describe_process(pid)}"
        elif not is_fork:
            # A fork may yet lose its parent; any other will never be ours.
            _foreign.add(pid)
    return found


def _has_no_parent(pid: str) -> bool:
    # The name in parentheses may hold anything; state and parent follow it.
    _, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")
    return rest.split()[1] == "1"


def _files() -> dict[object, str]:
    folder = tempfile.gettempdir()
    found: dict[object, str] = {
        ("file", folder, name): f"file {folder}/{name}" for name in os.listdir(folder)
    }
    if os.path.isdir("/dev/shm"):
        # Everybody's folder: only names of this package prove anything.
        for name in os.listdir("/dev/shm"):
            if "webworker" in name:
                found["file", "/dev/shm", name] = f"file /dev/shm/{name}"
    return found


def _signals() -> dict[object, str]:
    settings: dict[str, object] = {
        f"handler of signal {number:d}": signal.getsignal(number)
        for number in signal.valid_signals()
    }
    settings["blocked signals"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    settings["wakeup descriptor"] = _wakeup_descriptor()
    return {("signal", name, repr(now)): f"{name}: {now!r}" for name, now in settings.items()}


def _wakeup_descriptor() -> int:
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


def _stack_of(line: str) -> str:
    process = re.match(r"(?:child|descendant) (\d+)", line)
    if process is not None:
        return _waits_of(process[1]) + _dump_of(process[1])
    match = re.match(r"thread (\d+)", line)
    if match is None:
        return ""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread.native_id == int(match[1]) and thread.ident in frames:
            return "\n" + "".join(traceback.format_stack(frames[thread.ident])).rstrip()
    return ""


def _waits_of(pid: str) -> str:
    """Tell what each thread of a process waits for: the number of the system call, and its args."""
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        try:
            lines.append(f"\n    thread {task.name} in {(task / 'syscall').read_text().strip()}")
        except OSError:
            continue  # It ended, or the kernel does not tell.
    return "".join(lines)


def have_forks_dump(path: str) -> None:
    """
    Have each process that is forked from this one write its stacks to a file when it is asked.

    A fork that waits for a lock of a thread that it does not have runs no Python, and with the mask
    of a thread of ours it takes few signals; this is one of those.
    """
    global _dumps
    # Never closed: forks write there, too.
    _dumps = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    faulthandler.register(_DUMP, file=_dumps)


def _dump_of(pid: str) -> str:
    """Return the stacks of a process that was forked from this one and has run nothing else."""
    try:
        is_fork = (
            Path("/proc/self/cmdline").read_bytes() == Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        if _dumps < 0 or not is_fork:
            return ""
        os.ftruncate(_dumps, 0)
        os.kill(int(pid), _DUMP)
    except OSError:
        return ""
    pause = threading.Event()
    for _ in range(100):
        if os.fstat(_dumps).st_size:
            break
        pause.wait(0.01)
    return "\n" + os.pread(_dumps, 65536, 0).decode(errors="replace").rstrip()


def _kept_by_multiprocessing() -> set[object]:
    """
    Name the standard library's own helpers, which it starts once and keeps.
    """
    kept: set[object] = set()
    for name, pid_name, fd_name in (
        ("resource_tracker", "_pid", "_fd"),
        ("forkserver", "_forkserver_pid", "_forkserver_alive_fd"),
    ):
        helper = getattr(sys.modules.get(f"multiprocessing.{name}"), f"_{name}", None)
        kept.add(("process", str(getattr(helper, pid_name, None))))
        fd = getattr(helper, fd_name, None)
        if fd is not None:
            kept.add(("descriptor", str(fd), os.readlink(f"/proc/self/fd/{fd}")))
    return kept
