"""
Stop when the time is over, or when nobody waits for the answer any more.
"""

import itertools

from webworker_executor import AbortController, AbortSignal


def search(signal: AbortSignal) -> int:
    """Look for a number that is not there, as long as that is wanted."""
    for number in itertools.count(1):
        signal.throw_if_aborted()
        if number * number == 2:
            break
    return number


user = AbortController()
user.signal.onabort = lambda event: print("told:", event.target.reason)

try:
    search(AbortSignal.any([user.signal, AbortSignal.timeout(0.1)]))
except TimeoutError as error:
    print("stopped:", error)

user.abort(InterruptedError("the user has left"))
try:
    search(AbortSignal.any([user.signal, AbortSignal.timeout(0.1)]))
except InterruptedError as error:
    print("stopped:", error)
