"""What a program defines in its own file, cell or prompt goes to workers and comes back its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.script import PACKAGE_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner

BEGIN = """
import sys
from webworker_executor import WebWorkerExecutor

executor = WebWorkerExecutor(2, launcher=sys.argv[1])
"""

PROGRAMS = {
    "a function": """
def double(number):
    return 2 * number
print(executor.submit(double, 21).result() == 42)
""",
    "a lambda and a closure": """
def make(factor):
    return lambda number: factor * number
print(list(executor.map(make(3), range(3))) == [0, 3, 6])
""",
    "globals of a function": """
import math
SCALE = 10
TABLE = {"a": 1}
def helper(number):
    return SCALE * number
def use():
    return helper(math.floor(1.5)) + TABLE["a"]
first = executor.submit(use).result()
SCALE = 20
TABLE["a"] = 2
print((first, executor.submit(use).result()) == (11, 22))
""",
    "what an initializer has set by other means than a global statement": """
model = None
def start(value):
    globals()["model"] = value
    use.cache = value
def use():
    return model, use.cache
with WebWorkerExecutor(1, initializer=start, initargs=(7,), launcher=sys.argv[1]) as prepared:
    before = [prepared.submit(use).result() for _ in range(2)]
    model = 8
    print((before, prepared.submit(use).result()) == ([(7, 7)] * 2, (8, 7)))
""",
    "what an initializer has set before a function is first sent": """
model = None
def start(value):
    globals()["model"] = value
def use():
    return model
with WebWorkerExecutor(1, initializer=start, initargs=(7,), launcher=sys.argv[1]) as prepared:
    prepared.submit(abs, -1).result()
    print(prepared.submit(use).result() == 7)
""",
    "a global that a task has set before the program has": """
def leave():
    global left
    left = "by a task"
def use():
    return left
executor.submit(leave).result()
left = "by the program"
print(executor.submit(use).result() == "by the program")
""",
    "markers for no value": """
class Marker: ...
UNSET, NOTHING = object(), Marker()
def is_unset(value=UNSET, *, other=NOTHING):
    return value is UNSET and other is NOTHING
def ask():
    return is_unset() and ask.marker is UNSET
ask.marker = UNSET
class Store:
    default = UNSET
    def get(self, default=NOTHING):
        return default is NOTHING and self.default is UNSET
def nested():
    marker = UNSET
    return lambda: marker is UNSET
def send_first():
    return UNSET, NOTHING
with executor:
    executor.submit(send_first).result()
    calls = [is_unset, ask, Store().get, nested()] * 5
    print([executor.submit(call).result() for call in calls] == [True] * 20)
""",
    "what a task leaves in its function": """
def default(number, memo={}):
    known = number in memo
    memo[number] = number
    return known
def keyword(*, memo=[]):
    memo.append(1)
    return len(memo)
def attribute():
    attribute.n += 1
    return attribute.n
attribute.n = 0
def remember(fn):
    results = {}
    def wrapper(number):
        known = number in results
        results[number] = fn(number)
        return known
    wrapper.__qualname__ = wrapper.__name__ = fn.__name__
    return wrapper
@remember
def closure(number):
    return number
with WebWorkerExecutor(1, launcher=sys.argv[1]) as single:
    def thrice(fn, *args):
        return [single.submit(fn, *args).result() for _ in range(3)]
    lasts = [thrice(default, 1), thrice(keyword), thrice(attribute), thrice(closure, 1)]
    lasts.append(list(single.starmap(attribute, [()] * 2)))
    attribute.n = 10
    default.__defaults__[0][2] = 2
    lasts.append([single.submit(attribute).result(), single.submit(default, 2).result()])
print(lasts == [
    [False, True, True], [1, 2, 3], [1, 2, 3], [False, True, True], [4, 5], [11, True]
])
""",
    "what an initializer has set on a function that has it already": """
def work():
    return work.connection, work.__defaults__
