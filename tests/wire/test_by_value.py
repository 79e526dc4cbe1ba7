"""
What lives in `__main__` goes by value, and comes home as what it was.
"""

from __future__ import annotations

import contextlib
import sys
import types
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import pytest

from tests.wire.other_process import OtherProcess
from webworker_executor.wire import codec, definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.script import ScriptRunner

MAIN = """
import abc, collections, dataclasses, enum, functools, threading, typing
from tests.wire.other_process import OtherProcess

@dataclasses.dataclass
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list)
    n_made = 0
    def moved(self): return Point(self.x + 1, [self])

class Colour(enum.Enum):
    RED = 1
    BLUE = "b"

class Mode(enum.Flag):
    READ = 1
    WRITE = 2

class Failure(Exception):
    def __init__(self, what, code):
        super().__init__(what, code)
        self.code = code

Pair = collections.namedtuple("Pair", "a b")

class Typed(typing.NamedTuple):
    a: int
    b: Colour = Colour.RED

class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

class Square(Shape):
    def area(self): return 4

class Left:
    def other(self): return Right()
class Right:
    def other(self): return Left()

state = None
cache = {}
step = 1
def set_state(value):
    global state
    state = value
def get_state(): return state
def remember(key):
    cache[key] = True
    return sorted(cache)
def helper(): return 1
def use_helper(): return helper()
def give(value): return value
def make():
    Point.n_made += 1
    return [Point(1), Point(2).moved(), Colour.BLUE, Mode.READ | Mode.WRITE, Failure("f", 7),
            Pair(1, 2), Typed(1), Square(), Point, Left().other().other()]
def spoil():
    Point.lock = threading.Lock()
    return Point(1)
def count_made():
    Point.n_made += 1
    return Point.n_made
def raise_failure(): raise Failure("boom", 3)

def check(other):
    one, moved, blue, mode, failure, pair, typed, square, point, left = other(make)
    assert type(one) is Point and one == Point(1)
    assert type(moved) is Point and type(moved.tags[0]) is Point
    assert blue is Colour.BLUE and mode is Mode.READ | Mode.WRITE
    assert type(failure) is Failure and failure.code == 7
    assert type(pair) is Pair and type(typed) is Typed and typed.b is Colour.RED
    assert type(square) is Square and isinstance(square, Shape)
    assert point is Point and type(left) is Left
    assert other(give, Point) is Point and other(give, Colour) is Colour
    assert type(other(give, Point(3))) is Point
    assert type(other(raise_failure)) is Failure

if __name__ == "__main__":
    with OtherProcess() as host, OtherProcess(to_host=False) as sideways:
        other = host
{body}
    print("done")
"""


def run(run_script: ScriptRunner, body: str) -> None:
    indented = "\n".join(f"        {line}" for line in body.strip().splitlines())
    done = run_script(MAIN.replace("{body}", indented))
    assert ("", "done\n") == (done.stderr, done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["host", "sideways"])
def test_instances_come_home(run_script: ScriptRunner, direction: str) -> None:
    """
    Whatever is of a class of the host's `__main__` is of that very class after a round trip.
    """
    run(run_script, f"for _ in range(2): check({direction})")


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["host", "sideways"])
def test_slots_are_slots_there_too(run_script: ScriptRunner, direction: str) -> None:
    """
    What a class's slots hold goes there and comes home, and no `__dict__` is there instead.
    """
    run(
        run_script,
        f"""
class Slotted:
    __slots__ = ("place", "__hidden", "unset")
    def __init__(self): self.place, self.__hidden = 1, 2
    def both(self): return self.place, self.__hidden, hasattr(self, "__dict__")
class Derived(Slotted):
    __slots__ = ["more", "__dict__", "__weakref__"]
    def __init__(self):
        super().__init__()
        self.more, self.free = 3, 4
def make_both(): return Slotted(), Derived()
def ask(*slotted): return [one.both() for one in slotted]
for _ in range(2):
    slotted, derived = {direction}(make_both)
    assert (Slotted, Derived) == (type(slotted), type(derived))
    assert (1, 2, False) == slotted.both() and not hasattr(slotted, "unset")
    assert (1, 2, True, 3, 4) == (*derived.both(), derived.more, derived.free)
    assert [(1, 2, False), (1, 2, True)] == {direction}(ask, slotted, derived)
""",
    )


@pytest.mark.slow
def test_class_state_lasts_there_and_stays_away_from_here(run_script: ScriptRunner) -> None:
    """
    A class keeps what tasks have set on it; the host's class is never touched.
    """
    run(
        run_script,
        """
assert [1, 2, 3] == [other(count_made) for _ in range(3)]
other(give, Point(1))
assert 4 == other(count_made)
assert 0 == Point.n_made
""",
    )


