"""
Let an urgent task run before those that wait.
"""

from webworker_executor import WebWorkerExecutor, current_task, scope


def begin() -> None:
    """Keep the only worker busy until a message comes."""
    current_task().receive()


def note(name: str) -> list[str]:
    """Write down what has run in this worker."""
    done: list[str] = scope.worker_state.setdefault("done", [])
    done.append(name)
    return done


with WebWorkerExecutor(max_workers=1) as executor:
    busy = executor.submit(begin)
    usual = [executor.submit(note, f"usual {number}") for number in range(3)]
    rare = executor.options(priority=-1).submit(note, "when nothing else waits")
    urgent = executor.options(priority=10).submit(note, "urgent")
    busy.post_message("go on")
    print(urgent.result())
    print(rare.result())
