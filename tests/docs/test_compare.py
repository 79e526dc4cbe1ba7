"""
The comparison with other pools: its order, its ratios, its pages, and one real run of it.

What it measures is asserted nowhere: a number from a busy machine is worse than none.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks import chart, compare, interpreter, session, table, workloads
from tests.benchmarks.contender import BASELINE, CONTENDERS, LIMIT, OURS, Contender
from tests.benchmarks.interpreter import Outcome, read_outcome
from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.outcome import Comparison
from tests.benchmarks.report import CHARTS, PAGE, Report
from tests.benchmarks.schedule import Turn, plan
from tests.benchmarks.target import BEST_PEER, NOTHING, TARGETS, Target, Verdict, judge
from tests.house.layout import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TRIP = Metric("trip", "a trip", "µs")
RATE = Metric("rate", "a rate", "tasks/s", more_is_better=True)
WORKLOAD = Workload((TRIP, RATE), lambda contender, quick: iter(()))


def comparison_of(**rounds: list[dict[str, float]]) -> Comparison:
    """Make a comparison in which each contender measured so much in each round."""
    comparison = Comparison({"work": WORKLOAD})
    for name, figures_of_rounds in rounds.items():
        for number, figures in enumerate(figures_of_rounds, 1):
            turn = Turn(number, "work", name.replace("_", "-"))
            comparison.add(turn, Outcome(figures, "" if figures else "cannot"))
    return comparison


@given(
    n_contenders=st.integers(0, 5),
    n_rounds=st.integers(1, 4),
    n_repeats=st.integers(1, 3),
    max_rounds=st.integers(1, 4),
)
def test_contenders_take_turns(
    n_contenders: int, n_rounds: int, n_repeats: int, max_rounds: int
) -> None:
    """Everybody is measured as often as anybody else, and begins as often, give or take one."""
    names = [f"contender {number}" for number in range(n_contenders)]
    workload = WORKLOAD._replace(n_repeats=n_repeats, max_rounds=max_rounds)
    turns = plan({"work": workload}, {"work": names}, n_rounds)
    n_turns = min(n_rounds, max_rounds) * n_repeats
    assert dict.fromkeys(names, n_turns) == Counter(turn.contender for turn in turns)
    firsts = Counter(turn.contender for turn in turns[:: n_contenders or 1])
    assert {firsts[name] for name in names} <= {n_turns // len(names or [0]) + i for i in (0, 1)}


def test_ratio_is_that_of_the_medians() -> None:
    """More than 1 is better, whichever way is better, and one odd round changes nothing."""
    comparison = comparison_of(
        ours=[{"trip": 10, "rate": 4}, {"trip": 100, "rate": 40}, {"trip": 10, "rate": 4}],
        ppe_fork=[{"trip": 20, "rate": 2}, {"trip": 400, "rate": 20}, {"trip": 50, "rate": 1}],
    )
    assert 5 == comparison.ratio(TRIP, OURS, BASELINE)
    assert 2 == comparison.ratio(RATE, OURS, BASELINE)
    assert (10, 50) == (comparison.median(TRIP, OURS), comparison.median(TRIP, BASELINE))
    assert OURS == comparison.best(TRIP, [BASELINE, OURS])


def test_nothing_is_compared_with_nothing() -> None:
    """Who was never measured has neither a median nor a ratio, and is nowhere best."""
    comparison = comparison_of(ours=[{"trip": 10}], loky=[{}])
    assert comparison.median(TRIP, "loky") is None
    assert comparison.ratio(TRIP, OURS, "loky") is None
    assert comparison.best(TRIP, ["loky"]) is None
    assert ["", "cannot"] == [comparison.reason("work", name) for name in (OURS, "loky")]


def test_only_the_hopeless_give_up() -> None:
    """A contender that may succeed next time is given a next time."""
    comparison = Comparison({"work": WORKLOAD})
    turns = [Turn(1, "work", name) for name in (OURS, "loky")]
    comparison.add(turns[0], Outcome({}, "ValueError: by chance"))
    comparison.add(turns[1], Outcome({}, "is not installed", is_final=True))
    assert [False, True] == [comparison.has_given_up(turn) for turn in turns]


@pytest.mark.parametrize(
    ("output", "errors", "ending", "expected"),
    [
        (
            '{"key": "trip", "value": 2}\nnoise of a pool\n{"reason": "", "is_unable": false}\n',
            "a warning\n",
            "",
            Outcome({"trip": 2}),
        ),
        ('{"reason": "has no map", "is_unable": true}\n', "", "", Outcome({}, "has no map", True)),
        (
            '{"key": "trip", "value": 2}\n{"reason": "has no more", "is_unable": true}\n',
            "",
            "",
            Outcome({"trip": 2}, "has no more"),
        ),
        (
            '{"key": "trip", "value": 2}\n{"key": "ra',
            "",
            "took more than 1 s",
            Outcome({"trip": 2}, "took more than 1 s"),
        ),
        (
            "",
            "Traceback\nOSError: no\n",
            "exit status 1",
            Outcome({}, "exit status 1: OSError: no"),
        ),
    ],
    ids=["all", "unable", "partly unable", "cut off", "failed"],
)
def test_reading_what_was_measured(
    output: str, errors: str, ending: str, expected: Outcome
) -> None:
    """Figures that came count, and a reason says why others did not."""
    assert expected == read_outcome(output, errors, ending)


def test_a_measurement_is_ended_in_time() -> None:
    """An interpreter that takes too long is killed, and not tried again."""
    outcome = interpreter.measure("rtt", OURS, time_limit=0.001, quick=True)
    assert Outcome({}, "took more than 0.001 s", is_final=True) == outcome


def test_a_session_is_ended_with_all_its_processes() -> None:
    """Also those die that have left the process group of the program, and are not its children."""
    program = (
        "import os; pid = os.fork(); pid or os.setpgid(0, 0); print(pid, flush=True); os.read(0, 1)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pids = {process.pid, *(int(process.stdout.readline()) for _ in range(2))} - {0}
        assert pids == set(session.processes_of(process.pid))
        session.end_session(process.pid, grace=0.0)
        assert [] == session.processes_of(process.pid)


def test_why_a_contender_cannot() -> None:
    """A pool that is missing here, or lacks something, says so."""
    absent = Contender("no_such_module_anywhere", CONTENDERS[OURS].make, "absent")
    assert "absent is not installed" == absent.why_not("map")
    pool = CONTENDERS["pool-fork"]
    assert ["", "is no concurrent.futures.Executor"] == [
        pool.why_not(needs) for needs in ("submit", "executor")
    ]


@pytest.mark.parametrize(
    ("target", "measured", "expected"),
    [
        (Target("trip", BASELINE, 2, 4), 4.0, "moonshot"),
        (Target("trip", BASELINE, 2, 4), 3.9, "floor"),
        (Target("trip", BASELINE, 2, 4), 1.9, "**missed**"),
        (Target("trip", BASELINE, None, 4), 3.9, "short of it"),
        (Target("trip", NOTHING, 1.08, 1.04), 1.05, "floor"),
        (Target("trip", BASELINE, 2, 4), None, "not measured"),
    ],
)
def test_how_a_target_is_met(target: Target, measured: float | None, expected: str) -> None:
    """The most that was reached is named; what stands against nothing must stay below."""
    assert expected == Verdict(target, measured, BASELINE).text


def test_targets_against_the_best_peer() -> None:
    """The best of the others is looked for, and ours are no peers of ours."""
    comparison = comparison_of(
        ours=[{"trip": 10}], ours_fork=[{"trip": 1}], loky=[{"trip": 30}], mpire=[{"trip": 20}]
    )
    verdict = judge(Target("trip", BEST_PEER, None, 2), TRIP, comparison)
    assert (2, "mpire") == (verdict.measured, verdict.against)


def test_the_data_fits_together() -> None:
    """Every target and every chart names a metric that there is, and no metric has two owners."""
    keys = [metric.key for name in workloads.WORKLOADS for metric in workloads.load(name).metrics]
    assert len(keys) == len(set(keys))
    assert set() == {target.metric for target in TARGETS} - set(keys)
    assert set() == set(CHARTS.values()) - set(keys)
    known = {*CONTENDERS, LIMIT, BEST_PEER, NOTHING}
    assert set() == {name for target in TARGETS for name in (target.who, target.against)} - known


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0123, "0.0123"), (4.936, "4.94"), (140.4, "140"), (2042.0, "2042"), (2.123e5, "212k"),
     (5.67e6, "5.67M")],
)  # fmt: skip
def test_values_are_short(value: float, expected: str) -> None:
    """Numbers have about three digits, whatever their size."""
    assert expected == table.show(value)


def test_table_of_values() -> None:
    """Medians stand beside ratios, the best is bold, and the limit is no contender."""
    comparison = comparison_of(
        ours=[{"trip": 10}], ppe_fork=[{"trip": 40}], loky=[{}], limit=[{"trip": 5}]
    )
    text = table.values_table(comparison, [TRIP], [OURS, BASELINE, "loky", LIMIT])
    assert "| a trip (µs) | **10 (4)** | 40 (1) | - | 5 (8) |" == text.splitlines()[-1]


@given(
    st.lists(
        st.builds(
            chart.Bar,
            st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF)),
            st.floats(0, 1e12),
            st.just("1k <&>"),
            st.booleans(),
        )
    )
)
def test_chart_is_a_picture(bars: list[chart.Bar]) -> None:
    """Every bar is drawn inside the panel, whatever its name."""
    root = ElementTree.fromstring(chart.draw("<title>", "a note", bars))
    panel, *drawn = root.iter("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == len(drawn)
    width = float(panel.get("width", "0"))
    assert all(0 < float(bar.get("width", "0")) < width for bar in drawn)


def test_report_is_written(tmp_path: Path) -> None:
    """The page names what it was measured on and shows the charts that stand beside it."""
    metric = Metric("rtt-p50", "round trip", "µs")
    comparison = Comparison({"rtt": WORKLOAD._replace(metrics=(metric,))})
    comparison.add(Turn(1, "rtt", OURS), Outcome({"rtt-p50": 30.0}))
    report = Report(comparison, {"rtt": [OURS]}, {"kernel": "Linux"})
    names = [path.name for path in report.write(tmp_path)]
    assert [PAGE, "performance-round-trip.svg"] == names
    page = (tmp_path / PAGE).read_text()
    for part in ("- kernel: Linux", "![round trip](performance-round-trip.svg)", "**30**"):
        assert part in page
    assert {"rtt-p50": {OURS: 30.0}} == report.as_json()["medians"]


def test_verdicts_are_told_apart_from_the_page() -> None:
    """What we want to reach is for the terminal and the JSON; users read the page."""
    metric = Metric("rtt-p50", "round trip", "µs")
    comparison = Comparison({"rtt": WORKLOAD._replace(metrics=(metric,))})
    for name, value in ((OURS, 30.0), (BASELINE, 60.0)):
        comparison.add(Turn(1, "rtt", name), Outcome({"rtt-p50": value}))
    report = Report(comparison, {"rtt": [OURS, BASELINE]}, {})
    for word in ("Target", "missed", "moonshot", "floor"):
        assert word not in report.page()
    head, *_, summary = report.verdicts().splitlines()
    assert ("## Targets", "1 of 1 floors are missed.") == (head, summary)
    assert f"| round trip | {OURS} | {BASELINE} | 3.5 | 5 | 2 | **missed** |" in report.verdicts()
    assert "**missed**" in [target["reached"] for target in report.as_json()["targets"]]
    assert "" == Report(comparison_of(), {"work": []}, {}).verdicts()


@pytest.mark.parametrize("option", ["--only", "--contenders"])
def test_unknown_names_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that does not exist is answered with those that do."""
    with pytest.raises(SystemExit):
        compare.main([option, "nobody"])
    assert "there is no 'nobody'; there are " in capsys.readouterr().err


@pytest.mark.slow
def test_a_quick_comparison(tmp_path: Path) -> None:
    """The command measures, writes a page and every number, and says how far it has come."""
    command = [
        sys.executable, "-m", "tests.benchmarks.compare", "--quick", "--only", "rtt,start",
        "--contenders", f"{OURS},{BASELINE}", "--json", str(tmp_path / "numbers.json"),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=50
    )
    assert 0 == done.returncode, done.stderr
    assert "| round trip, 1 worker, p50 (µs) |" in done.stdout
    assert re.search(r"^\d of \d floors are missed\.$", done.stdout, re.MULTILINE)
    assert re.match(r"\[1/6 \d:\d\d:\d\d", done.stderr)
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert [] == [outcome["reason"] for outcome in numbers["outcomes"] if outcome["reason"]]
    assert {OURS, BASELINE, LIMIT} == numbers["medians"]["rtt-p50"].keys()
