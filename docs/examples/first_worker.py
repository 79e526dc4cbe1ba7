"""
Start a worker, and talk with it.
"""

from pathlib import Path

from webworker_executor import Worker

SCRIPT = Path(__file__).with_name("first_worker_script.py")

with Worker(SCRIPT, name="translator") as worker:
    for word in ("hello", "worker", "python"):
        worker.post_message(word)
        print(word, "->", worker.receive(timeout=10).data)
print("state:", worker.state)
