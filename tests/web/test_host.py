"""
Tests of `webworker_executor.web.host`: threads while they are used, and order at the end.
"""

from __future__ import annotations

import gc
import itertools
import json
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.leaks import descriptors, new_descriptors
from tests.link.interrupts import broken_off
from tests.patience import wait_until
from tests.pool.strike import Strike
from tests.threads import fork_while_held
from webworker_executor.web.host import Host, host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner


class User:
    """
    A user that notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def finish_at_exit(self, *, interrupted: bool) -> None:
        self.told.append(f"finish, interrupted={interrupted}")

    def disown_after_fork(self) -> None:
        self.told.append("disown")


def test_users_share_the_threads() -> None:
    """
    There is one reactor and one events thread, however many use them.
    """
    host = Host()
    users = User(), User()
    first = host.acquire(users[0])
    assert first == host.acquire(users[1])
    host.release(users[0])
    assert first[0].thread.is_alive()
    host.release(users[1])
    first[0].join()
    assert not first[0].thread.is_alive()


def test_a_user_that_comes_keeps_the_threads_that_another_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A finalizer may let the last other go while threads are looked for.
    """
    host = Host()
    first, second = User(), User()
    reactor, _ = host.acquire(first)
    look_for_threads = host._make_threads

    def look_and_finalize() -> Any:
        threads = look_for_threads()
        host.release(first)
        return threads

    with monkeypatch.context() as patched:
        patched.setattr(host, "_make_threads", look_and_finalize)
        assert reactor is host.acquire(second)[0]
    # Those who come later would get others if these were about to end.
    assert reactor is host.acquire(first)[0]
    host.release(first)
    host.release(second)
    reactor.join()


def test_others_keep_the_threads_where_none_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who comes is told so, and the reactor serves on.
    """
    host, user = Host(), User()
    reactor, events = host.acquire(user)

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(events, "start", refuse)
        with pytest.raises(RuntimeError, match="no thread can be started to serve workers"):
            host.acquire(User())
    assert reactor is host.acquire(user)[0]
    is_served = threading.Event()
    reactor.call_soon(is_served.set)
    assert is_served.wait(10.0)
    host.release(user)
    reactor.join()


def test_a_thread_that_begins_may_come_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The collector runs there as anywhere, and finalizers may release what they hold.
    """
    host, user, other = Host(), User(), User()
    start = Host._start

    def start_and_finalize(self: Host, *threads: Any) -> None:
        finalizing = threading.Thread(target=host.release, args=(other,))
        finalizing.start()
        finalizing.join(10.0)
        assert not finalizing.is_alive()
        start(self, *threads)

    monkeypatch.setattr(Host, "_start", start_and_finalize)
    reactor, _ = host.acquire(user)
    host.release(user)
    reactor.join()


def test_who_comes_while_the_program_ends_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also where it had begun to come before.
    """
    host, user = Host(), User()
    start = Host._start

    def start_and_end(self: Host, *threads: Any) -> None:
        start(self, *threads)
        host.finish_at_exit()

    monkeypatch.setattr(Host, "_start", start_and_end)
    with pytest.raises(RuntimeError, match="after interpreter shutdown"):
        host.acquire(user)
    assert [] == user.told


def test_who_gets_no_threads_is_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The threads end with those that have them.
    """
    host, user = Host(), User()
    reactor, _ = host.acquire(user)
    with monkeypatch.context() as patched:
        patched.setattr(host, "_start", lambda *_: int("no"))
        with pytest.raises(ValueError, match="no"):
            host.acquire(User())
        assert reactor.thread.is_alive()
    host.release(user)
    reactor.join()
    assert not reactor.thread.is_alive()


def test_calls_behind_a_handler_that_does_not_end() -> None:
    """
    They are made, also when the last user leaves meanwhile: the reactor ends after them.
    """
    host, user = Host(), User()
    reactor, events = host.acquire(user)
    goes_on, is_made = threading.Event(), threading.Event()
    events.call(lambda: goes_on.wait(20.0))
    events.call(is_made.set)
    host.release(user)
    was_made = is_made.wait(10.0)
    goes_on.set()
    reactor.join()
    assert was_made


