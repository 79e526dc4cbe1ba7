"""
Tests of `webworker_executor.wire.absent`: attributes of a class that do not pickle.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from webworker_executor.wire import codec
from webworker_executor.wire.absent import Absent, Inherited, inherited

if TYPE_CHECKING:
    from tests.script import ScriptRunner


class Outer:
    class Inner:
        numbers = iter(range(3))


class Partly:
    conn: ClassVar[Absent] = Absent("Partly.conn", "Connection")


def test_what_has_not_come_says_so() -> None:
    """
    To whoever asks for it, of the class or of an instance; and it can be set.
    """
    for one in (Partly, Partly()):
        with pytest.raises(AttributeError, match=r"Partly\.conn .* a Connection does not pickle"):
            one.conn  # noqa: B018  # it is the look that counts
        assert not hasattr(one, "conn")
    one = Partly()
    vars(one)["conn"] = 5
    assert 5 == getattr(one, "conn", None)


def test_it_goes_on_to_others() -> None:
    """
    A worker's own workers are told the same.
    """
    packed = codec.pack(vars(Partly)["conn"])
    with pytest.raises(AttributeError, match=r"Partly\.conn"):
        codec.unpack(packed.payload).__get__(None)  # type: ignore[attr-defined]  # an Absent


def test_a_fork_finds_its_own() -> None:
    """
    In its memory, as the class statement made it; what there is none of is something else.
    """
    attribute = Inherited(Outer.Inner, "numbers", "another")
    assert Outer.Inner.numbers is codec.unpack(codec.pack(attribute).payload)
    for place in (("nowhere", "Outer.Inner"), (__name__, "Outer.Other"), (__name__, "Outer")):
        assert "another" == inherited(*place, "numbers", "another")
    assert "nowhere" not in sys.modules


PROGRAM = """
import functools, queue, sys, threading
from webworker_executor import WebWorkerExecutor

class Registry:
    _lock = threading.Lock()
    waiting = queue.Queue(3)
    numbers = (n for n in range(7, 10))
    seen = 0

    def work(self, k):
        with self._lock:
            type(self).seen += k
            self.waiting.put_nowait(k)
            return self.seen, self.waiting.qsize()

    @functools.cached_property
    def area(self):
        return 3

    def describe(self):
        return self.area

    def number(self):
        return next(self.numbers)

def inside(k):
    return Registry().work(k)

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as pool:
        print(pool.submit(Registry().work, 1).result(), pool.submit(inside, 2).result())
        print(pool.submit(Registry().describe).result())
        print(type(pool.submit(Registry).result()) is Registry, Registry.seen)
        try:
            print(pool.submit(Registry().number).result())
        except AttributeError as error:
            print(error)
"""


@pytest.mark.parametrize("launcher", ["spawn", "zygote", "fork"])
def test_a_class_with_a_lock_goes_to_workers(run_script: ScriptRunner, launcher: str) -> None:
    """
    Of locks and queues each worker has its own; what else does not pickle only forks have.
    """
    ended = run_script(PROGRAM, launcher)
    done, described, own, number = ended.stdout.splitlines()
    assert ("(1, 1) (3, 2)", "3", "True 0") == (done, described, own), ended.stderr
    if launcher == "fork":
        assert "7" == number
    else:
        assert "Registry.numbers has not come to this worker, because a generator does" in number
