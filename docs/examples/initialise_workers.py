"""
Prepare every worker once, and use what was prepared in every task.
"""

import sqlite3

from webworker_executor import WebWorkerExecutor

database: sqlite3.Connection


def fill(prices: dict[str, int]) -> None:
    """Initialise a worker: load what all tasks need."""
    global database
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE price (name TEXT, cents INTEGER)")
    database.executemany("INSERT INTO price VALUES (?, ?)", prices.items())


def price_of(name: str) -> int:
    """Answer from the table that the initializer made."""
    query = database.execute("SELECT cents FROM price WHERE name = ?", (name,))
    return int(query.fetchone()[0])


prices = {"tea": 250, "cake": 390}
with WebWorkerExecutor(max_workers=2, initializer=fill, initargs=(prices,)) as executor:
    print(list(executor.map(price_of, ["cake", "tea"])))
