"""The grid: every run once, resumable, all cells told."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("numba", reason='pip install "qorch[sparse]"')

from circuits.errors import InvalidParameter
from policies.allocators.contenders import contender
from policies.allocators.dpem import grid, grid_front, grid_sizes
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.grid import BOUND, COLUMNS, PARTS, Cell, job_of, jobs, read, run
from policies.allocators.dpem.grid_agents import learned
from policies.allocators.dpem.grid_front import Point, beaten
from policies.allocators.dpem.grid_pictures import _curves
from policies.allocators.dpem.grid_report import gathered, table, write
from policies.learners.kit.checkpoint import LATEST

TRAINED = next((Path(grid.__file__).parent / "checkpoints").glob("*/"))
APP = typer.Typer()
APP.command()(grid.grid)
NAMES = ("static", "local", "central_full", "greedy_oracle")
CELLS = [Cell(num_nodes=16, period_s=period, delay_s=tau) for tau in (0.0, 0.4) for period in (0.2, 5.0)]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    policies = {name: contender(name) for name in NAMES}
    wanted = jobs(CELLS, policies, range(100, 103), range(2), (1, 3))
    assert run(wanted, policies, folder, duration_s=20.0) == len(wanted)
    return folder


def test_every_run_is_done_once(out: Path) -> None:
    found = [job_of(row) for row in read(out / "runs.csv")]
    assert len(set(found)) == len(found)
    by_policy = {name: sum(job.policy == name for job in found) for name in (*NAMES, BOUND)}
    each = 3 * 2 * 2  # topologies, luck, hold
    assert by_policy == {"static": each, "local": 2 * each, "central_full": 4 * each, "greedy_oracle": each, BOUND: 3}


def test_it_goes_on_where_it_was_stopped(out: Path, tmp_path: Path) -> None:
    whole = (out / "runs.csv").read_text()
    (tmp_path / "grid.json").write_text((out / "grid.json").read_text())
    (tmp_path / "runs.csv").write_text(whole[: len(whole) * 2 // 3])  # in the middle of a row
    policies = {name: contender(name) for name in NAMES}
    wanted = jobs(CELLS, policies, range(100, 103), range(2), (1, 3))
    assert 0 < run(wanted, policies, tmp_path, duration_s=20.0) < len(wanted)
    timeless = [name for name in COLUMNS if not name.endswith("_s") or name.startswith(("latency", "delay", "period"))]

    def told(path: Path) -> list[tuple[str, ...]]:
        return sorted(tuple(row[name] for name in timeless) for row in read(path))

    assert told(tmp_path / "runs.csv") == told(out / "runs.csv")
    assert run(wanted, policies, tmp_path, duration_s=20.0) == 0


def test_every_cell_is_told(out: Path) -> None:
    told = write(out, "local")
    rows = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert len(rows) == told["cells"] == len(CELLS) * (2 * len(NAMES) + 1)
    words = (out / "grid.md").read_text()
    assert words.count("\n## rho") == len(CELLS)
    assert "Tukey" in words
    assert "Where `local` is not ahead" in words
    assert [Path(name).name for name in told["pictures"]] == ["front.png"]  # the map is of the protocol's middle


def test_gains_are_of_the_same_topologies_and_corrected(out: Path) -> None:
    rows = table(gathered(read(out / "runs.csv")), "local")
    centres = [row for row in rows if row["policy"] == "central_full" and row["hold"] == 1]
    assert len(centres) == len(CELLS)
    for row in centres:
        assert row["gain_low"] <= row["gain"] <= row["gain_high"]
        assert row["p"] <= row["p_holm"] <= 1.0
        assert row["topologies"] == 3
    assert all(
        row["gain"] == "" for row in rows if row["policy"] == BOUND or (row["policy"], row["hold"]) == ("local", 1)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings of an agent, that are hand rules, in cells that differ in size."""
    folder = tmp_path_factory.mktemp("trained")
    hand = {"agent#0": "local", "agent#1": "random"}
    agents = {name: replace(contender(rule), checkpoint=rule) for name, rule in hand.items()}
    policies = {name: contender(name) for name in ("local", "random", "central_full")} | agents
    cells = [Cell(num_nodes=size) for size in (8, 12, 16)]
    run(jobs(cells, policies, range(100, 103), range(2), (1, 2)), policies, folder, duration_s=20.0)
    return folder


def test_trainings_of_an_agent_are_one(trained: Path) -> None:
    found = gathered(read(trained / "runs.csv"))
    assert found.policies == ("random", "local", "central_full", "agent", BOUND)
    cell = Cell(num_nodes=16)
    one, other, agent = (found.of(cell, name, 1) for name in ("local", "random", "agent"))
    for seed in range(100, 103):
        assert agent[seed][:4] == pytest.approx((one[seed][:4] + other[seed][:4]) / 2.0)
    assert len(table(found, "agent")) == 3 * (4 * 2 + 1)
    write(trained, "agent")
    words = (trained / "grid.md").read_text()
    assert "`agent` is 2 trainings, seeds 0, 1" in words
    appendix = words.partition("## Each training seed by itself")[2]
    assert appendix.count("| `agent` |") == 3 * 2 * 2
    assert "| H1 |" in words.partition("## Hypotheses")[2]


def test_a_training_not_played_everywhere_takes_topologies_away(trained: Path) -> None:
    rows = [row for row in read(trained / "runs.csv") if (row["policy"], row["seed"]) != ("agent#1", "102")]
    found = gathered(rows)
    assert set(found.of(Cell(num_nodes=8), "agent", 1)) == {100, 101}
    assert set(found.of(Cell(num_nodes=8), "local", 1)) == {100, 101, 102}


