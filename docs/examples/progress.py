"""
Show one bar for each task that runs, from messages of the workers.
"""

import sys
import threading
import time

from webworker_executor import MessageEvent, WebWorkerExecutor, scope

N_STEPS = 5
done: dict[str, int] = {}
drawing = threading.Lock()


def bake(cake: str) -> str:
    """Bake in steps, and post after each how far it is."""
    for step in range(1, N_STEPS + 1):
        time.sleep(0.02)  # the baking
        scope.post_message((cake, step))
    return f"{cake} is ready"


def show(event: MessageEvent) -> None:
    """Draw all bars anew; the handler of another worker may run at the same time."""
    cake, step = event.data
    with drawing:
        done[cake] = step
        if sys.stdout.isatty():
            bars = (f"{cake} {'#' * step:<{N_STEPS}}" for cake, step in done.items())
            print("\r" + "  ".join(bars), end="", flush=True)


with WebWorkerExecutor(max_workers=2) as executor:
    for worker in executor.workers:
        worker.onmessage = show
    results = list(executor.map(bake, ["Sachertorte", "strudel", "Gugelhupf"], chunksize=1))

print("\n" * sys.stdout.isatty() + "\n".join(results))