work.connection = None
def get(box=[]):
    return box
def start(value):
    work.connection = value
    get.__defaults__[0].append(value)
with WebWorkerExecutor(1, initializer=start, initargs=(7,), launcher=sys.argv[1]) as prepared:
    before = [(prepared.submit(work).result()[0], prepared.submit(get).result()) for _ in range(2)]
    work.connection = 8
    print((before, prepared.submit(work).result()[0]) == ([(7, [7])] * 2, 8))
""",
    "a lock that is a default": """
import threading
def locked(lock=threading.Lock(), known=[]):
    with lock:
        known.append(lock)
        return len(set(map(id, known)))
LOCK = threading.Lock()
def is_that(lock=LOCK):
    return lock is LOCK
def use():
    return LOCK.locked() or is_that()
with WebWorkerExecutor(1, launcher=sys.argv[1]) as single:
    found = [single.submit(fn).result() for fn in (locked, locked, use, is_that, is_that)]
    print(found == [1, 1, True, True, True])
""",
    "globals that change before they are first needed": """
TABLE = {"a": 1}
def use():
    return TABLE["a"]
executor.submit(abs, -1).result()
TABLE["a"] = 2
print(executor.submit(use).result() == 2)
""",
    "a recursive function": """
def factorial(number):
    return 1 if number == 0 else number * factorial(number - 1)
print(executor.submit(factorial, 10).result() == 3628800)
""",
    "an instance comes back as the caller's own class": """
class Point:
    def __init__(self, x):
        self.x = x
def move(point):
    assert type(point) is Point
    return Point(point.x + 1)
moved = executor.submit(move, Point(1)).result()
print(type(moved) is Point and moved.x == 2)
""",
    "an instance with slots comes back with what they hold": """
class Point:
    __slots__ = ("x",)
    def __init__(self, x):
        self.x = x
def move(point):
    return Point(point.x + 1)
moved = executor.submit(move, Point(1)).result()
print(type(moved) is Point and moved.x == 2)
""",
    "members of an enum are identical": """
import enum
class Colour(enum.Enum):
    RED = 1
def same(colour):
    assert colour is Colour.RED
    return colour
print(executor.submit(same, Colour.RED).result() is Colour.RED)
""",
    "classes whose statements have keywords": """
class Plugin:
    def __init_subclass__(cls, *, name, **keywords):
        super().__init_subclass__(**keywords)
        cls.name = name
class Csv(Plugin, name="csv"):
    pass
class Tagging(type):
    def __new__(cls, name, bases, namespace, *, tag):
        made = super().__new__(cls, name, bases, namespace)
        made.tag = tag
        return made
    def __init__(cls, name, bases, namespace, *, tag):
        super().__init__(name, bases, namespace)
class Tagged(metaclass=Tagging, tag=3):
    pass
def tell(plugin):
    return plugin, plugin.name, super(Csv, plugin).name, Tagged.tag
Plugin.name = "none"
plugin, *names = executor.submit(tell, Csv()).result()
print(type(plugin) is Csv and names == ["csv", "none", 3])
""",
    "a dataclass and a named tuple": """
from dataclasses import dataclass
from typing import NamedTuple
@dataclass
class Size:
    width: int
class Pair(NamedTuple):
    left: int
    right: Size
def swap(pair):
    return Pair(pair.left + 1, Size(pair.right.width + 1))
print(executor.submit(swap, Pair(1, Size(2))).result() == Pair(2, Size(3)))
""",
    "an exception is caught as the caller's own class": """
class Refused(Exception):
    def __init__(self, code, *, reason):
        super().__init__(reason)
        self.code = code
def refuse():
    raise Refused(7, reason="no")
try:
    executor.submit(refuse).result()
except Refused as exc:
    print((exc.code, str(exc)) == (7, "no"))
""",
    "a method and a class": """
class Account:
    total = 5
    def __init__(self, amount=0):
        self.amount = amount
    def add(self, more):
        return self.amount + more
    @classmethod
    def sum(cls):
        return cls.total
    @staticmethod
    def zero():
        return 0
