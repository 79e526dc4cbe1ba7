"""
What goes by value without cloudpickle arrives as with it.
"""

from __future__ import annotations

import concurrent.futures
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from cloudpickle.cloudpickle import _extract_code_globals

from webworker_executor.wire import codec, departure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.script import ScriptRunner

counter = 0


def all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_code(constant)


def there_and_back(value: Any) -> Any:
    payload = departure.dumps_plainly(value, None, to_host=False)
    assert payload is not None
    return codec.unpack(payload)


@pytest.mark.parametrize("name", ["argparse", "typing", "inspect", "ast", "subprocess", "enum"])
def test_globals_are_found_as_cloudpickle_finds_them(name: str) -> None:
    """
    The global names of any function are those that cloudpickle reads from its code.
    """
    path: Any = __import__(name).__file__
    with open(path, encoding="utf-8") as file:
        module = compile(file.read(), path, "exec")
    codes = list(all_code(module))
    assert len(codes) > 20
    for code in codes:
        assert set(_extract_code_globals(code)) == set(departure.global_names(code))


def test_more_globals_than_a_byte_can_number() -> None:
    """
    A function that uses hundreds of globals has all of them.
    """
    names = [f"name_{index}" for index in range(600)]
    code = compile("lambda: (" + ", ".join(names) + ")", "many", "eval")
    assert set(names) == set(departure.global_names(code))


def make_counter() -> Callable[[int], int]:
    total = 0

    def count(by: int = 1, *, times: int = 1) -> int:
        """Count."""
        nonlocal total
        total += by * times
        return total

    count.__dict__["mark"] = "kept"
    return count


def test_a_closure() -> None:
    """
    A closure has its cells, defaults, attributes, annotations and documentation.
    """
    original: Any = make_counter()
    original(5)
    copy = there_and_back(original)
    assert [6, 16] == [copy(), copy(5, times=2)]
    assert 6 == original()
    assert ("kept", "Count.", original.__annotations__) == (
        copy.mark,
        copy.__doc__,
        copy.__annotations__,
    )
    assert original.__qualname__ == copy.__qualname__


def test_a_function_that_calls_itself() -> None:
    """
    A local function may refer to itself through its closure.
    """

    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    assert 120 == there_and_back(factorial)(5)


def test_an_empty_cell() -> None:
    """
    A variable of a closure that has no value yet has none there either.
    """

    def give() -> object:
        return later

    copy = there_and_back(give)
    with pytest.raises(NameError):
        copy()
    later = 1
    assert 1 == give()


def test_modules_and_submodules_are_named() -> None:
    """
    A module goes by name, and so do submodules that a function uses.
    """
    names = [module.__name__ for module in departure._submodules(uses.__code__, [concurrent])]
    assert ["concurrent.futures"] == names
    assert there_and_back(lambda: (sys, concurrent))() == (sys, concurrent)


def uses() -> object:
    return concurrent.futures


def test_what_is_beyond_it_is_left_to_cloudpickle() -> None:
    """
    For a class of no module, and for what does not pickle, it gives up and says nothing.
    """

    class Local: ...

    for value in (Local, Local(), [lambda: Local], (n for n in "x")):
        assert departure.dumps_plainly(value, None, to_host=False) is None


def test_code_with_a_strange_constant_is_left_to_cloudpickle() -> None:
    """
    Code that cannot be marshalled is not an error here.
    """
    fn: Any = make_counter()
    fn.__code__ = fn.__code__.replace(co_consts=(*fn.__code__.co_consts, object))
    assert departure.dumps_plainly(fn, None, to_host=False) is None


WITHOUT = """
import sys, threading
from webworker_executor import WebWorkerExecutor

class Point:
    def __init__(self, x): self.x = x
step = 2
def add(x): return x + step
def moved(point): return Point(point.x + step)
def loaded(): return "cloudpickle" in sys.modules

if __name__ == "__main__":
    with WebWorkerExecutor(1) as executor:
        assert [3, 4] == list(executor.map(add, [1, 2]))
        assert 7 == executor.submit(lambda x: add(x), 5).result(20)
        print(loaded(), executor.submit(loaded).result(20))
        answer = executor.submit(moved, Point(1)).result(20)
        assert type(answer) is Point and answer.x == 3
        # Whoever packs: a global that has not changed is not sent anew.
        def set_step(): global step; step = 100
        executor.submit(set_step).result(20)
        assert 101 == executor.submit(add, 1).result(20)
        print(loaded(), executor.submit(loaded).result(20))
"""


@pytest.mark.slow
def test_a_program_of_functions_does_without_cloudpickle(run_script: ScriptRunner) -> None:
    """
    Functions need cloudpickle on neither side; a class needs it in the host, and in no worker.
    """
    done = run_script(WITHOUT)
    assert ("", ["False", "False", "True", "False"]) == (done.stderr, done.stdout.split())
