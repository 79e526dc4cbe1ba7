"""
Tests of `webworker_executor.wire.whole`: classes that cannot be taken apart.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire.forks import Forks, inherited, noted, packing_for_forks
from webworker_executor.wire.whole import as_inherited, find, find_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.script import ScriptRunner


def refusing(*refused: type) -> Callable[[type, frozenset[type]], None]:
    """
    Make what packs a class, where some cannot be taken apart, and others are derived from these.
    """

    def pack(cls: type, whole: frozenset[type]) -> None:
        given = whole | {each for each in refused if found(each)}
        if any(each in refused and each not in given for each in cls.__mro__):
            raise TypeError("cannot pickle it")

    return pack


def found(cls: type) -> bool:
    """
    Tell whether a class goes as what was inherited.
    """
    return as_inherited(cls, to_host=False) is not None


def test_only_what_is_at_fault_is_found() -> None:
    """
    Not what has it for a base, nor what is all right.
    """

    class Refused: ...

    class Derived(Refused): ...

    class Fine: ...

    classes = [Fine, Derived, Refused, Refused]

    def look() -> list[bool]:
        is_again = find(classes, refusing(Refused), to_host=False)
        # Twice, it would be for ever.
        is_and_again = find(classes, refusing(Refused), to_host=False)
        return [is_again, is_and_again, *map(found, classes)]

    assert [True, False, False, False, True, True] == packing_for_forks(look, forks=Forks())
    assert not found(Refused)
    assert not packing_for_forks(found, Refused)


def test_what_came_after_the_fork_is_not_found() -> None:
    """
    Nor anything where nobody is a fork.
    """

    class Late: ...

    forks = Forks()
    forks.begin()
    look: Any = lambda: find([Late], refusing(Late), to_host=False)  # noqa: E731  # short
    assert not packing_for_forks(look, forks=forks)
    assert not look()
    assert not find([Late], refusing(Late), to_host=True)


def test_globals_that_do_not_pack_are_noted_for_this_packing() -> None:
    """
    No others, and nothing to which there is no reference.
    """

    class Thing: ...

    refused, fine, weak_less = Thing(), Thing(), [1]

    def pack(value: object, whole: frozenset[type]) -> None:
        if value is not fine:
            raise TypeError("cannot pickle it")

    def look() -> None:
        assert find_values([refused, fine, weak_less, Thing], pack)
        assert [id(refused)] == list(noted())
        made_by, arguments = noted()[id(refused)][1].__reduce__()
        assert made_by is inherited
        assert made_by(*arguments) is refused
        assert not find_values([refused, fine, weak_less], pack)

    packing_for_forks(look, forks=Forks())
    assert not find_values([refused], pack)


def test_what_a_signal_handler_raises_comes_out() -> None:
    """
    It says nothing of the class.
    """

    class Innocent: ...

    def interrupt(number: int, frame: object) -> None:
        raise TimeoutError

    def pack(cls: type, whole: frozenset[type]) -> None:
        signal.raise_signal(signal.SIGUSR1)

    def look() -> None:
        with pytest.raises(TimeoutError):
            find([Innocent], pack, to_host=False)
        assert not found(Innocent)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        packing_for_forks(look, forks=Forks())
    finally:
        signal.signal(signal.SIGUSR1, before)


WHOLE = """
import weakref
from webworker_executor import WebWorkerExecutor

class Meta(type):
    # Of what this class holds, nothing can be made again.
    def __new__(cls, name, bases, variables):
        made = super().__new__(cls, name, bases, variables)
        made.registry = {"itself": weakref.ref(made)}
        return made

    def __setattr__(cls, name, value):
        if "registry" in vars(cls):
            raise TypeError("it is complete")
        super().__setattr__(name, value)

class Registered(metaclass=Meta):
    def __init__(self, number):
        self.number = number

weak = weakref.WeakValueDictionary()

def make(number):
    return Registered(number + len(weak))

def number_of(registered):
    return registered.number

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher="fork") as pool:
        made = pool.submit(make, 3).result()
        print(type(made) is Registered, made.number, pool.submit(number_of, Registered(4)).result())
        print([type(made) is Registered for made in pool.map(make, [1, 2])])
        try:
            pool.submit(number_of, (number for number in [1])).result()
        except TypeError as error:
            print(error)
"""


@pytest.mark.slow
def test_what_cannot_be_taken_apart_is_what_the_fork_has(run_script: ScriptRunner) -> None:
    """
    Also on its way back; what no fork has is refused as ever.
    """
    done = run_script(WHOLE)
    expected = ["True 3 4", "[True, True]", "cannot pickle 'generator' object"]
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)


BESIDE = """
import weakref
import numpy
from webworker_executor import WebWorkerExecutor

class Other:
    pass

def decorate(function):
    reference = weakref.ref(Other)

    def method(self):
        return reference, function(self)

    return method

class Whole:
    @decorate
    def method(self):
        return 0

    class Inner:
        @decorate
        def method(self):
            return 1

class Derived(Whole):
    def count(self):
        return len(numbers)

numbers = [1]
large = numpy.ones(100_000)

def use(*given):
    return numbers

with WebWorkerExecutor(1, launcher="fork") as pool:
    print(pool.submit(use, Whole()).result())
    numbers.append(2)
    print(pool.submit(use, Whole(), Whole.Inner()).result())

    def use(*given):
        return "new", numbers

    print(pool.submit(use, Whole()).result())
    numbers.append(3)
    print(pool.submit(Derived.count, Derived()).result())

    def back(given):
        return [given, Whole(), Whole.Inner(), large.sum()]

    given, made, inner, total = pool.submit(back, Whole()).result()
    print(type(given) is type(made) is Whole, type(inner) is Whole.Inner, total)

    class Late:
        @decorate
        def method(self):
            return 0

    for _ in range(2):
        error = pool.submit(use, Whole(), Late()).exception()
        print(type(error).__name__, "cannot pickle 'weakref" in str(error))
    print(pool.submit(use, Whole()).result())
"""


@pytest.mark.slow
def test_what_is_beside_it_goes_by_value_as_ever(run_script: ScriptRunner) -> None:
    """
    Functions with the code and the globals that they have now; what came after the fork is refused.
    """
    pytest.importorskip("numpy")
    done = run_script(BESIDE)
    expected = [
        "[1]",
        "[1, 2]",
        "('new', [1, 2])",
        "3",
        "True True 100000.0",
        "TypeError True",
        "TypeError True",
        "('new', [1, 2, 3])",
    ]
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)
