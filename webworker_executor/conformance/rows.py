"""
The table: every scenario, and what a good process pool makes of it.

Not for the outcomes' words: those are made in the modules that are named here, and in `watch`.
"""

from __future__ import annotations

from webworker_executor.conformance.row import Row

_PACKING_ERROR = r"(TypeError|\w*PicklingError|\w*EncodingError|DataCloneError), pool usable"
_LOST = r"[A-Z]\w+"  # The class of any exception.
_PROMPT = r"0\.\d s, 1 traceback"

VALUES = (
    Row("lambda_task", "values", "lambda as task", "ok"),
    Row(
        "unpicklable_argument",
        "values",
        "unpicklable argument",
        "an error of packing, pool usable",
        _PACKING_ERROR,
    ),
    Row(
        "argument_fails_to_unpickle",
        "values",
        "argument fails to unpickle",
        "ValueError, pool usable",
    ),
    Row("mutated_argument", "values", "argument mutated after submit", "intact"),
    Row("context_variable", "values", "context variables reach the task", "yes"),
    Row(
        "unpicklable_result",
        "values",
        "unpicklable result",
        "an error of packing, pool usable",
        _PACKING_ERROR,
    ),
    Row(
        "result_fails_to_unpickle", "values", "result fails to unpickle", "ValueError, pool usable"
    ),
    Row("large_both_ways", "values", "24 MiB both ways, four at once", "intact", limit=45.0),
    Row(
        "required_arguments",
        "values",
        "exception, required init args",
        "right exception, pool usable",
    ),
    Row("unpicklable_exception", "values", "unpicklable exception", "told, pool usable"),
    Row("falsy_exception", "values", "exception that is false", "right exception, pool usable"),
    Row("base_exception", "values", "`BaseException`", "right exception, pool usable"),
    Row("exit_in_task", "values", "`sys.exit(3)` in task", "SystemExit, pool usable"),
    Row("remote_frames", "values", "remote frames / original cause", "yes / yes"),
)

CRASHES = (
    Row(
        "one_crash",
        "crashes",
        "1 crash + 4 innocent tasks",
        "1 error, 4 ok, pool usable",
        rf"(4 ok, 1 {_LOST}|1 {_LOST}, 4 ok), pool usable",
    ),
    Row(
        "segfault",
        "crashes",
        "segmentation fault + 10 innocent tasks",
        "an error, 10 of 10 others right, pool usable",
        rf"{_LOST}, 10 of 10 others right, pool usable",
    ),
    Row(
        "killed_while_idle", "crashes", "`kill -9` of an idle worker, 5 times", "5 ok, pool usable"
    ),
    Row(
        "killed_while_running",
        "crashes",
        "`kill -9` of both workers, 10 tasks behind",
        "2 fail, 10 of 10 others right, pool usable",
    ),
    Row(
        "killed_while_receiving",
        "crashes",
        "`kill -9` while receiving 48 MiB",
        "each task ends, pool usable",
        limit=60.0,
    ),
    Row(
        "killed_while_sending",
        "crashes",
        "`kill -9` while sending 48 MiB",
        "each task ends, pool usable",
        limit=60.0,
    ),
    Row("stopped_worker", "crashes", "worker is stopped", "20 of 20 others right, then ok"),
    Row(
        "copy_holds_descriptors",
        "crashes",
        "worker dies, a forked copy lives",
        "seen, pool usable",
    ),
    Row(
        "initializer_raises",
        "crashes",
        "initializer raises",
        "an error from ValueError",
        rf"{_LOST} from ValueError|ValueError (from {_LOST}|without cause)",
    ),
    Row("initializer_dies", "crashes", "initializer dies", "an error", _LOST, limit=45.0),
    Row(
        "initializer_hangs",
        "crashes",
        "initializer hangs",
        "TimeoutError, cancelled, shutdown returns",
    ),
)

_HARM = (
    ("closes_descriptors", "task closes all descriptors"),
    ("covers_channels", "task puts /dev/null over them"),
    ("unblocks_channels", "task makes them non-blocking"),
    ("writes_garbage", "task writes garbage into them"),
    ("changes_the_process", "task changes signals, mask, cwd, path"),
)
_OTHERS = "20 of 20 others right, pool usable"

