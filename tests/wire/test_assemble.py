"""
Tests of `webworker_executor.wire.assemble`: what fails costs one value, or one exception.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire import broken
from tests.wire.crossing import cross, names, raised
from webworker_executor.wire.failure import LeftBehind, RemoteError, pack_failure, unpack_failure


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_value_that_fails_to_load_is_replaced(error: type[BaseException]) -> None:
    """
    An attribute that raises while it is loaded takes nothing else with it.
    """
    exc: Any = ValueError("kept", broken.Explodes(error))
    exc.name, exc.bad = "name", [broken.Explodes(error)]
    arrived = cross(exc)
    assert (ValueError, "kept", "name") == (type(arrived), arrived.args[0], arrived.name)
    assert [LeftBehind] * 2 == [type(arrived.args[1]), type(arrived.bad)]
    assert f"{error.__name__}: not here" == arrived.bad.reason
    assert 2 == len(arrived.__notes__)


def test_class_that_is_not_found_becomes_a_remote_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A surrogate tells type, text, notes, arguments and reason, and has the frames and the chain.
    """
    exc = raised(broken.Vanishing("told", 5), raised(KeyError("k")))
    exc.add_note("a note")
    data = pack_failure(exc)
    monkeypatch.delattr(broken, "Vanishing")
    arrived: Any = unpack_failure(data)
    assert RemoteError is type(arrived)
    assert ("tests.wire.broken.Vanishing", "('told', 5)") == (arrived.type_name, arrived.text)
    assert (("a note",), ["a note"]) == (arrived.notes, arrived.__notes__)
    assert ("told", 5) == arrived.original_args
    assert "Can't get attribute 'Vanishing'" in arrived.reason
    assert "KeyError: 'k'" in arrived.traceback_text
    assert ["raised"] == names(arrived.__traceback__)
    assert KeyError is type(arrived.__cause__)


@pytest.mark.parametrize("other", [5, int, object])
def test_name_that_means_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, other: object
) -> None:
    """
    Where the host has no exception under the class's name, a surrogate takes its place.
    """
    data = pack_failure(raised(broken.Vanishing("told")))
    monkeypatch.setattr(broken, "Vanishing", other)
    arrived: Any = unpack_failure(data)
    assert (RemoteError, "told") == (type(arrived), arrived.text)
    assert arrived.reason.startswith("TypeError")


def test_surrogate_in_a_chain_leaves_the_rest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Only the exception that cannot be rebuilt is replaced, not the one it caused.
    """
    data = pack_failure(raised(ValueError("x"), raised(broken.Vanishing())))
    monkeypatch.delattr(broken, "Vanishing")
    arrived = unpack_failure(data)
    assert (ValueError, RemoteError) == (type(arrived), type(arrived.__cause__))


def test_surrogate_crosses_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A RemoteError of an inner worker reaches the outer host as it is.
    """
    data = pack_failure(raised(broken.Vanishing("told")))
    monkeypatch.delattr(broken, "Vanishing")
    arrived: Any = unpack_failure(data)
    again = cross(arrived)
    assert (RemoteError, str(arrived), arrived.args) == (type(again), str(again), again.args)
    assert arrived.traceback_text == again.traceback_text


def test_required_arguments_are_not_asked_for() -> None:
    """
    A constructor with arguments that `args` does not hold is not called.
    """
    arrived = cross(broken.WantsArguments(3, reason="why"))
    assert (3, "why", "3 because why") == (arrived.code, arrived.reason, str(arrived))


def test_custom_new_is_not_called() -> None:
    """
    A `__new__` with arguments of its own is not called.
    """
    arrived = cross(broken.WantsNew(1, 2))
    assert (broken.WantsNew, (1,), 3) == (type(arrived), arrived.args, arrived.total)


def test_working_reducer_is_respected() -> None:
    """
    A class's own `__reduce__` makes the object, and its state is applied.
    """
    arrived = cross(broken.Reduced(1, 2))
    assert ((1, 2), "reduce") == (arrived.pair, arrived.made_by)


@pytest.mark.parametrize(
    "exc",
    [
        broken.ReducedWrong(1),
        broken.ReducedToNone("a"),
        broken.ReducedToShared("a"),
        broken.ReducedToText("a"),
        broken.ExitsWhenReduced("a"),
        broken.InterruptsWhenReduced("a"),
        broken.Circular("a"),
        broken.BadState("a"),
        broken.BadSetState("a"),
        broken.NoStateAtAll("a"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_failing_reducer_is_done_without(exc: Exception) -> None:
    """
    When the class's own methods fail, class, arguments and attributes arrive all the same.
    """
    exc.kept = "attribute"  # type: ignore[attr-defined]  # any attribute would do
    arrived = cross(exc)
    assert (type(exc), exc.args, "attribute") == (type(arrived), arrived.args, arrived.kept)


def test_state_of_its_own_is_respected() -> None:
    """
    `__getstate__` decides what crosses, and a setter of a six-part reducer sets it.
    """
    assert "from state" == cross(broken.StateOfItsOwn("a")).secret
    assert ("set", 1) == cross(broken.ReducedWithSetter("a")).state


def test_slots_arrive() -> None:
    """
    Slots are kept, private ones too, and unset ones stay unset.
    """
    arrived = cross(broken.Slotted([1]))
    assert ([1], "hidden", False) == (arrived.place, arrived.hidden, hasattr(arrived, "unset"))


@pytest.mark.parametrize("odd", [broken.Falsy, broken.Silent, broken.Endless, broken.Frozen])
def test_odd_classes_arrive(odd: type[Exception]) -> None:
    """
    Falsy, speechless, recursive and frozen exceptions arrive as themselves.
    """
    exc = odd("a")
    exc.__dict__["kept"] = 1
    arrived = cross(exc)
    assert (odd, ("a",), 1) == (type(arrived), arrived.args, arrived.kept)


def test_falsy_causes_and_members_arrive() -> None:
    """
    No step takes a falsy exception for none.
    """
    arrived = cross(raised(ExceptionGroup("g", [broken.Falsy("m")]), raised(broken.Falsy("c"))))
    assert broken.Falsy is type(arrived.__cause__)
    assert broken.Falsy is type(arrived.exceptions[0])


def test_fields_that_do_not_fit_are_left_out() -> None:
    """
    A stand-in where only text may be leaves the field unset and the exception whole.
    """
    exc = UnicodeDecodeError("utf-8", b"a", 0, 1, "why")
    exc.encoding = broken.Text("odd")
    assert UnicodeDecodeError is type(cross(exc))
