"""
An enumeration of `__main__` is in a worker what it is at home.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import codec, enumeration

if TYPE_CHECKING:
    from tests.script import ScriptRunner

KINDS = """
import abc, collections, dataclasses, datetime, decimal, enum, functools, sys
from webworker_executor import WebWorkerExecutor

class Planet(enum.Enum):
    MERCURY = (3.3e23, 2.4e6)
    EARTH = (5.9e24, 6.3e6)
    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius
    @property
    def density(self):
        return self.mass / self.radius**3

class Coded(str, enum.Enum):
    RED = ("red", "#f00")
    def __new__(cls, value, code):
        self = str.__new__(cls, value)
        self._value_ = value
        self.code = code
        return self

class Numbered(enum.Enum):
    def __new__(cls, *args):
        self = object.__new__(cls)
        self._value_ = len(cls.__members__) + 1
        self.words = list(args)
        return self
    ONE = "a", "b"
    TWO = "c"

class Aliased(enum.Enum):
    A = 1
    B = 1
    C = 2
    D = C

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
class Corner(Point, enum.Enum):
    TOP = (1, 2)
    LOW = (3, 4)

@dataclasses.dataclass
class Open:
    tags: list
class Tagged(Open, enum.Enum):
    ONE = (["a"],)

Pair = collections.namedtuple("Pair", "left right")
class Paired(Pair, enum.Enum):
    ONE = Pair(1, [2])

class Upper(enum.EnumMeta):
    def __getitem__(cls, name):
        return super().__getitem__(name.upper())
class Loud(enum.Enum, metaclass=Upper):
    A = 1

class Refusing(enum.EnumMeta):
    def __setattr__(cls, name, value):
        if "_refuses" in vars(cls):
            raise TypeError(name)
        super().__setattr__(name, value)
class Constant(enum.Enum, metaclass=Refusing):
    A = 1
type.__setattr__(Constant, "_refuses", True)

class AbstractEnum(abc.ABCMeta, enum.EnumMeta): ...
class Abstract(enum.Enum, metaclass=AbstractEnum):
    @abc.abstractmethod
    def area(self): ...
class Shape(Abstract):
    SQUARE = 1
    def area(self):
        return self._value_ ** 2
class Registered: ...
Shape.register(Registered)

class Small(enum.IntEnum):
    ONE = enum.auto()
    TWO = enum.auto()
    TEN = 10

class Word(enum.StrEnum):
    FIRST = enum.auto()
    SECOND = "2nd"

class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()
    BOTH = READ | WRITE
    NONE = 0
BOTH = Access.READ | Access.WRITE

class Kept(enum.IntFlag, boundary=enum.KEEP):
    A = 1
    C = 4

class Conform(enum.Flag, boundary=enum.CONFORM):
    C = 4
    A = 1

@enum.global_enum
class Known(enum.Enum):
    KNOWN = "known"
    def other(self): return KNOWN

class Unhashable(enum.Enum):
    LIST = [1]
    DICT = {"a": []}
    AGAIN = [1]

class Behaviour(enum.Enum):
    TRIPLE = enum.member(lambda x: x * 3)
    PART = functools.partial(max, 3)
    LIMIT = enum.nonmember(7)
    def plain(self):
        return self.name
    @classmethod
    def first(cls):
        return next(iter(cls))
    @staticmethod
    def answer():
        return 42

class Generated(enum.Enum):
    def _generate_next_value_(name, start, count, last):
        return name.lower() * (count + 1)
    _ignore_ = ["each"]
    A = enum.auto()
    B = enum.auto()
    for each in ("C", "D"):
        vars()[each] = each * 2
    @classmethod
    def _missing_(cls, value):
        return cls.A

class Base(enum.Enum):
    def shout(self):
        return self.name + "!"
    @classmethod
    def default(cls):
        return cls.A
class Derived(Base):
    A = 1

class Hooked(enum.Enum):
    def __init_subclass__(cls, *, unit, **keywords):
        super().__init_subclass__(**keywords)
        cls.unit = unit
class Length(Hooked, unit="m"):
    SHORT = 1

class Day(datetime.date, enum.Enum):
    FIRST = 2020, 1, 1

class Amount(decimal.Decimal, enum.Enum):
    HALF = "0.5"

class Slotted:
    __slots__ = ("width",)
class Size(Slotted, enum.Enum):
    WIDE = 9
    def __init__(self, width):
        self.width = width

class Number(int):
    def half(self):
        return self // 2
class Numbers(Number, enum.Enum):
    TEN = 10

class Byte(bytes, enum.Enum):
    A = b"a"

class Real(float, enum.Enum):
    HALF = 0.5

class Shadow(int, enum.Enum):
    real = 7

class Later(enum.Enum):
    A = 1
Later.A.extra = {"of": Later.A}
Later.note = 6
Later.table = {Later.A: "a"}