results = [
    executor.submit(Account(1).add, 2).result(),
    executor.submit(Account.sum).result(),
    executor.submit(Account.zero).result(),
    executor.submit(Account, 9).result().amount,
]
print(results == [3, 5, 0, 9])
""",
    "a class defined anew, as in a notebook's cell": """
source = '''
class Model:
    version = {}
    def name(self):
        return f"model {{self.version}}"
def ask(model):
    assert type(model) is Model
    return model.name()
'''
names = []
for version in (1, 2):
    exec(source.format(version))
    names.append(executor.submit(ask, Model()).result())
print(names == ["model 1", "model 2"])
""",
    "a function defined anew": """
answers = []
for number in (1, 2):
    exec(f"def answer(): return {number}")
    answers.append(executor.submit(answer).result())
print(answers == [1, 2])
""",
    "what a task pickles itself": """
import pickle
class Point:
    x = 3
def helper():
    pass
def copy(point, fn):
    assert type(pickle.loads(pickle.dumps(point))) is Point
    return pickle.loads(pickle.dumps(fn)) is helper and pickle.loads(pickle.dumps(copy)) is copy
print([executor.submit(copy, Point(), helper).result() for _ in range(4)] == 4 * [True])
""",
    "what a task pickles of a class and a function defined anew": """
import pickle
source = '''
class Model:
    version = {}
def ask():
    return {}
'''
def copy(model, fn):
    model, fn = pickle.loads(pickle.dumps((model, fn)))
    return model.version, fn()
answers = []
for version in (1, 2):
    exec(source.format(version, version))
    answers += [executor.submit(copy, Model(), ask).result() for _ in range(2)]
print(answers == [(1, 1), (1, 1), (2, 2), (2, 2)])
""",
    "a generic function": """
import functools
@functools.singledispatch
def describe(value):
    return "something"
@describe.register
def _(value: int):
    return "a number"
@describe.register(list)
def _(value):
    return ", ".join(map(describe, value))
class Shelf:
    @functools.singledispatchmethod
    def put(self, value):
        return describe(value)
    @put.register
    def _(self, value: str):
        return "a text"
def use(value):
    return describe(value), Shelf().put(value)
answers = list(executor.map(describe, [[1, "a"], 2]))
answers += executor.map(use, ["a", [1]])
describe.register(str, lambda text: text)
answers += [executor.submit(use, "a").result(), executor.submit(describe, "a").result()]
print(answers == [
    "a number, something", "a number",
    ("something", "a text"), ("a number", "a number"),
    ("a", "a text"), "a",
])
""",
    "names that objects pickle by": """
import typing
UserId = typing.NewType("UserId", int)
P = typing.ParamSpec("P")
Ts = typing.TypeVarTuple("Ts")
class Marker:
    def __init__(self, name):
        self.name = name
    def __reduce__(self):
        return self.name
MISSING = Marker("MISSING")
def look(user: UserId, default=MISSING, *rest: *Ts) -> typing.Callable[P, UserId]:
    return UserId(user), default is MISSING, MISSING, P, typing.get_type_hints(look)["user"], Ts
found = [executor.submit(look, UserId(7)).result() for _ in range(2)]
print(found == 2 * [(7, True, MISSING, P, UserId, Ts)])
""",
    "a global that goes back to what it was": """
debug, scale = False, 1
def work():
    return debug
def check():
    return debug
first = executor.submit(work).result()
debug = True
second = executor.submit(check).result()
debug = False
print([first, second, executor.submit(work).result()] == [False, True, False])
""",
    "a global that methods read": """
scale = 1
class Model:
    def predict(self):
        return scale
def predict(model):
    return model.predict()
found = []
for scale in (1, 2, 3, 1):
    found.append(executor.submit(predict, Model()).result())
print(found == [1, 2, 3, 1])
""",
    "a context variable of the program": """