def test_what_has_ended_is_forgotten() -> None:
    """
    What the last calls were about is not kept until the next user comes.
    """
    host, user = Host(), User()
    reactor, events = host.acquire(user)
    about = User()
    in_an_hour = time.monotonic() + 3600.0
    reactor.call_soon(partial(reactor.call_at, in_an_hour, about.disown_after_fork))
    events.call(threading.Event().set)
    host.release(user)
    reactor.join()
    events.join()
    is_there = weakref.ref(about)
    del about, reactor, events
    gc.collect()
    assert is_there() is None


def test_threads_come_anew() -> None:
    """
    After the last user has gone, the next one gets fresh threads that work.
    """
    host = Host()
    user = User()
    first, _ = host.acquire(user)
    host.release(user)
    second, events = host.acquire(user)
    assert first is not second
    done = threading.Event()
    events.call(done.set)
    assert done.wait(20)
    host.release(user)


def test_releasing_twice() -> None:
    """
    To release who is no user changes nothing.
    """
    host = Host()
    user, other = User(), User()
    host.release(other)
    reactor, _ = host.acquire(user)
    host.release(other)
    assert reactor.thread.is_alive()
    host.release(user)
    host.release(user)


# A finalizer of anybody's, struck by the handler, can tell nobody but the interpreter.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handler_that_raises_where_a_user_comes() -> None:
    """
    Nobody but users has the threads afterwards, wherever it strikes.
    """
    for number in itertools.count(1):
        host, user = Host(), User()
        strike = Strike("Host.acquire", number)
        strike.during(partial(host.acquire, user))
        host.acquire(user)
        assert [user] == host._users, strike.where
        reactor = host._reactor
        host.release(user)
        assert reactor is not None
        reactor.join()
        if not strike.where:
            break
    assert number > 3


@pytest.mark.parametrize(
    ("last", "interrupted"), [(None, False), (KeyboardInterrupt(), True), (ValueError(), False)]
)
def test_finish_at_exit(
    monkeypatch: pytest.MonkeyPatch, last: BaseException | None, interrupted: bool
) -> None:
    """
    Every user is told once, with whether Ctrl-C ended the program; after that nobody is taken up.
    """
    import sys

    for name in ("last_exc", "last_value"):
        monkeypatch.setattr(sys, name, last, raising=False)
    host = Host()
    users = User(), User()
    reactor, _ = host.acquire(users[0])
    host.acquire(users[1])
    host.finish_at_exit()
    reactor.join()
    assert [[f"finish, interrupted={interrupted}"]] * 2 == [user.told for user in users]
    with pytest.raises(RuntimeError, match="after interpreter shutdown"):
        host.acquire(User())


def test_the_last_user_leaves_while_the_program_ends() -> None:
    """
    A pool that has ended by itself, on the reactor's thread, is not asked to.
    """
    host, user = Host(), User()
    reactor, _ = host.acquire(user)

    class Leaving(list[Any]):
        """The users, the last of whom goes just before it is looked who is there."""

        def __getitem__(self, index: Any) -> Any:
            host.release(user)
            return super().__getitem__(index)

    host._users = Leaving(host._users)
    host.finish_at_exit()
    host.release(user)
    reactor.join()
    assert [] == user.told


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_copy_starts_afresh() -> None:
    """
    In a forked copy the users are told, their descriptors are closed, and new users are welcome.
    """
    user = User()
    reactor, _ = host.acquire(user)

    def serves_anew() -> bool:
        other, events = host.acquire(User())
        done = threading.Event()
        events.call(done.set)
        return user.told == ["disown"] and other is not reactor and done.wait(20)

    assert 0 == fork_while_held([host._lock], serves_anew)
    assert [] == user.told
    assert reactor.thread.is_alive()
    host.release(user)
    reactor.join()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_user_that_is_half_made_keeps_no_other_from_hearing_of_a_fork() -> None:
    """
    Another thread may be making one at that moment.
    """

    class HalfMade(User):
        def disown_after_fork(self) -> None:
            raise AttributeError("it has no socket yet")

    half, whole = HalfMade(), User()
    host.acquire(half)
    reactor, _ = host.acquire(whole)
    assert 0 == fork_while_held([], lambda: whole.told == ["disown"] and reactor.is_stopping)
    host.release(half)
    host.release(whole)
    reactor.join()