class Chained(enum.Enum):
    HEAD = 1
    TAIL = 2
    @property
    def other(self):
        return NEXT[self]
NEXT = {Chained.HEAD: Chained.TAIL, Chained.TAIL: Chained.HEAD}

class Compared(enum.Enum):
    ONE = 1
    TWO = 2
    def __lt__(self, other):
        return self.value < other.value
    def __eq__(self, other):
        return type(self) is type(other) and self.value == other.value
    def __hash__(self):
        return hash(self.value)

class Written(enum.Enum):
    A = 1
    def __str__(self): return "as " + self.name
    def __repr__(self): return "r " + self.name
    def __format__(self, spec): return "f" + spec

class Private(enum.Enum):
    A = 1
    __secret = 5
    def tell(self): return self.__secret

class Renamed(enum.Enum):
    A = 1
    __reduce_ex__ = getattr(enum, "pickle_by_enum_name", enum.Enum.__reduce_ex__)

class Outer:
    class Inner(enum.Enum):
        A = 1

Functional = enum.Enum("Functional", "RED GREEN", module=__name__)
NAMES = {"A": 1, "B": 1}
FunctionalInt = enum.IntEnum("FunctionalInt", NAMES, module=__name__)
Empty = enum.Enum("Empty", [])

def local():
    class Local(enum.Enum):
        A = 1
        B = (2, 3)
        def __init__(self, *args): self.args = args
    return Local
Local = local()

CLASSES = [value for value in list(globals().values()) if isinstance(value, enum.EnumMeta)]
CLASSES = [each for each in CLASSES if each.__module__ == "__main__"] + [Outer.Inner]

def text(value):
    if callable(value) and not isinstance(value, type):
        return value(2)
    if isinstance(value, (list, tuple)):
        return [text(each) for each in value]
    return repr(value)

def describe(cls):
    told = [cls.__name__, cls.__qualname__, cls.__module__, type(cls).__name__, len(cls)]
    told += [each.__qualname__ for each in cls.__mro__]
    told += sorted(name for name in vars(cls) if name not in ("__weakref__", "__slotnames__"))
    told += [list(cls.__members__), [each.name for each in cls], repr(cls)]
    told += sorted({*dir(cls)} - {"__slotnames__"})
    for name, each in cls.__members__.items():
        assert each is type(cls).__getitem__(cls, name) is getattr(cls, name) is cls(each.value)
        assert type(each) is cls and each in cls and isinstance(each, cls)
        told += [each.name, text(each.value), type(each.value).__name__]
        told += [str(each) if type(each.value).__name__ not in ("function", "partial") else ""]
        told += [f"{each}" if type(each.value).__name__ not in ("function", "partial") else ""]
        told += sorted((key, text(value)) for key, value in vars(each).items())
    return told

EXTRA = [
    lambda: Planet.EARTH.density,
    lambda: Planet((5.9e24, 6.3e6)).radius,
    lambda: (Coded.RED.code, Coded("red").upper(), Coded.RED == "red", len(Coded.RED)),
    lambda: (Corner.TOP.x, Corner.LOW.y, Corner.TOP == Point(1, 2)),
    lambda: Tagged.ONE.tags,
    lambda: (Paired.ONE.left, Paired.ONE.right, len(Paired.ONE)),
    lambda: Loud["a"].name,
    lambda: (Shape.SQUARE.area(), isinstance(Registered(), Shape), issubclass(int, Shape)),
    lambda: (Small.TEN + 1, Small(2).name, [1, 2, 3][Small.ONE]),
    lambda: (Word.FIRST + "x", Word("2nd").name),
    lambda: (repr(~Access.READ), repr(Access(3)), Access.READ in BOTH, BOTH is Access.BOTH,
        repr(Access.READ ^ BOTH)),
    lambda: (repr(Kept(11)), Kept.A | 8, repr(Conform(7)),
        [each.name for each in Conform.A | Conform.C]),
    lambda: (Unhashable([1]).name, Unhashable({"a": []}).name, len(Unhashable)),
    lambda: (Behaviour.TRIPLE.value(2), Behaviour.PART.value(2), Behaviour.LIMIT,
        Behaviour.PART.plain(), Behaviour.first().name, Behaviour.answer()),
    lambda: (Generated("nothing").name, [each.value for each in Generated]),
    lambda: (Derived.A.shout(), Derived.default().name, Length.unit),
    lambda: (Day.FIRST.year, Day.FIRST < datetime.date(2021, 1, 1), Amount.HALF + 1,
        Size.WIDE.width, Numbers.TEN.half()),
    lambda: (Byte.A + b"b", Real.HALF * 2, Shadow.real + 1),
    lambda: (Later.A.extra["of"] is Later.A, Later.note, Later.table[Later.A]),
    lambda: (Chained.HEAD.other is Chained.TAIL, NEXT[Chained.TAIL].name),
    lambda: (sorted([Compared.TWO, Compared.ONE])[0].name, {Compared.ONE: 1}[Compared(1)]),
    lambda: (str(Written.A), repr(Written.A), f"{Written.A:x}", Private.A.tell()),
    lambda: type("Small", (), {}) and [each.name for each in Functional],
    lambda: enum.Enum("More", "A", type=int).A + 1,
    lambda: Known.KNOWN is KNOWN is KNOWN.other(),
    lambda: [member.args for member in Local],
]
def more(base):
    class More(base):
        B = 2
    return More.B.shout(), More.B.value