def test_a_name_stays_with_its_agent(trained: Path) -> None:
    policies = {"agent#0": replace(contender("random"), checkpoint="another")}
    with pytest.raises(InvalidParameter, match=r"^checkpoint: wanted 'local' as agent#0"):
        run([], policies, trained, duration_s=20.0)
    assert json.loads((trained / "grid.json").read_text())["agents"] == {"agent#0": "local", "agent#1": "random"}


def test_agents_come_from_checkpoints_and_folders_of_runs(tmp_path: Path) -> None:
    (one,) = learned([f"dpem={TRAINED}"])
    shutil.copytree(TRAINED, tmp_path / "first" / TRAINED.name)
    (tmp_path / "first" / LATEST).write_text(TRAINED.name)
    (tmp_path / "notes").mkdir()
    found = learned([f"dpem={tmp_path}", f"other={tmp_path / 'first'}"])
    assert list(found) == [one, one.replace("dpem", "other")]
    assert {each.checkpoint for each in found.values()} == {TRAINED.name}


def test_who_is_dominated() -> None:
    best, quiet = Point("a", 1, 0.7, 0.3), Point("a", 2, 0.6, 0.1)
    every = [best, quiet, Point("b", 1, 0.6, 0.2), Point("c", 1, 0.7, 0.3)]
    assert [beaten(each, every) for each in every] == [None, None, quiet, None]
    words = "\n".join(grid_front.words("here", every, ("a",)))
    assert "dominates 1 of 2 points of others; left: `c` hold 1." in words
    assert "Dominated by others are 0 of its 2 points: none." in words
    assert "With hold 1 on both sides, 0 of 2; left: `b` hold 1; `c` hold 1." in words


def test_several_agents_are_one_line_for_each_back_off() -> None:
    bold, shy = (Point("bold", hold, 0.7 / hold, 0.3 / hold) for hold in (1, 2)), Point("shy", 1, 0.6, 0.2)
    rule = [Point("local", hold, 0.5 / hold, 0.4 / hold) for hold in (2, 1)]
    points, looks = [*bold, shy, *rule], {name: {} for name in ("local", "bold", "shy")}
    found = {label: mine for label, mine, _ in _curves(points, looks, ("bold", "shy"))}
    assert found == {"local": rule[::-1], "bold, shy": [shy, points[0]], "_": [points[1]]}
    assert [label for label, *_ in _curves(points, looks, ("bold",))] == ["local", "bold", "shy"]


def test_delivery_by_size(trained: Path) -> None:
    found = gathered(read(trained / "runs.csv"))
    ((cell, policies),) = grid_sizes.sizes(found).items()
    assert cell == Cell()
    assert [each.policy for each in policies] == ["random", "local", "central_full", "agent"]
    for each in policies:
        assert [num for *_, num in each.means()] == [3, 3, 3]
        assert 0.0 <= each.by_nodes.r2 <= 1.0
    told = write(trained, "agent")
    assert {Path(name).name for name in told["pictures"]} == {"front.png", "sizes.png"}
    assert "## Delivery on the number of nodes" in (trained / "grid.md").read_text()


def test_the_protocols_parts_are_there() -> None:
    assert {name: len(cells()) for name, cells in PARTS.items()} == {
        "headline": 1,
        "fresh": 3,
        "plane": 15,
        "map": 45,
        "deadline": 8,
        "coherence": 8,
        "predictability": 8,
        "size": 1,
        "sizes": 5,
        "front": 2,
    }
    assert PARTS["headline"]() == [Cell()]
    assert {*PARTS["headline"](), *PARTS["front"]()} <= set(PARTS["plane"]()) <= set(PARTS["map"]())
    assert set(PARTS["fresh"]()) <= set(PARTS["map"]())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("part", ["--part", "everything"]),
        ("policy", ["--policies", "local,nobody"]),
        ("seeds", ["--seeds", "7:3"]),
        ("seeds", ["--seeds", "x"]),
        ("physics", ["--physics", "-1"]),
        ("against", ["--report"]),
        ("checkpoint", ["--checkpoint", "local=runs"]),
        ("checkpoint", ["--checkpoint", f"a#b={TRAINED}"]),
        ("checkpoint", ["--checkpoint", f"dpem={TRAINED}", "--checkpoint", f"dpem={TRAINED}"]),
        ("--checkpoint", ["--checkpoint", "runs"]),
    ],
)
def test_bad_input_is_refused_by_name(tmp_path: Path, name: str, words: list[str]) -> None:
    found = CliRunner().invoke(APP, ["--out", str(tmp_path), *words])
    assert found.exit_code == 2
    assert f"error: {name}:" in found.output


def test_what_is_no_table_of_the_grid_is_refused(tmp_path: Path, out: Path) -> None:
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidParameter, match=r"^out:"):
        read(tmp_path / "runs.csv")
    with pytest.raises(InvalidParameter, match=r"^duration_s:"):
        run([], {}, out, duration_s=30.0)
    with pytest.raises(InvalidParameter, match=r"^seeds:"):
        seeds_of("3:", "seeds")


def test_the_command_answers_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "headline", lambda: [Cell(num_nodes=12)])
    words = [
        "--out",
        str(tmp_path),
        "--policies",
        "static,local",
        "--seeds",
        "0:2",
        "--physics",
        "0",
        "--duration",
        "20",
    ]
    found = CliRunner().invoke(APP, [*words, "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout) == {"out": str(tmp_path), "runs": 6, "cells": 3, "against": "local", "pictures": []}
