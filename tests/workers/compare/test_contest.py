"""Worlds made of recorded runs, and what a contest comes to."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from circuits.program import Program
from orchestrator.errors import InvalidJob
from orchestrator.job import JobSpec, Limits, Times
from orchestrator.placement import Lane, Scales
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.records import from_json
from policies import load
from policies.arena import Ended
from tests.policies.worlds import FLIP, LATENCY, alone, device, run, task, world
from workers.compare import report
from workers.compare.contest import BURST, LOADS, Played, fleet_of, played, with_hindsight, world_of
from workers.compare.picture import draw
from workers.compare.recording import Recorded, work_key
from workers.compare.standings import Score, mean, scores, standings
from workers.compare.workload import Arrival

SPEC = JobSpec(Program("openqasm2", text="one"), objective=LATENCY)
LOST = JobSpec(Program("openqasm2", text="two"), objective=LATENCY)
FACTS = ProgramFacts("program", FLIP, adaptive=False, ideal=None)
FITS = {name: Fit(num_qubits=1, fidelity=1.0) for name in ("a", "b")}
KNOWN = {
    work_key(SPEC): Recorded((FACTS, FITS), {"a": (run(1.0), run(1.0)), "b": (run(4.0, device_s=0.5),)}),
    work_key(LOST): Recorded((FACTS, dict.fromkeys(("a", "b"), Fit(cannot="no"))), {}),
}
DEVICES = {"a": device("a"), "b": replace(device("b"), kind="emulated_qpu")}


def test_what_runs_here_shares_a_worker_and_a_device_has_its_own_time_and_lane() -> None:
    fleet = fleet_of(DEVICES, slots=2)
    assert fleet.lanes == (Lane("here", 2, ("a",)), Lane("b", 1, ("b",)))
    assert fleet.devices["b"].cost_curve is None
    assert not fleet.cold
    assert fleet_of(DEVICES, [Lane("w", 1, ("a",))]).lanes[0].worker == "w"
    wall = fleet_of(DEVICES, times=Times.WALL)
    assert wall.lanes == (Lane("here", 1, ("a", "b")),)


def test_a_world_is_as_busy_as_its_load_says() -> None:
    arrivals = [Arrival("x", 0.0, SPEC)] * 300 + [Arrival("y", 0.0, LOST)] * 100
    fleet = fleet_of({"a": DEVICES["a"]})
    for name, utilisation in LOADS.items():
        made = world_of(arrivals, KNOWN, fleet, seed=1, load=name, scales=Scales())
        assert len(made.tasks) == 400
        assert {one.spec.program.text for one in made.tasks} == {"one"}, "what cannot run is replaced"
        assert made.tasks[-1].at_s == pytest.approx(400 * 1.0 / utilisation, rel=0.1), "a takes a second for each"
        times_s = [one.at_s for one in made.tasks]
        assert times_s == sorted(times_s)
        assert len(times_s) / len(set(times_s)) == pytest.approx(BURST, rel=0.25)
        assert made == world_of(arrivals, KNOWN, fleet, seed=1, load=name, scales=Scales())
    other = world_of(arrivals, KNOWN, fleet, seed=2, load="light", scales=Scales())
    assert [one.at_s for one in other.tasks] != times_s


def test_an_emulated_device_takes_its_own_time_unless_it_runs_for_real() -> None:
    arrivals = [Arrival("x", 0.0, SPEC)]
    (own,) = world_of(arrivals, KNOWN, fleet_of(DEVICES), seed=1, load="light", scales=Scales()).tasks
    assert own.runs["b"].service_s == 0.5
    fleet = fleet_of(DEVICES, times=Times.WALL)
    (wall,) = world_of(arrivals, KNOWN, fleet, seed=1, load="light", scales=Scales()).tasks
    assert wall.runs["b"].service_s == 4.0


def test_a_workload_that_runs_nowhere_is_refused() -> None:
    with pytest.raises(InvalidJob, match="no program of the workload can be run"):
        world_of([Arrival("y", 0.0, LOST)], KNOWN, fleet_of(DEVICES), seed=1, load="light", scales=Scales())


def game(seed: int = 1) -> Played:
    """Two policies in a world of two backends."""
    tasks = [task(0.1 * seed * k, {"a": 1.0, "b": run(1.5, energy_j=3.0)}, seed=k) for k in range(6)]
    made = world(tasks, alone("a", "b"), {"a": 1.0, "b": 1.5})
    return with_hindsight(played(seed, made, {name: load(name) for name in ("eft", "random")}))


def test_a_mean_has_student_s_interval() -> None:
    found = mean([1.0, 3.0])
    assert (found.value, found.high) == (2.0, pytest.approx(2.0 + 12.706, abs=1e-3))
    assert mean([2.0]).low is None


def test_standings_are_paired_with_eft_and_with_hindsight() -> None:
    games = [game(seed) for seed in (1, 2, 3)]
    first, second = standings([score for one in games for score in scores(one)])
    assert (first.policy, second.policy) == ("eft", "random")
    assert first.against is not None
    assert second.against is not None
    assert (first.against.value, first.against.high) == (0.0, 0.0)
    assert second.against.value == pytest.approx(second.cost.value - first.cost.value)
    assert first.regret is not None
    assert first.regret.value >= 0.0
    assert first.num_jobs == 18
    assert first.below_floor is None


def test_a_floor_is_broken_by_less_than_few_shots_can_measure() -> None:
    limits = Limits(min_fidelity=0.9)
    tasks = [
        task(0.0, {"a": run(1.0, fidelity=fidelity, fidelity_floor=0.95)}, limits=limits) for fidelity in (0.87, 0.80)
    ]
    made = world(tasks, alone("a"), {"a": 1.0})
    (score,) = scores(played(1, made, {"eft": load("eft")}))
    assert (score.num_floors, score.num_broken) == (2, 1)
    refused = Played(1, made, {"eft": (Ended(0, 10.0, 0.0), Ended(1, 10.0, 0.0, failure="no"))})
    (score,) = scores(refused)
    assert (score.num_floors, score.num_failed) == (0, 1)


def test_scores_go_through_json() -> None:
    from orchestrator.records import to_json

    (score, _) = scores(game())
    assert from_json(Score, to_json(score)) == score


def test_it_leaves_a_table_raw_data_and_a_picture(tmp_path: Path) -> None:
    games = [game(1), game(2)]
    found = standings([score for one in games for score in scores(one)])
    report.write(tmp_path / "deep", found, report.rows(games), {"load": "light"})
    declared = json.loads((tmp_path / "deep" / "declaration.json").read_text())
    assert declared["load"] == "light"
    assert "qiskit" in declared["packages"]
    jobs = [json.loads(line) for line in (tmp_path / "deep" / "jobs.jsonl").read_text().splitlines()]
    assert len(jobs) == 2 * 2 * 6
    assert all(job["best_cost"] > 0 and sum(job["choice"].values()) == 1.0 for job in jobs)
    with (tmp_path / "deep" / "standings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["policy"] for row in rows] == ["eft", "random"]
    assert float(rows[0]["cost"]) == pytest.approx(found[0].cost.value, rel=1e-5)
    ends = {one.policy: [end for g in games for end in g.ends[one.policy]] for one in found}
    draw(found, ends, tmp_path / "overview.png", title="two seeds", best=1.0, bound=0.5)
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_a_wide_table_shows_more() -> None:
    found = standings(scores(game()))
    narrow, wide = (report.table(found, width=width) for width in (80, 120))
    assert [column.header for column in narrow.columns][:3] == ["policy", "cost", "against eft"]
    assert {column.header for column in wide.columns} - {column.header for column in narrow.columns} == {
        "energy",
        "price",
    }


def test_what_was_called_is_told_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["qorch", "--url", "redis://:secret@host/0", "compare"])
    assert report.machine()["command"] == "qorch --url redis://:***@host/0 compare"
