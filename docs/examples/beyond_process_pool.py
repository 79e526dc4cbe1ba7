"""
Do what ProcessPoolExecutor cannot, without asking for it.
"""

import contextvars
import threading

from webworker_executor import WebWorkerExecutor

language = contextvars.ContextVar("language", default="en")


class OutOfPaper(Exception):
    """Has a required argument, which breaks the standard library's pool for good."""

    def __init__(self, *, tray: int) -> None:
        super().__init__(f"tray {tray} is empty")
        self.tray = tray


def print_page(tray: int) -> None:
    """Fail, because of something that failed below."""
    paper: dict[int, str] = {}
    try:
        print(paper[tray])
    except KeyError as error:
        raise OutOfPaper(tray=tray) from error


with WebWorkerExecutor(max_workers=1) as executor:
    offset = 10
    print("a closure:", executor.submit(lambda number: number + offset, 5).result())

    page = ["as submitted"]
    future = executor.submit(list, page)
    page.append("changed later")
    print("arguments:", future.result())

    language.set("fr")
    print("a context variable:", executor.submit(lambda: language.get()).result())

    try:
        executor.submit(print_page, tray=2).result()
    except OutOfPaper as error:
        print("an exception:", error, "with tray", error.tray, "caused by", repr(error.__cause__))

    try:
        executor.submit(len, [threading.Lock()]).result()
    except TypeError as error:
        print("cannot be sent:", error)
    print("and goes on:", executor.submit(len, "abc").result())