from contextvars import ContextVar
language = ContextVar("language", default="none")
def read():
    return language.get()
before = executor.submit(read).result()
language.set("cs")
print((before, executor.submit(read).result()) == ("none", "cs"))
""",
    "no guard, and the program is run once": """
import os
if os.environ.setdefault("RUN", str(os.getpid())) != str(os.getpid()):
    os._exit(9)
print(list(executor.map(abs, [-1, -2])) == [1, 2])
""",
    "an initializer": """
STATE = []
def begin(value):
    STATE.append(value)
def read():
    return STATE
with WebWorkerExecutor(1, launcher=sys.argv[1], initializer=begin, initargs=(3,)) as other:
    print(other.submit(read).result() == [3] and STATE == [])
""",
    "a nested executor": """
def inner(number):
    with WebWorkerExecutor(1) as pool:
        return pool.submit(outer_helper, number).result()
def outer_helper(number):
    return number + 1
print(executor.submit(inner, 1).result() == 2)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_without_a_guard(run_script: ScriptRunner, launcher: str, program: str) -> None:
    """The program needs no `if __name__ == "__main__"`, and its definitions reach workers."""
    completed = run_script(BEGIN + program, launcher)
    assert ("", 0) == (completed.stderr, completed.returncode)
    assert "True" == completed.stdout.split()[-1]
    assert completed.stdout.count("\n") <= 2


TEXT = """
from webworker_executor import WebWorkerExecutor
class Point:
    def __init__(self, x): self.x = x
def move(point): return Point(point.x + 1)
with WebWorkerExecutor(2) as executor:
    moved = executor.submit(move, Point(1)).result()
print(type(moved) is Point, moved.x)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["-c", TEXT], ""),
        (["-"], TEXT),
        ([], TEXT),
        (["-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{TEXT}"], ""),
        (["-OO", "-c", TEXT], ""),
        (["-X", "dev", "-c", TEXT], ""),
        (["-W", "error", "-c", TEXT], ""),
        (["-X", "warn_default_encoding", "-W", "error", "-c", TEXT], ""),
    ],
    ids=[
        *("-c", "-", "stdin", "isolated", "optimized", "development", "warnings as errors"),
        "warnings of encodings as errors",
    ],
)
def test_a_program_that_is_no_file(arguments: list[str], stdin: str) -> None:
    """A program given as text works as one in a file."""
    completed = subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=PACKAGE_ROOT,
        timeout=30.0,
        check=False,
    )
    assert ("True 2\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)


@pytest.mark.slow
def test_a_prompt() -> None:
    """What is typed at the prompt can be sent."""
    lines = [*TEXT.replace("\n", "\n\n").split("\n\n")]
    text = "\n".join(line if line.startswith(" ") else f"\n{line}" for line in lines if line)
    completed = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=f"import sys; sys.ps1 = sys.ps2 = ''\n{text}\n\n",
        capture_output=True,
        text=True,
        cwd=PACKAGE_ROOT,
        timeout=30.0,
        check=False,
    )
    assert "True 2" in completed.stdout
    assert 0 == completed.returncode


@pytest.mark.slow
def test_a_module_run_by_name(run_script: ScriptRunner, launcher: str) -> None:
    """`python -m` programs are no different."""
    completed = run_script(
        f"import runpy, sys\nsys.argv[1:] = [{launcher!r}]\n"
        "open('program_by_name.py', 'w').write('''"
        + BEGIN
        + "class Point:\n    x = 3\ndef make(): return Point()\n"
        "print(type(executor.submit(make).result()) is Point)\n''')\n"
        "sys.path.insert(0, '')\n"
        "runpy.run_module('program_by_name', run_name='__main__', alter_sys=True)\n"
    )
    assert ("True\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)


PLUGIN = """
import dataclasses, enum, functools, threading, typing

LOCK = threading.Lock()
calls = 0
T = typing.TypeVar("T")

