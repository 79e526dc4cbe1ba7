"""
Values whose memory is not their own: views of a shared mapping, and parts of a mapped file.

For: global variables of these kinds, and what a class or function has of them. A copy would be
wrong: what a task writes into it, which is what it is there for, would be seen by nobody.
Not for: arguments and results, copies as in the standard library; nor for arrays that have their
memory to themselves, or that were received, which is the same for whoever has them.
"""

from __future__ import annotations

import sys
from weakref import WeakKeyDictionary

from webworker_executor.wire import forks
from webworker_executor.wire.struck import is_a_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["inherited_view", "open_again", "owner_of", "reopening", "view_of"]

# By mapping: which file it was found to be of.
_identities: WeakKeyDictionary[Any, tuple[int, int]] = WeakKeyDictionary()
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


class _Reopening:
    def __init__(self, *place: object) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open_again, self._place


def reopening(value: Any) -> object | None:
    """
    Return what packs to the same part of the same file, mapped again by the reader.

    Args:
        value: Anything.

    Returns:
        None for what is no part of a ``numpy.memmap``, or a private one, or of a file that is not
        there under its name any more.

    Source: numpy, ``memmap``, which pickles to a copy.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or type(value) not in (numpy.ndarray, numpy.memmap) or not value.size:
        return None
    # A part of it has the place of the whole.
    root: Any = value
    while isinstance(root.base, numpy.ndarray):
        root = root.base
    owner = owner_of(root)
    if type(root) is not numpy.memmap or owner is None or root.filename is None:
        return None
    name = str(root.filename)
    identity = _identity_of_file(name, owner, _address(root))
    if identity is None:
        return None
    before, behind = _extent(value)
    start = int(root.offset + _address(value) - _address(root)) - before
    # What is no more than looked at here must not be written there.
    mode = "r+" if value.flags.writeable else "r"
    layout = (value.dtype, value.shape, value.strides)
    return _Reopening(name, identity, mode, start, before, before + behind, type(value), *layout)


def _extent(array: Any) -> tuple[int, int]:
    """Return how many bytes lie in front of an array's first element, and from there on."""
    steps = [stride * (n - 1) for stride, n in zip(array.strides, array.shape, strict=True)]
    before = -sum(step for step in steps if step < 0)
    return before, sum(step for step in steps if step > 0) + array.itemsize


def _identity_of_file(name: str, owner: Any, address: int) -> tuple[int, int] | None:
    """
    Tell a file from all others, if it is the one that is mapped.

    Args:
        name: Its name.
        owner: The mapping.
        address: Where this lies.

    Returns:
        Device and inode; None if there is no file of that name, or it has come in the place of the
        one that is mapped.
    """
    # Here, because few programs need it; numpy has imported it.
    from pathlib import Path

    path = Path(name)
    try:
        with path.open("rb"):
            status = path.stat()
    except OSError as error:
        if is_a_handlers(error):
            raise
        return None
    identity = status.st_dev, status.st_ino
    # The mapping keeps its inode from being given to another file.
    if _identities.get(owner) != identity:
        if _is_another(address, status.st_ino, str(path.resolve())):
            return None
        _identities[owner] = identity
    return identity


def _is_another(address: int, inode: int, name: str) -> bool:
    """
    Tell whether another file is mapped at an address, by both its inode and its name.

    By one alone it is not told: in layers of file systems there may be two of either.

    Source: proc_pid_maps(5).
    """
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError as error:
        if is_a_handlers(error):
            raise
        return False
    for line in lines:
        fields = line.split(maxsplit=5)
        start, stop = (int(each, 16) for each in fields[0].split("-"))
        if start <= address < stop:
            mapped = fields[5].rstrip("\n") if len(fields) > 5 else ""
            return int(fields[4]) != inode and mapped != name
    return False


def open_again(
    name: str,
    identity: tuple[int, int],
    mode: str,
    start: int,
    before: int,
    nbytes: int,
    kind: type,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> Any:
    """
    Map a part of a file.

    Args:
        name: Of the file.
        identity: Its device and inode.
        mode: How to open it.
        start: Where in the file the part begins.
        before: Where in the part the first element is.
        nbytes: The length of the part.
        kind: Which kind of array it is to be.
        dtype: As the original has it, like the two that follow.
        shape: The same.
        strides: The same.

    Raises:
        OSError: The file is not there any more.
        ValueError: It is shorter by now.
    """
    from pathlib import Path

    import numpy

    memmap: Any = numpy.memmap
    with open(name, f"{mode}b") as file:
        status = Path(name).stat()
        if (status.st_dev, status.st_ino) != identity:
            raise FileNotFoundError(f"{name!r} is another file by now than the one that was mapped")
        if status.st_size < start + nbytes:
            # numpy would make it longer.
            raise ValueError(
                f"{name!r} has {status.st_size} bytes by now, fewer than the {start + nbytes} that "
                "are to be mapped"
            )
        part = memmap(file, numpy.uint8, mode, start, (nbytes,))
    made: Any = numpy.ndarray.__new__(kind, shape, dtype, part, before, strides)
    if kind is memmap:
        made.filename, made.mode, made.offset = part.filename, mode, start + before
        made._mmap = part._mmap
    return made
