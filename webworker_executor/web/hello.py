"""
The first frame to every worker, of a pool or a `Worker`: what it is told of its host.

Not for what becomes of it there: ``child.identity`` adopts it.
"""

from __future__ import annotations

import contextlib
import os
import sys

from webworker_executor.launch.procfs import umask_of
from webworker_executor.web import environment
from webworker_executor.wire import codec
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import HELLO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.wire.frame import Parts


def lay_out_hello(
    launcher: Launcher,
    env: Mapping[str, str] | None,
    *,
    index: int | None,
    name: str,
    has_witness: bool,
    **particulars: Any,
) -> Parts:
    """
    Lay out the first frame for a worker.

    Args:
        launcher: How it is started, which tells what it finds by itself.
        env: Variables laid over the program's own.
        index: ``scope.index``.
        name: ``scope.name``.
        has_witness: Whether the last descriptor it gets is for its stacks.
        **particulars: What only its kind is told, or is told otherwise than what stands here.
    """
    hello = {
        "index": index,
        "name": name,
        "generation": codec.generation + 1,
        "sys_path": list(sys.path),
        # An embedded interpreter may have none, and a program may have taken it away.
        "argv": list(getattr(sys, "argv", None) or ()),
        "environment": environment.told(),
        "environ": None,
        "cwd": None,
        "multiprocessing": _tell_of_multiprocessing(),
        "has_witness": has_witness,
        **particulars,
    }
    if not launcher.passes_surroundings:
        hello["environ"] = {**os.environ, **(env or {})}
        with contextlib.suppress(OSError):
            hello["cwd"] = os.getcwd()
        hello["umask"] = umask_of(os.getpid())
    packed = codec.pack(hello)
    return encode(HELLO, 0, packed.payload, packed.buffers)


def _tell_of_multiprocessing() -> dict[str, Any]:
    """Say who this process is to ``multiprocessing``, which most programs do not import."""
    told: dict[str, Any] = {"pid": os.getpid(), "name": "MainProcess", "identity": ()}
    told.update(authkey=None, start_method=None)
    # Another thread may be importing them at this moment: then nothing has been set in them yet.
    process = getattr(sys.modules.get("multiprocessing.process"), "_current_process", None)
    if process is not None:
        told.update(name=process.name, identity=process._identity, authkey=bytes(process.authkey))
    context = getattr(sys.modules.get("multiprocessing.context"), "_default_context", None)
    if context is not None:
        told["start_method"] = context.get_start_method(allow_none=True)
    return told
