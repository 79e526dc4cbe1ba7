"""
Tests of `webworker_executor.wire.generations`: of what came by one name the latest is kept.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from webworker_executor.wire.generations import MOST, Generations

if TYPE_CHECKING:
    from tests.script import ScriptRunner


def make(name: str) -> type:
    """
    Make a class of that name, another one each time.
    """
    return type(name, (), {})


def test_the_latest_of_a_name_are_kept() -> None:
    """
    Older ones are not.
    """
    table, alive = Generations(), []
    for number in range(MOST + 2):
        cls = make("Model")
        table.add(str(number), cls)
        alive.append(weakref.ref(cls))
    del cls
    gc.collect()
    assert [True, True] == [each() is None for each in alive[:2]]
    assert all(each() is not None for each in alive[2:])
    assert MOST == len(table)


def test_other_names_have_generations_of_their_own() -> None:
    """
    A program may have any number of classes.
    """
    table = Generations()
    for number in range(10 * MOST):
        table.add(str(number), make(f"Model{number}"))
    assert 10 * MOST == len(table)


def test_what_is_added_again_is_no_other_generation() -> None:
    """
    Each call brings its class along.
    """
    table = Generations()
    table.add("first", make("Model"))
    second = make("Model")
    for _ in range(10 * MOST):
        table.add("second", second)
    assert 2 == len(table)


PROGRAM = """
import gc, weakref
from webworker_executor import WebWorkerExecutor

CELL = '''
class Model:
    weights = bytes(200_000)
    def __init__(self, n):
        self.n = n
def step(model, table=bytes(200_000)):
    return model, len(table) + model.n
'''

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

if __name__ == "__main__":
    lambdas, futures, models = weakref.WeakSet(), [], []
    with WebWorkerExecutor(1) as pool:
        before = pool.submit(used).result()
        for n in range(200):
            exec(CELL, globals())
            models.append(Model)
            futures.append(pool.submit(step, Model(n)))
        models = [model.__name__ for model in models]
        gc.collect()
        for n, future in enumerate(futures):
            model, length = future.result()
            assert model.n == n and length == 200_000 + n
        for n in range(200):
            own = {}
            exec(f"fn = lambda: {n}", own)
            lambdas.add(own["fn"])
            assert n == pool.submit(own["fn"]).result()
        after = pool.submit(used).result()
    del own
    gc.collect()
    print(len(lambdas) <= 2, after - before < 50, len(lambdas), after - before)
"""


@pytest.mark.slow
def test_a_cell_that_is_run_again_and_again(run_script: ScriptRunner) -> None:
    """
    What was redefined meanwhile comes back, and the worker does not keep it.
    """
    ended = run_script(PROGRAM)
    assert ["True", "True"] == ended.stdout.split()[:2], ended.stdout + ended.stderr