HAVOC = (
    *(Row(name, "havoc", title, _OTHERS, rf"(ok|{_LOST}), {_OTHERS}") for name, title in _HARM),
    Row("forks_and_returns", "havoc", "task forks, both return", "20 of 20 right, pool usable"),
)

CALLS = (
    Row("cancel_running", "calls", "cancel running", "yes"),
    Row(
        "cancel_races_with_start",
        "calls",
        "1000 cancels race with starts",
        "0 cancelled tasks ran, 0 others did not",
    ),
    Row(
        "wait_after_cancel",
        "calls",
        "`wait()` after `shutdown(cancel_futures=True)`",
        "returns",
    ),
    Row("submit_after_shutdown", "calls", "submit after two shutdowns", "RuntimeError"),
    Row("dropped_pool", "calls", "pool is dropped with work pending", "20 of 20 right"),
    Row("callback_raises", "calls", "callback raises", "the next is called, pool usable"),
    Row(
        "callback_exits",
        "calls",
        "callback raises SystemExit",
        "the next is called, pool usable",
    ),
    Row("callback_submits", "calls", "callback submits", "ok"),
    Row("callback_shuts_down", "calls", "callback shuts down", "ok, 10 of 10 others right"),
    Row("submit_from_threads", "calls", "submit from 16 threads", "800 of 800 right"),
    Row("nested_pool", "calls", "nested pool in task", "ok"),
    Row("submit_while_importing", "calls", "submit in a module's body at import", "ok"),
)

PROGRAMS = (
    Row("parent_is_killed", "programs", "`kill -9` of the parent", "SIGKILL, nobody left"),
    Row(
        "parent_is_killed_busy",
        "programs",
        "`kill -9` of the parent, workers busy in C",
        "SIGKILL, nobody left",
    ),
    Row("parent_is_terminated", "programs", "SIGTERM to the parent", "SIGTERM, nobody left"),
    Row(
        "interrupt_with_block",
        "programs",
        "Ctrl-C, six tasks of 3 s, in a `with` block",
        "within 1 s, 1 traceback",
        _PROMPT,
    ),
    Row(
        "interrupt_without_block",
        "programs",
        "Ctrl-C, six tasks of 3 s, without",
        "within 1 s, 1 traceback",
        _PROMPT,
    ),
    Row(
        "interrupt_at_terminal",
        "programs",
        "Ctrl-C at a terminal, in `result()`",
        "within 1 s, 1 traceback, nobody left",
        rf"{_PROMPT}, nobody left",
        has_terminal=True,
    ),
    Row(
        "interrupt_and_go_on",
        "programs",
        "Ctrl-C at a terminal, caught",
        "its tasks too, pool usable",
        has_terminal=True,
    ),
    Row(
        "exit_with_pending_work",
        "programs",
        "exit with work pending",
        "10 of 10 done, exit 0, quiet, nobody left",
    ),
    Row(
        "exit_while_idle",
        "programs",
        "exit without shutdown",
        "10 of 10 done, exit 0, quiet, nobody left",
    ),
    Row(
        "exit_by_exception",
        "programs",
        "exception in the `with` body",
        "10 of 10 done, exit 1, 1 traceback, nobody left",
    ),
    Row(
        "use_in_atexit",
        "programs",
        "submit inside of `atexit`",
        "ok or RuntimeError, exit 0, quiet, nobody left",
        "(ok|RuntimeError), exit 0, quiet, nobody left",
    ),
    Row(
        "fork_with_pool",
        "programs",
        "fork of the program submits",
        "refused, 10 of 10 of the parent right, pool usable",
        r"(refused|answered), 10 of 10 of the parent right, pool usable",
    ),
    Row(
        "forked_copy_exits",
        "programs",
        "fork of the program exits",
        "exit status 7, pool usable",
    ),
    Row("children_ignored", "programs", "SIGCHLD ignored", "10 of 10 right, pool usable"),
    Row(
        "no_descriptors",
        "programs",
        "no descriptors for a while",
        "the call ends, pool usable",
        limit=60.0,
    ),
    Row("many_pools", "programs", "1000 pools made and ended", "flat", limit=150.0),
)

ROWS: tuple[Row, ...] = (*VALUES, *CRASHES, *HAVOC, *CALLS, *PROGRAMS)