AT_EXIT = """
import atexit, json, threading
from webworker_executor.web.host import host

order = []
go_on = threading.Event()

class User:
    def finish_at_exit(self, *, interrupted):
        order.append("user")
        go_on.set()
    def disown_after_fork(self):
        pass

reactor, events = host.acquire(User())
# A thread that the interpreter joins, and that waits for work which only the user finishes.
threading.Thread(target=lambda: (go_on.wait(), order.append("thread"))).start()
atexit.register(lambda: print(json.dumps([*order, reactor.thread.is_alive()])))
"""


def test_users_finish_before_threads_are_joined(run_script: ScriptRunner) -> None:
    """
    Pending work comes to its end before the interpreter waits for threads, and long before atexit.
    """
    done = run_script(AT_EXIT)
    assert "" == done.stderr
    assert ["user", "thread"] == json.loads(done.stdout)[:2]


LAST_WORDS = """
import threading, time
from webworker_executor.web.host import host

class User:
    def finish_at_exit(self, *, interrupted):
        pass
    def disown_after_fork(self):
        pass

user = User()
_, events = host.acquire(user)
ends = threading.Event()
# Called before what was registered earlier.
threading._register_atexit(ends.set)
events.call(lambda: (ends.wait(), time.sleep({seconds})))
for number in range(20):
    events.call(lambda number=number: (time.sleep(0.001), print(number)))
events.call({last})
host.release(user)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.11], ids=["quick", "slow"])
@pytest.mark.parametrize("last", ["int", "threading.Event().wait"], ids=["done", "held"])
def test_what_waits_for_handlers_is_told_before_the_end(
    run_script: ScriptRunner, last: str, seconds: float
) -> None:
    """
    The program ends after the calls that were left, but for one that never ends.
    """
    done = run_script(LAST_WORDS.format(last=last, seconds=seconds))
    assert (0, "") == (done.returncode, done.stderr)
    assert [str(number) for number in range(20)] == done.stdout.split()


PATCHED = """
import functools, queue, select, _thread
{patch}
from webworker_executor import WebWorkerExecutor
try:
    with WebWorkerExecutor(1) as pool:
        print(pool.submit(abs, -1).result())
except RuntimeError as error:
    print(error)
"""
WRAPPED = """
@functools.wraps(_thread.start_new_thread)
def start(*args, original=_thread.start_new_thread, **kwargs):
    return original(*args, **kwargs)
start.__module__ = {module!r}
_thread.start_new_thread = start
"""
QUEUE = "queue.SimpleQueue = type('SimpleQueue', (queue.Queue,), {'__module__': 'eventlet.queue'})"


@pytest.mark.parametrize(
    "patch", ["del select.epoll", WRAPPED.format(module="gevent.thread"), QUEUE]
)
def test_a_patched_standard_library_is_refused(run_script: ScriptRunner, patch: str) -> None:
    """
    Where threads are none, as under gevent, nothing hangs: the first call says what to leave out.
    """
    done = run_script(PATCHED.format(patch=patch))
    assert done.stdout.startswith("the standard library was patched, as gevent")
    assert "" == done.stderr


def test_a_debugger_that_wraps_the_start_of_threads_is_welcome(run_script: ScriptRunner) -> None:
    """
    Whoever watches threads starts them all the same.
    """
    done = run_script(PATCHED.format(patch=WRAPPED.format(module="pydevd")))
    assert ("1\n", "") == (done.stdout, done.stderr)


CHAIN = {
    "starts.py": """
from webworker_executor import WebWorkerExecutor
import needed
def call(n):
    return needed.double(n)
with WebWorkerExecutor(1, launcher={launcher!r}{given}) as executor:
    executor.submit({task}, 1).result()
