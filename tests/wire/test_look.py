"""
What is seen of values that change in place, without reading all of them.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from webworker_executor.wire.look import Look

SOURCE = """
import array, collections, functools
scale = 1
def helper(): return scale
class Model:
    def predict(self): return scale
class Meta(type): pass
class WithMeta(metaclass=Meta): pass
class Slotted:
    __slots__ = ("k",)
    def __init__(self): self.k = 1
class Own:
    def __init__(self): self.data, self.k = list(range(100_000)), 1
    def __getstate__(self): return self.data
class Plain:
    def __init__(self): self.data, self.k = list(range(100_000)), 1
"""

CHANGES = {
    "an item of a list": ("list(range(100_000))", "value[::2] = [0] * 50_000"),
    "more items": ("list(range(100_000))", "value.append(1)"),
    "a short list in a long one": ("[list(range(100_000)), [1]]", "value[1].append(2)"),
    "a short dictionary": ("{'t': list(range(100_000)), 'k': 1}", "value['k'] = 2"),
    "an equal value": ("{'t': list(range(100_000)), 'k': 1}", "value['k'] = True"),
    "another key": ("{'t': list(range(100_000)), 'k': 1}", "value['j'] = value.pop('k')"),
    "a dictionary": ("dict.fromkeys(range(100_000))", "value[-1] = 1"),
    "the first of a dictionary": ("dict.fromkeys(range(100_000))", "value[0] = 1"),
    "a set": ("set(range(100_000))", "value.add(-1)"),
    "a deque": ("collections.deque(range(100_000))", "value.append(1)"),
    "a counter": ("collections.Counter(range(100_000))", "value[-1] += 1"),
    "a bytearray": ("bytearray(100_000)", "value[:] = bytes([1]) * 100_000"),
    "an array": ("array.array('q', range(100_000))", "value[0] = 7"),
    "an attribute beside": ("Plain()", "value.k = 2"),
    "an attribute that holds itself": ("Plain()", "value.me = value"),
    "a slot": ("Slotted()", "value.k = 2"),
    "another tuple": ("tuple([i] for i in range(100_000))", "value = (*value, 1)"),
    "a global of a function in a dictionary": ("{'a': helper}", "scale = 2"),
    "a global of a function in many": ("[helper] * 100", "scale = 2"),
    "a global of a partial's": ("functools.partial(helper)", "scale = 2"),
    "a global of a method's": ("Model().predict", "scale = 2"),
    "a global of a class's": ("[Model()] * 100", "scale = 2"),
}


def variables_with(value: str) -> dict[str, Any]:
    """Make globals of a module that goes by value, and a function that reads one of them."""
    module = types.ModuleType("__main__")
    exec(SOURCE, vars(module))
    exec(f"value = {value}\ndef read(): return value", vars(module))
    return vars(module)


@pytest.fixture(autouse=True)
def _main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))


@pytest.mark.parametrize(("value", "change"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(value: str, change: str) -> None:
    """Where something small is another, or something large has another length or other places."""
    variables = variables_with(value)
    look = Look()
    look.holds(variables["read"])
    assert look.is_of_use
    assert look.is_unchanged()
    exec(change, variables)
    assert not look.is_unchanged()


@pytest.mark.parametrize(
    "value", ["Own()", "[WithMeta] * 100", "{'a': lambda x=[Own()]: Own}", "WithMeta"]
)
def test_there_is_no_look_where_it_would_tell_nothing(value: str) -> None:
    """What is large and hides itself, and code that may change unseen, are packed each time."""
    look = Look()
    look.holds(variables_with(value)["read"])
    assert not look.is_of_use


def test_a_function_with_an_empty_cell_hides_nothing() -> None:
    """As after ``except ... as error``, which deletes it."""
    variables = variables_with("1")
    exec(
        "def make():\n"
        "    late = 1\n"
        "    def read(): return scale, late\n"
        "    del late\n"
        "    return read\n"
        "read = make()",
        variables,
    )
    look = Look()
    look.holds(variables["read"])
    variables["scale"] = 2
    assert not (look.is_of_use and look.is_unchanged())


ARRAYS = {
    "numbers": ("numpy.zeros(100_000)", "value[:] = 1"),
    "a masked array": ("numpy.ma.zeros(100_000)", "value[:] = 1"),
    "a mask": ("numpy.ma.array(numpy.zeros(100_000), mask=False)", "value.mask = True"),
    "a record array": ("numpy.recarray(10_000, [('a', 'f8')])", "value.a = 7"),
    "in a dictionary": ("{'t': numpy.zeros(100_000)}", "value['t'][:] = 1"),
    "a shape": ("numpy.zeros(100_000)", "value.shape = 1000, 100"),
    "one with negative steps": ("numpy.zeros(100_000)[::-1]", "value[:] = 1"),
}


@pytest.mark.parametrize(("value", "change"), ARRAYS.values(), ids=ARRAYS)
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_a_change_of_an_array_is_seen(value: str, change: str) -> None:
    """Its shape, and numbers at some places."""
    numpy: Any = pytest.importorskip("numpy")
    variables = variables_with("0")
    exec(f"value = {value}", variables | {"numpy": numpy}, variables)
    look = Look()
    look.holds(variables["read"])
    assert look.is_of_use
    assert look.is_unchanged()
    exec(change, variables)
    assert not look.is_unchanged()


def test_an_array_of_objects_is_not_looked_at() -> None:
    """They may have changed, each in place."""
    numpy: Any = pytest.importorskip("numpy")
    variables = variables_with("0")
    variables["value"] = numpy.array([[1]] * 100_000 + [None], dtype=object)
    look = Look()
    look.holds(variables["read"])
    assert not look.is_of_use


def test_a_value_of_a_user_that_raises_has_changed() -> None:
    """Whoever packs it meets the error again, and tells it."""
    variables = variables_with("Plain()")
    look = Look()
    look.holds(variables["read"])
    exec("Plain.__reduce__ = lambda self: 1 / 0", variables)
    assert not look.is_unchanged()
