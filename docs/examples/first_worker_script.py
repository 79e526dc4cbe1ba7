"""
A worker: turns words around, one message at a time.
"""

from webworker_executor import MessageEvent, scope

n_words = 0


def onmessage(event: MessageEvent) -> None:
    """Answer a message; called for each, on the main thread of this process."""
    global n_words
    n_words += 1
    scope.post_message(f"{event.data[::-1]} ({n_words})")
