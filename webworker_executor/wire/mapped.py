"""
Values whose memory is not their own: views of a shared mapping, and parts of a mapped file.

For: global variables of these kinds, and what a class or function has of them. A copy would be
wrong: what a task writes into it, which is what it is there for, would be seen by nobody.
Not for: arguments and results, copies as in the standard library; nor for arrays that have their
memory to themselves, or that were received, which is the same for whoever has them.
"""

from __future__ import annotations

import sys

from webworker_executor.wire import forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["inherited_view", "open_again", "owner_of", "reopening", "view_of"]

# How a file is opened again. A private mapping, `c`, has what its owner alone has written.
_MODES = {"r": "r", "r+": "r+", "w+": "r+"}
# Of views of views; nobody makes as many.
_MOST_STEPS = 32
# Not by `__name__`, which may be code of a user.
_name_of: Any = type.__dict__["__name__"].__get__


def owner_of(value: object) -> Any:
    """
    Return the mapping that a value is a view of, if a forked process shares it.

    Args:
        value: Anything; it is an array, a memoryview or an object of ctypes, as those of
            ``multiprocessing.RawArray``, that is looked through, and a mapping itself.

    Returns:
        None for other memory: of the array itself, of bytes, of a file mapped privately, or
        received from another process, which a fork has a private copy of.
    """
    mmap: Any = sys.modules.get("mmap")
    numpy: Any = sys.modules.get("numpy")
    if mmap is None:
        return None
    for _ in range(_MOST_STEPS):
        kind = type(value)
        if kind is memoryview:
            value = _object_of(value)
        elif numpy is not None and issubclass(kind, numpy.ndarray):
            value = numpy.ndarray.base.__get__(value)
        elif issubclass(kind, mmap.mmap):
            # Nothing else tells how it was opened.
            is_private = "ACCESS_COPY" in mmap.mmap.__repr__(value)
            return None if is_private or getattr(kind, "ends_at_fork", False) else value
        elif type(kind).__module__ == "_ctypes":
            value = _source_of(value)
        elif _name_of(kind) == "DummyArray":
            # What stride tricks leave.
            value = getattr(value, "base", None)
        else:
            break
    return None


def _object_of(view: Any) -> object:
    try:
        return view.obj
    except ValueError:
        # It was released.
        return None


def _source_of(value: Any) -> object:
    """Return what an object of ctypes was made over."""
    if value._b_base_ is not None:
        return value._b_base_
    kept = value._objects
    views = kept.values() if type(kept) is dict else (kept,)
    return next((view for view in views if type(view) is memoryview), None)


class _View:
    def __init__(self, *place: object) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return inherited_view, self._place


def view_of(value: Any) -> _View | None:
    """
    Return what packs to an array over the same memory, in forks that have inherited this.

    Args:
        value: Anything.

    Returns:
        None for what is no array over such memory, and where the fork came first.
    """
    numpy: Any = sys.modules.get("numpy")
    kind = type(value)
    if numpy is None or not issubclass(kind, numpy.ndarray):
        return None
    if kind.__reduce__ is not numpy.ndarray.__reduce__:
        # More belongs to it than an array has.
        return None
    owner = owner_of(value)
    ident = None if owner is None else forks.inherited_ident(owner)
    if ident is None:
        return None
    try:
        whole = numpy.frombuffer(owner, numpy.uint8)
    except ValueError:
        # It was closed, which arrays keep it from; or has no pages.
        return None
    plain = numpy.ndarray.view(value, numpy.ndarray)
    offset = int(_address(plain) - _address(whole))
    if not plain.size or not 0 <= offset < whole.size:
        return None
    layout = (ident, offset, plain.dtype, plain.shape, plain.strides, plain.flags.writeable)
    if kind is numpy.ndarray:
        return _View(*layout)
    state = {name: each for name, each in vars(value).items() if each is not owner}
    names = [name for name in vars(value) if name not in state]
    return _View(*layout, kind, state, names)


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def inherited_view(
    ident: int,
    offset: int,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    is_writeable: bool,
    kind: Any = None,
    state: dict[str, object] | None = None,
    names: list[str] | None = None,
) -> Any:
    """
    Make an array over memory that this process has inherited.

    Args:
        ident: The number of the mapping.
        offset: Where the first element lies.
        dtype: As the original has it, like the three that follow.
        shape: The same.
        strides: The same.
        is_writeable: The same.
        kind: Its class, if that is another than ``numpy.ndarray``.
        state: The attributes that it has then.
        names: Those that hold the mapping itself.

    Raises:
        LookupError: The mapping is gone.
        ValueError: A task has closed it.
    """
    import numpy

    owner = forks.inherited(ident)
    made: Any = numpy.ndarray(shape, dtype, owner, offset, strides)
    if kind is not None:
        made = made.view(kind)
        vars(made).update(state or {})
        vars(made).update(dict.fromkeys(names or (), owner))
    if not is_writeable:
        made.flags.writeable = False
    return made


def _root(array: Any, numpy: Any) -> Any:
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


class _Reopening:
    def __init__(self, *place: object) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open_again, self._place


def reopening(value: object) -> object | None:
    """
    Return what packs to the same part of the same file, mapped again by the reader.

    Args:
        value: Anything.

    Returns:
        None for what is no ``numpy.memmap`` of a file that is there, or a private one, or a part
        with gaps.

    Source: numpy, ``memmap``, which pickles to a copy.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.memmap):
        return None
    array: Any = value
    mode, name = _MODES.get(array.mode), array.filename
    order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else None
    if mode is None or name is None or order is None or not array.size or owner_of(array) is None:
        return None
    try:
        with open(name, "rb"):
            pass
    except OSError:
        return None
    # A part of it has the offset of the whole.
    root = _root(array, numpy)
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return _Reopening(str(name), array.dtype, mode, int(offset), array.shape, order)


def open_again(
    name: str, dtype: Any, mode: str, offset: int, shape: tuple[int, ...], order: str
) -> Any:
    """
    Map a part of a file.

    Raises:
        OSError: The file is not there any more.
        ValueError: It is shorter by now.
    """
    import numpy

    memmap: Any = numpy.memmap
    return memmap(name, dtype, mode, offset, shape, order)
