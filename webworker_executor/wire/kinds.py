"""
Kinds of frames: what each is called, which side takes which, and what their numbers mean.

Also what is said without a frame, a worker's note in the ledger. Not for how frames are laid out,
which is the same for all (`frame`). To add a kind, add it to ``NAMES``, to the set that the
receiving side passes to its decoder, and to the page of the docs that lists them.
"""

from __future__ import annotations

from _struct import Struct

HELLO, READY, LOAD_ERROR = 0x01, 0x02, 0x04
MESSAGE, LOG, RECEIPT, EVENT, TASK_MESSAGE = 0x10, 0x11, 0x12, 0x24, 0x25
CALL, RESULT, RAISE, REJECT = 0x20, 0x21, 0x22, 0x23
DEFINE, RECALL, RETURNED, CANCEL = 0x26, 0x27, 0x28, 0x29
RELEASE, SEGMENT, SIGNAL, SIGNALED = 0x2A, 0x2B, 0x2C, 0x2D
GROWN, TRACKER = 0x2E, 0x2F
ERROR, CLOSE, CLOSING, ESTATE = 0x30, 0x31, 0x32, 0x33
DIVIDE, DIVIDED = 0x34, 0x35
NAMES = {
    HELLO: "HELLO",
    READY: "READY",
    LOAD_ERROR: "LOAD_ERROR",
    MESSAGE: "MESSAGE",
    LOG: "LOG",
    RECEIPT: "RECEIPT",
    CALL: "CALL",
    RESULT: "RESULT",
    RAISE: "RAISE",
    REJECT: "REJECT",
    EVENT: "EVENT",
    TASK_MESSAGE: "TASK_MESSAGE",
    DEFINE: "DEFINE",
    RECALL: "RECALL",
    RETURNED: "RETURNED",
    CANCEL: "CANCEL",
    RELEASE: "RELEASE",
    SEGMENT: "SEGMENT",
    SIGNAL: "SIGNAL",
    SIGNALED: "SIGNALED",
    GROWN: "GROWN",
    TRACKER: "TRACKER",
    ERROR: "ERROR",
    CLOSE: "CLOSE",
    CLOSING: "CLOSING",
    ESTATE: "ESTATE",
    DIVIDE: "DIVIDE",
    DIVIDED: "DIVIDED",
}
MEMORY = frozenset({RELEASE, SEGMENT})
TO_WORKER = MEMORY | {
    HELLO,
    MESSAGE,
    RECEIPT,
    CALL,
    TASK_MESSAGE,
    DEFINE,
    RECALL,
    CANCEL,
    SIGNAL,
    TRACKER,
    CLOSE,
    DIVIDE,
}
FROM_WORKER = MEMORY | {
    READY,
    LOAD_ERROR,
    MESSAGE,
    LOG,
    RESULT,
    RAISE,
    REJECT,
    EVENT,
    RETURNED,
    SIGNALED,
    GROWN,
    TRACKER,
    ESTATE,
    DIVIDED,
}
# Of a worker that runs a script instead of tasks; what it gets are some of TO_WORKER.
FROM_SCRIPT = MEMORY | {READY, LOAD_ERROR, MESSAGE, ERROR, CLOSING, TRACKER, ESTATE}

# What stands in front of the pickle: of a call its definition (0: inside the pickle) and the
# shape of its arguments; of an answer when the task began, in seconds of the monotonic clock, which
# on one machine is everybody's, and the microseconds that it took.
CALL_PREFIX = Struct(">IB")
# Added to the shape: of the last argument only the elements from one number to before another are
# meant, which stand in front of the arguments.
PART, PART_PREFIX = 0x80, Struct(">II")
ANSWER_PREFIX = Struct(">dI")
# What a frame may have instead of a pickle: so many; a task by its number, and any other number as
# large; what a zygote tells, which is a pid, an errno, or an exit status, and may be negative.
COUNT = Struct(">I")
IDENT = Struct(">Q")
NUMBER = Struct(">q")
# A signal by its number, and until when, in seconds of the monotonic clock, its worker sends it
# to itself. One that reads of it later has been signalled by its host.
SIGNAL_ORDER = Struct(">Id")

# The ident of a LOAD_ERROR: what could not be had, the script (or initializer) or the surroundings
# that were asked for.
OF_SCRIPT, OF_SURROUNDINGS = 0, 1
# The ident of a RECALL of so many, and of what came of it; one of everything has a number.
OF_SO_MANY = 0
# The ident of what a running task and its future say to each other has in its highest byte what it
# is; below that stands the task. Any other is a message, and what a MESSAGE has as its ident.
HEED = 2  # nothing: from here on the task notices when it is cancelled
ITEM = 3  # of a stream
CREDIT = 4  # how many items more may come; less than none closes the stream
REPORT = 5  # how far the task is
CREDITS = Struct(">i")
SAYING_SHIFT = 56
TASK_MASK = (1 << SAYING_SHIFT) - 1

# What a worker notes of each task, in a line of the cache of its own: when the task began, in
# seconds of the monotonic clock, and which it is; stored in this order. The byte behind it is the
# host's: the lowest of the number of the last recall of everything.
LEDGER_ENTRY = Struct("dQ")
LEDGER_ENTRY_NBYTES = 64