@pytest.mark.slow
def test_a_class_that_no_longer_pickles_comes_home(run_script: ScriptRunner) -> None:
    """
    An instance comes home by reference to its class, whatever a task has put on the class.
    """
    run(run_script, "assert type(other(spoil)) is Point")


@pytest.mark.slow
def test_a_function_of_main_comes_home_as_itself(run_script: ScriptRunner) -> None:
    """
    A function of `__main__` that is returned is the host's own function.
    """
    run(
        run_script,
        """
assert other(give, helper) is helper
assert sideways(give, helper) is helper
assert 5 == other(give, lambda: 5)()
""",
    )


@pytest.mark.slow
def test_an_initializer_sets_a_global_for_the_tasks(run_script: ScriptRunner) -> None:
    """
    Functions of `__main__` share their globals there, as they do here.
    """
    run(
        run_script,
        """
assert other(get_state) is None
other(set_state, 5)
assert 5 == other(get_state)
assert state is None
""",
    )


@pytest.mark.slow
def test_a_cache_in_a_global_lasts(run_script: ScriptRunner) -> None:
    """
    A mutable global keeps what tasks put into it until the host changes its own.
    """
    run(
        run_script,
        """
assert ["a"] == other(remember, "a")
assert ["a", "b"] == other(remember, "b")
cache["here"] = True
assert ["c", "here"] == other(remember, "c")
""",
    )


@pytest.mark.slow
def test_an_initializer_may_replace_a_function(run_script: ScriptRunner) -> None:
    """
    What a task has put in the place of a helper stays, as long as the host's helper is the same.
    """
    run(
        run_script,
        """
def replace():
    global helper
    helper = lambda: "replaced"
assert 1 == other(use_helper)
other(replace)
assert "replaced" == other(lambda: helper())
""",
    )


@pytest.mark.slow
def test_a_redefined_helper_arrives(run_script: ScriptRunner) -> None:
    """
    What the host has changed since replaces what the worker has.
    """
    run(
        run_script,
        """
assert 1 == other(use_helper)
def helper(): return 2
assert 2 == other(use_helper)
""".replace("def helper", "globals()['helper'] = lambda: 2 #"),
    )


@pytest.mark.slow
def test_a_known_class_costs_no_definition(run_script: ScriptRunner) -> None:
    """
    On the way home an instance is as short as its name, its class's ident and its state.
    """
    run(
        run_script,
        """
other(give, Point(1))
assert len(other.answer) < 250, len(other.answer)
assert 1 == other.n_definitions
""",
    )


@pytest.mark.slow
def test_a_class_of_the_other_process_comes_and_goes(run_script: ScriptRunner) -> None:
    """
    A class made there is one class here, and is itself again there.
    """
    run(
        run_script,
        """
def make_local():
    class Local: pass
    make_local.kept = Local
    return Local()
first, second = other(give, other(make_local)), other(make_local)
assert type(first).__name__ == "Local" and type(first) is not type(second)
assert type(other(give, first)) is type(first)
""",
    )


@contextlib.contextmanager
def half_imported(source: str) -> Iterator[types.ModuleType]:
    module = types.ModuleType("half_imported_module")
    module.__spec__ = types.SimpleNamespace(_initializing=True)  # type: ignore[assignment]  # all that is read
    sys.modules[module.__name__] = module
    exec(source, module.__dict__)
    try:
        yield module
    finally:
        del sys.modules[module.__name__]


@pytest.mark.slow
def test_a_module_that_is_being_imported_is_not_imported_there() -> None:
    """
    A function of a module whose body is still running goes by value, with its class, both ways.
    """
    source = "class C: pass\ndef make(): return C()\ndef boom(): return None"
    with half_imported(source) as module, OtherProcess() as other:
        assert definition.define(module.make) is None
        assert type(other(module.make)) is module.C
        assert type(other(module.make)) is module.C


@pytest.mark.slow
def test_the_error_names_the_global(run_script: ScriptRunner) -> None:
    """
    A function that refers to a global which does not pickle says which one, and what to do.
    """
    run(
        run_script,
        """
globals()["numbers"] = (n for n in range(3))
def use_numbers(): return numbers
try:
    other(use_numbers)
except TypeError as error:
    assert "cannot pickle 'generator' object" == str(error)
    assert "global variable 'numbers'" in error.__notes__[0]
else:
    raise AssertionError
""",
    )


