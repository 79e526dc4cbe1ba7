"""
Take a census of the standard library: parse every module in workers and count what is in it.

    python stdlib_census.py [FOLDER]

Without a folder it reads the standard library of the Python that runs it.  After each file a
worker posts a message, and from those the progress line is drawn.  Then the same work is done once
more without workers, to compare the time and the counts.
"""

import ast
import platform
import sys
import sysconfig
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from webworker_executor import WebWorkerExecutor, scope

FOREIGN_FOLDERS = {"__pycache__", "dist-packages", "site-packages"}
N_ROWS = 20


class Counts(NamedTuple):
    """What stands in one module, or in several together."""

    lines: int = 0
    functions: int = 0
    classes: int = 0
    nesting: int = 0
    longest: tuple[int, str] = (0, "")


class Unparsed(NamedTuple):
    """Why a file could not be counted."""

    reason: str


def survey(path: Path) -> Counts | Unparsed:
    """Count what stands in one module."""
    try:
        source = read(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Unparsed(f"{type(error).__name__}: {getattr(error, 'msg', error)}")

    functions = classes = deepest = 0
    longest = (0, "")
    for statement, depth in statements(module):
        deepest = max(deepest, depth)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
            n_lines = (statement.end_lineno or 0) - statement.lineno + 1
            longest = max(longest, (n_lines, f"{path.stem}.{statement.name}"))
        elif isinstance(statement, ast.ClassDef):
            classes += 1
    return Counts(len(source.splitlines()), functions, classes, deepest, longest)


def read(path: Path) -> bytes:
    """Read a file; of a pipe, or anything else that may never end, nothing is read."""
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")
    return path.read_bytes()


def statements(module: ast.Module) -> Iterator[tuple[ast.AST, int]]:
    """Walk through all statements, each with the number of blocks that it stands in."""
    to_visit: list[tuple[ast.AST, int]] = [(module, 0)]
    while to_visit:
        statement, depth = to_visit.pop()
        yield statement, depth
        column = getattr(statement, "col_offset", 0)
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            for child in getattr(statement, block, ()):
                # An `elif` or `except` is a child too, but stands no deeper to a reader.
                is_deeper = getattr(child, "col_offset", 0) > column
                to_visit.append((child, depth + is_deeper))


def survey_and_tell(path: Path) -> Counts | Unparsed:
    """Do the task of a worker: survey one module, and post a message that it is done."""
    counts = survey(path)
    scope.post_message(f"{path.parent.name}/{path.name}")
    return counts


class Progress:
    """Tells how far the work is: in one live line, or in four where there is no terminal."""

    def __init__(self, title: str, n_files: int) -> None:
        self.title, self.n_files, self.n_done = title, n_files, 0
        self.is_live = sys.stdout.isatty()
        self.started_at = self.drawn_at = time.perf_counter()

    def step(self, latest: str) -> None:
        """Count one more file, and draw if there is something to see."""
        self.n_done += 1
        if self.is_live and time.perf_counter() - self.drawn_at > 0.03:
            self.drawn_at = time.perf_counter()
            bar = "━" * (self.n_done * 24 // self.n_files)
            self.rewrite(f"{bar:─<24} {self.n_done:,} of {self.n_files:,}  {latest:.36}")
        elif not self.is_live and self.n_done * 4 % self.n_files < 4:
            print(f"{self.title:8} {self.n_done:,} of {self.n_files:,} files", flush=True)

    def finish(self) -> float:
        """End the line, and return the seconds that the work took."""
        seconds = time.perf_counter() - self.started_at
        if self.is_live:
            self.rewrite(f"{'━' * 24} {seconds:.2f} s\n")
        return seconds

    def rewrite(self, text: str) -> None:
        """Put a text in the place of the line."""
        print(f"\r\033[K{self.title:8} {text}", end="", flush=True)


def survey_in_workers(paths: list[Path], progress: Progress) -> list[Counts | Unparsed]:
    """Survey all modules, in as many workers as there are cores."""
    with WebWorkerExecutor() as executor:
        for worker in executor.workers:
            worker.onmessage = lambda event: progress.step(event.data)
        return list(executor.map(survey_and_tell, paths))


def survey_alone(paths: list[Path], progress: Progress) -> list[Counts | Unparsed]:
    """Survey all modules in this process."""
    results = []
    for path in paths:
        results.append(survey(path))
        progress.step(f"{path.parent.name}/{path.name}")
    return results


def together(counts: Iterable[Counts]) -> Counts:
    """Add up the counts of several modules."""
    lines, functions, classes, nesting, longest = zip(Counts(), *counts, strict=True)
    return Counts(sum(lines), sum(functions), sum(classes), max(nesting), max(longest))


def print_table(folder: Path, surveyed: dict[Path, Counts | Unparsed]) -> None:
    """Print a row for each of the largest packages, one for all, and what could not be parsed."""
    packages: defaultdict[str, list[Counts]] = defaultdict(list)
    for path, counts in surveyed.items():
        if isinstance(counts, Counts):
            packages[path.relative_to(folder).parts[0].removesuffix(".py")].append(counts)
    rows = [(name, together(counts)) for name, counts in packages.items()]
    rows.sort(key=lambda row: row[1].lines, reverse=True)
    everything = (f"all {len(rows)}", together(counts for _, counts in rows))

    print("\npackage               lines  functions  classes  nesting  longest function")
    for name, row in [*rows[:N_ROWS], everything]:
        n_lines, function = row.longest
        print(
            f"{name:18.18}{row.lines:9,}{row.functions:11,}{row.classes:9,}{row.nesting:9}", end=""
        )
        print(f"  {function}, {n_lines} lines" if function else "  -")
    for path, counts in surveyed.items():
        if isinstance(counts, Unparsed):
            print(f"not parsed: {path.relative_to(folder)} ({counts.reason})")


def find_modules(folder: Path) -> list[Path]:
    """List the modules in a folder, without what others installed there."""
    found = sorted(folder.rglob("*.py"))
    return [path for path in found if FOREIGN_FOLDERS.isdisjoint(path.relative_to(folder).parts)]


def main(arguments: list[str]) -> str | None:
    """Take the census with workers and without, print it, and return what is wrong."""
    folder = Path(arguments[0] if arguments else sysconfig.get_path("stdlib")).resolve()
    paths = find_modules(folder)
    if not paths:
        return f"There are no Python files in {folder}."
    print(f"Python {platform.python_version()} parses {len(paths):,} modules in {folder}")
    for path in paths:  # A cold disk would be charged to whichever run comes first.
        with suppress(OSError):
            read(path)

    progress = Progress("workers", len(paths))
    surveyed = survey_in_workers(paths, progress)
    seconds = progress.finish()
    progress = Progress("serial", len(paths))
    surveyed_alone = survey_alone(paths, progress)
    seconds_alone = progress.finish()

    print_table(folder, dict(zip(paths, surveyed, strict=True)))
    if surveyed != surveyed_alone:
        return "The two runs do not agree."
    ratio = seconds_alone / seconds
    print(f"\nworkers {seconds:.2f} s, serial {seconds_alone:.2f} s: {ratio:.2f} times as fast")
    print("Both runs agree.")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