""",
    "needed.py": """
import starts
def double(n):
    return 2 * n
""",
}


@pytest.mark.parametrize("launcher", ["spawn", "zygote"])
def test_an_import_that_starts_workers_ends(
    run_script: ScriptRunner, tmp_path: Path, launcher: str
) -> None:
    """
    Workers whose first task imports what starts workers are no chain without an end.
    """
    for name, text in CHAIN.items():
        (tmp_path / name).write_text(text.format(launcher=launcher, given="", task="call"))
    done = run_script("import sys; sys.path.insert(0, sys.argv[1]); import needed", str(tmp_path))
    assert 1 == done.returncode
    # Each worker on the way home adds a note.
    error, *notes = done.stderr.splitlines()[-3:]
    assert error.startswith("RuntimeError: a worker of a worker starts workers of its own")
    assert all(note.startswith("The call was not made: ") for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["initializer=call, initargs=(1,)", "worker_data=call"])
@pytest.mark.parametrize("launcher", ["spawn", "zygote"])
def test_an_import_for_what_a_worker_is_made_with_ends(
    run_script: ScriptRunner, tmp_path: Path, launcher: str, given: str
) -> None:
    """
    Workers whose initializer or data import what starts workers are no chain without an end.
    """
    for name, text in CHAIN.items():
        text = "import os\nos.environ['DEPTH'] = depth = os.environ.get('DEPTH', '') + '*'\n" + text
        text = text.format(launcher=launcher, given=f", {given}", task="abs")
        (tmp_path / name).write_text(text + "\nassert len(depth) < 10, 'endless'")
    done = run_script("import sys; sys.path.insert(0, sys.argv[1]); import needed", str(tmp_path))
    assert 1 == done.returncode
    assert "a worker of a worker starts workers of its own" in done.stderr
    assert "endless" not in done.stderr


GIVEN_AT_IMPORT = """
import contextvars, os
from webworker_executor import WebWorkerExecutor

os.environ["DEPTH"] = depth = os.environ.get("DEPTH", "") + "*"
print("imported", flush=True)
if len(depth) > 3:
    os._exit(1)

class Config: pass

variable = contextvars.ContextVar("variable")
with WebWorkerExecutor(1, launcher={launcher!r}, {given}) as executor:
    {before}
    print(executor.submit(pow, 2, 3).result())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "before"),
    [
        ("initializer=id, initargs=(Config(),)", "pass"),
        ("worker_data=Config()", "pass"),
        ("", "variable.set(1)"),
    ],
)
@pytest.mark.parametrize("launcher", ["spawn", "zygote"])
def test_what_workers_are_given_at_an_import_does_not_have_them_import_it(
    run_script: ScriptRunner, tmp_path: Path, launcher: str, given: str, before: str
) -> None:
    """
    A module's body may start workers with objects of its own; it does not run in them.
    """
    text = GIVEN_AT_IMPORT.format(launcher=launcher, given=given, before=before)
    (tmp_path / "starts_at_import.py").write_text(text)
    program = "import sys; sys.path.insert(0, sys.argv[1]); import starts_at_import"
    done = run_script(program, str(tmp_path))
    assert ("imported\n8\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_who_is_broken_off_while_being_taken_up_has_no_threads() -> None:
    """
    Wherever a signal handler raises, they end if nobody else has them.
    """
    user = User()
    before = descriptors()
    for _ in broken_off(lambda: host.acquire(user)):
        host.release(user)
        wait_until(lambda: not new_descriptors(before), tell=lambda: new_descriptors(before))


def test_a_release_that_is_broken_off_anywhere_is_made_good_by_the_next() -> None:
    """
    The threads end, also where the user had been let go already.
    """
    user = User()
    before = descriptors()
    for number in itertools.count(1):
        host.acquire(user)
        strike = Strike("Host.release", number)
        strike.during(lambda: host.release(user))
        host.release(user)
        wait_until(lambda: not new_descriptors(before), tell=lambda: new_descriptors(before))
        if not strike.where:
            break
    assert number > 5