class Colour(enum.Enum):
    RED = 1

@dataclasses.dataclass(frozen=True)
class Box(typing.Generic[T]):
    content: T
    colour: Colour = Colour.RED

@functools.cache
def wrap(content):
    return Box(content) if Colour.RED is Box(content).colour else None

class Refused(Exception):
    pass

class Part:
    def __init__(self, size):
        self.size = size
    def grow(self, more):
        return Part(self.size + more)

def make(size):
    global calls
    calls += 1
    return Part(size), calls

def refuse(part):
    raise Refused(part.size)

def begin(given):
    global part
    part = given

def read():
    return part
"""

USE_PLUGIN = """
import functools, operator
part, calls = executor.submit(plugin.make, 1).result()
with WebWorkerExecutor(1, None, plugin.begin, (part,), launcher=sys.argv[1]) as prepared:
    kept = prepared.submit(plugin.read).result()
grown = [
    executor.submit(part.grow, 1).result(),
    executor.submit(functools.partial(plugin.Part.grow, part), 1).result(),
    *executor.map(operator.methodcaller("grow", 1), [part]),
    executor.submit(lambda: part.grow(1)).result(),
]
print(
    type(executor.submit(plugin.refuse, part).exception()) is plugin.Refused
    and {plugin.Part} == {type(part), type(kept), *map(type, grown)}
    and [2] * 4 == [part.size for part in grown]
    and plugin.Box("a") == executor.submit(plugin.wrap, "a").result()
    and plugin.Box[int](1) == executor.submit(plugin.Box[int], 1).result()
)
"""

WAYS_TO_LOAD = {
    "a file of any place": """
import importlib.util
spec = importlib.util.spec_from_file_location("plugin_by_file", folder + "/plugin.py")
plugin = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = plugin
spec.loader.exec_module(plugin)
""",
    "a file with the name of another module": """
import importlib.util
spec = importlib.util.spec_from_file_location("colorsys", folder + "/plugin.py")
plugin = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = plugin
spec.loader.exec_module(plugin)
""",
    "a folder that is no longer searched": """
sys.path.insert(0, folder)
import plugin
sys.path.remove(folder)
""",
    "a folder that is relative to one that was left": """
os.chdir(folder)
sys.path.insert(0, "")
import plugin
os.chdir("/")
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("load", WAYS_TO_LOAD.values(), ids=WAYS_TO_LOAD)
def test_a_module_that_workers_do_not_find(
    run_script: ScriptRunner, launcher: str, tmp_path: Path, load: str
) -> None:
    """What a program loads from where no worker would look goes to workers, as into a fork."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "plugin.py").write_text(PLUGIN)
    begin = f"import os, sys\nfolder = {str(folder)!r}\n"
    completed = run_script(begin + load + BEGIN + USE_PLUGIN, launcher)
    assert ("True\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)


USE_INSTANCES = """
import operator
part, boxes = plugin.Part(3), [plugin.Box("a"), plugin.Box(plugin.Colour.RED)]
given = {"initargs": (part,), "worker_data": boxes, "launcher": sys.argv[1]}
with WebWorkerExecutor(1, initializer=operator.attrgetter("size"), **given) as prepared:
    is_prepared = prepared.submit(bool, 1).result()
print(
    is_prepared
    and 3 == executor.submit(operator.attrgetter("size"), part).result()
    and boxes == executor.submit(list, boxes).result()
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("load", WAYS_TO_LOAD.values(), ids=WAYS_TO_LOAD)
def test_an_instance_of_a_class_that_workers_do_not_find(
    run_script: ScriptRunner, launcher: str, tmp_path: Path, load: str
) -> None:
    """Nothing else of its module need have been sent: not to a task, nor to an initializer."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "plugin.py").write_text(PLUGIN)
    begin = f"import os, sys\nfolder = {str(folder)!r}\n"
    completed = run_script(begin + load + BEGIN + USE_INSTANCES, launcher)
    assert ("True\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)
