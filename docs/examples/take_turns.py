"""Several processes write one file, one after the other; those who only read do so together."""

import tempfile
from pathlib import Path

from webworker_executor import WebWorkerExecutor, locks


def book(path: Path, name: str, seats: int) -> str:
    with locks.request("bookings"):
        free = int(path.read_text())
        if free < seats:
            return f"{name}: sorry, {free} left"
        path.write_text(str(free - seats))
        return f"{name}: booked {seats}"


def look(path: Path) -> int:
    with locks.request("bookings", mode="shared"):
        return int(path.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, WebWorkerExecutor(4) as executor:
        path = Path(folder, "free.txt")
        path.write_text("100")
        booked = [executor.submit(book, path, f"guest {number}", 3) for number in range(40)]
        answers = [future.result() for future in booked]
        print(sum("booked" in answer for answer in answers), "guests have seats")
        print(sum("sorry" in answer for answer in answers), "guests have none")
        print("left:", set(executor.map(look, [path] * 4)))
        with locks.request("bookings"), locks.request("bookings", if_available=True) as lock:
            print("for whoever does not wait:", lock)