def test_a_changed_class_is_packed_again() -> None:
    """
    The bytes of a class are reused only as long as the class is what it was.
    """
    with half_imported("class C:\n    a = 1") as module:
        module.__spec__ = None  # imported now
        module.C.__module__ = "__main__"
        module.C.__qualname__ = "C"
        main: Any = sys.modules["__main__"]
        main.C = module.C
        try:
            before = codec.pack(module.C).payload
            assert before == codec.pack(module.C).payload
            module.C.a = 2
            assert before != codec.pack(module.C).payload
        finally:
            del main.C


@pytest.mark.slow
def test_what_pickles_as_a_name_goes_by_value(run_script: ScriptRunner) -> None:
    """
    A new type, a parameter of generics and a program's own marker are made there, with their parts.
    """
    run(
        run_script,
        """
class Marker:
    def __init__(self, name, parts): self.name, self.parts = name, parts
    def __reduce__(self): return self.name
MARKER = Marker("MARKER", [1, 2])
UserId = typing.NewType("UserId", int)
P = typing.ParamSpec("P")
Ts = typing.TypeVarTuple("Ts")
def parts(marker, new_type, *parameters):
    return marker.parts, new_type.__supertype__, [made.__name__ for made in parameters]
assert ([1, 2], int, ["P", "Ts"]) == other(parts, MARKER, UserId, P, Ts)
""",
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements came with Python 3.12")
def test_an_alias_goes_by_value(run_script: ScriptRunner) -> None:
    """
    What a `type` statement made is made there again.
    """
    run(
        run_script,
        """
type Number = int | float
type Table[T] = dict[str, T]
def parts(plain, generic):
    is_whole = generic.__parameters__ == generic.__value__.__parameters__
    return plain.__name__, plain.__value__, is_whole
assert ("Number", int | float, True) == other(parts, Number, Table)
""",
    )


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["host", "sideways"])
def test_a_class_keeps_its_full_name(run_script: ScriptRunner, direction: str) -> None:
    """
    A class within a class or a function is called the same there.
    """
    run(
        run_script,
        """
class Outer:
    class Inner: ...
    class Pair(typing.NamedTuple):
        a: int
    @dataclasses.dataclass
    class Data:
        a: int
def local():
    class Local: ...
    return Local()
other = DIRECTION
def name(value): return type(value).__qualname__
values = Outer.Inner(), Outer.Pair(1), Outer.Data(1), local()
names = ["Outer.Inner", "Outer.Pair", "Outer.Data", "local.<locals>.Local"]
assert names == [other(name, value) for value in values]
assert "Outer.Data(a=1)" == other(repr, Outer.Data(1)) == repr(other(lambda: Outer.Data(1)))
""".replace("DIRECTION", direction),
    )


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["host", "sideways"])
def test_a_generic_function(run_script: ScriptRunner, direction: str) -> None:
    """
    A generic function finds its implementations there, and comes home as itself.
    """
    run(
        run_script,
        """
@functools.singledispatch
def describe(value): return "something"
@describe.register
def _(value: int): return "a number"
@describe.register(list)
def _(value): return [describe(item) for item in value]
describe.note = "kept"
other = DIRECTION
def look(fn): return fn.note, fn.__name__, fn(1), fn([1, "a"]), fn
*seen, fn = other(look, describe)
assert ["kept", "describe", "a number", ["a number", "something"]] == seen
assert fn is describe
""".replace("DIRECTION", direction),
    )


@pytest.mark.slow
def test_an_argument_has_one_cache(run_script: ScriptRunner) -> None:
    """
    A cached function that comes as an argument again still has what it has cached.
    """
    run(
        run_script,
        """
@functools.cache
def square(number): return number * number
def hits(fn): return fn(3), fn.cache_info().hits
assert [(9, 0), (9, 1), (9, 2)] == [other(hits, square) for _ in range(3)]
""",
    )


class Handle:
    """What pickles only in a way that the program has told multiprocessing."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        raise TypeError("a handle does not pickle")


def _reduce_handle(handle: Handle) -> Any:
    return Handle, (handle.number,)


def test_what_is_registered_with_multiprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A type whose reducer `ForkingPickler` knows goes by it, as in the standard library's pool.
    """
    with pytest.raises(TypeError, match="does not pickle"):
        codec.pack([Handle(3)])
    reducers = {**ForkingPickler._extra_reducers, Handle: _reduce_handle}  # type: ignore[attr-defined]
    monkeypatch.setattr(ForkingPickler, "_extra_reducers", reducers)
    handle = codec.unpack(codec.pack(Handle(3)).payload)
    assert isinstance(handle, Handle)
    assert 3 == handle.number
