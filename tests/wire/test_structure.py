"""
The types that a program makes by `ctypes` are in a worker what they are at home.
"""

from __future__ import annotations

import ctypes
import operator
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import structure

if TYPE_CHECKING:
    from tests.script import ScriptRunner

PROGRAM = """
import ctypes, sys
from webworker_executor import WebWorkerExecutor

class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
    unit = "m"
    def norm(self): return self.x + self.y
class Packed(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("a", ctypes.c_char), ("point", Point), ("bits", ctypes.c_uint, 3)]
class Either(ctypes.Union):
    _fields_ = [("whole", ctypes.c_int), ("half", ctypes.c_short)]
class Tagged(ctypes.Structure):
    _anonymous_ = ["value"]
    _fields_ = [("tag", ctypes.c_byte), ("value", Either)]
class More(Point):
    _fields_ = [("z", ctypes.c_int)]
class Node(ctypes.Structure): ...
Node._fields_ = [("number", ctypes.c_int), ("next", ctypes.POINTER(Node))]
class Big(ctypes.BigEndianStructure):
    _fields_ = [("a", ctypes.c_int)]
Points = Point * 3

def give(value): return value
def layout():
    found = [(ctypes.sizeof(each), ctypes.alignment(each))
             for each in (Point, Packed, Either, Tagged, More, Node, Big, Points)]
    offsets = Packed.point.offset, Tagged.whole.offset
    return found, offsets, Tagged(1, Either(2)).whole, bytes(Big(1))
def use():
    first = Node(1)
    second = Node(2, ctypes.pointer(first))
    return second.next.contents.number, Points(Point(1, 2.0))[0].norm(), More(1, 2.0, 3).z

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        home = executor.submit(give, Point(3, 4.0)).result()
        print(type(home) is Point and home.norm() == 7 and home.unit == "m")
        print(executor.submit(give, Points(Point(1, 2.0))).result()[0].y == 2)
        for cls in (Point, Packed, Either, Tagged, More, Node, Big, Points):
            print(executor.submit(give, cls).result() is cls)
        print(executor.submit(layout).result() == layout())
        print(executor.submit(use).result() == use())
"""


@pytest.mark.slow
def test_layouts_are_the_same_there(run_script: ScriptRunner, launcher: str) -> None:
    """
    Structures, unions, arrays and pointers have their fields where they have them here.
    """
    done = run_script(PROGRAM, launcher)
    assert ("", "True\n" * 12) == (done.stderr, done.stdout)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]


def test_arrays_and_pointers_are_made_by_a_call() -> None:
    """
    What the call would not give again is no such type.
    """
    assert (operator.mul, (Point, 2)) == structure.derived_from(Point * 2)
    assert (type, (ctypes.Structure,)) == structure.derived_from(type(Point))
    assert (ctypes.POINTER, (Point,)) == structure.derived_from(ctypes.POINTER(Point))
    stated: Any = type("Stated", (ctypes.Array,), {"_type_": Point, "_length_": 2})
    assert [None] * 3 == [structure.derived_from(each) for each in (Point, int, stated)]


def test_fields_come_last() -> None:
    """
    Their descriptors do not go at all.
    """
    attributes = {"_fields_": [1], "x": vars(Point)["x"], "_pack_": 1, "y": 5}
    structure.in_order(attributes)
    assert [("_pack_", 1), ("y", 5), ("_fields_", [1])] == list(attributes.items())
    structure.in_order(ordinary := {"b": 1})
    assert {"b": 1} == ordinary