def give(value): return value
def is_same(one, name): return one is type(one).__members__[name]
def all_members(cls): return list(cls.__members__.values())

def outcome(fn, *args):
    try:
        return fn(*args)
    except Exception as error:
        return type(error), str(error)

def parted(there, here):
    if type(there) is list is type(here):
        both = (there, here), (here, there)
        there, here = [[part for part in one if part not in other] for one, other in both]
    return there, "there and here", here

def compare(executor):
    def ask(fn, *args):
        return outcome(lambda: executor.submit(fn, *args).result())
    n_compared = 0
    for cls in CLASSES:
        if (there := ask(describe, cls)) != (here := outcome(describe, cls)) or type(here) is tuple:
            print(cls, "is", *parted(there, here))
        if (home := ask(give, cls)) is not cls:
            print(cls, "comes home as", home)
        home = ask(all_members, cls)
        if type(home) is not list or [*map(id, home)] != [*map(id, all_members(cls))]:
            print(cls, "has its members come home as", home)
        for name, each in cls.__members__.items():
            if ask(is_same, each, name) is not True:
                print(each, "is another one there", ask(is_same, each, name))
            if (home := ask(give, each)) is not each:
                print(each, "comes home as", home)
            n_compared += 1
    for number, fn in enumerate(EXTRA):
        if (there := ask(fn)) != (here := outcome(fn)):
            print("extra", number, "gives", there, "there and here", here)
    if ask(more, Base) != more(Base):
        print("a base", ask(more, Base))
    if ask(give, BOTH) is not BOTH or ask(give, Access.READ & Access.WRITE) is not Access.NONE:
        print("flags", ask(give, BOTH))
    print(n_compared > 60, len(CLASSES) > 35)

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        compare(executor)
"""


@pytest.mark.slow
def test_every_kind_is_there_what_it_is_here(run_script: ScriptRunner, launcher: str) -> None:
    """
    Members, aliases, attributes and methods are the same, and members are one object each.
    """
    done = run_script(KINDS, launcher)
    assert ("", "True True\n") == (done.stderr, done.stdout)


class Planet(enum.Enum):
    EARTH = (6, [1])
    WORLD = (6, [1])  # noqa: PIE796  an alias
    MARS = (1, [2])

    def __init__(self, mass: int, moons: list[int]) -> None:
        self.mass = mass
        self.moons = moons


class Access(enum.Flag):
    READ = 1
    WRITE = 2


def test_what_an_enumeration_is_made_with_is_plain() -> None:
    """
    What may refer to a member comes when there are members.
    """
    arguments, (attributes, states, values, registered) = enumeration.taken_apart(Planet)
    *_, names, made_of = arguments
    assert {"EARTH": 0, "WORLD": 0, "MARS": 1} == names
    assert [{"mass", "_name_", "_sort_order_"}] * 2 == [set(held) for *_, held in made_of]
    assert [[1], [2]] == [held["moons"] for held, _ in states]
    assert [] == values == registered
    assert "_member_map_" not in attributes


def test_a_member_goes_by_its_name() -> None:
    """
    What is made of several flags has none, and goes by its value.
    """
    assert (enumeration.member, (Planet, "EARTH")) == enumeration.reduce_member(Planet.WORLD)
    assert Planet.EARTH is enumeration.member(Planet, "WORLD")
    assert NotImplemented is enumeration.reduce_member(Access.READ | Access.WRITE)


def test_what_does_not_wait_for_its_state_is_left_alone() -> None:
    """
    The state is set once, when the class has just been made.
    """
    made: Any = enumeration.make_enum(*enumeration.taken_apart(Planet)[0])
    assert ["EARTH", "WORLD", "MARS"] == list(made.__members__)
    state = enumeration.taken_apart(Planet)[1]
    # Nobody waits for it.
    enumeration.adopt_enum_state(made, state)
    assert not hasattr(made.EARTH, "moons")


def test_what_can_be_imported_goes_by_name() -> None:
    """
    An enumeration of a module is not taken apart.
    """
    payload = codec.pack_by_value((Planet, Planet.EARTH)).payload
    assert b"make_enum" not in payload
    assert (Planet, Planet.EARTH) == codec.unpack(payload)
