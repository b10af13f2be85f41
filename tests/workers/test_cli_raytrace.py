"""`qorch raytrace`: the figures it promises, a picture that is one, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from circuits.raytracing.shading import beside, depth_map, lambert
from workers.cli import app


def qorch(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *words], env={"COLUMNS": "80"})


def test_a_picture_with_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "picture.png"
    words = ("--primitives", "8", "--bits", "3", "--size", "8", "--seed", "7", "--light=-1,-2,-3", "--out", str(out))
    done = qorch(tmp_path, "raytrace", *words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["wrong_pixels"] == 0
    assert found["num_rays"] == 64
    assert found["num_qubits"] == 3 + 2 * 3 + 5
    assert found["queries_per_ray"] == pytest.approx(found["expected_queries_per_ray"], rel=0.2)  # 64 rays alone
    assert found["ms_per_ray"] > 0
    with Image.open(out) as picture:
        assert picture.size == (2 * 384 + 8, 384)
        assert len(picture.convert("RGB").getcolors(4096) or []) > 4


def test_a_scene_from_a_file_on_another_engine(tmp_path: Path) -> None:
    scene = tmp_path / "scene.txt"
    scene.write_text("1 0 1 0 1 2 2\n2 2 3 2 3 0 0\n")
    words = ("--scene", str(scene), "--bits", "2", "--size", "4", "--engine", "aer")
    found = json.loads(qorch(tmp_path, "raytrace", *words, "--json").stdout)
    assert (found["engine"], found["wrong_pixels"], found["classical_tests_per_ray"]) == ("aer", 0, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--size", "20"), "16 pixels a side"),
        (("--light", "1,b"), "three integers"),
        (("--light", "9,0,0"), "light_x: wanted an integer in"),
        (("--primitives", "7"), "wanted one of 4, 8"),
        (("--camera", "fisheye"), "'perspective'"),
        (("--scene", "/no/such/file"), "No such file"),
        (("--out", "/no/such/folder/x.png"), "No such file"),
        (("--engine", "abacus"), "no backend is called"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = qorch(tmp_path, "raytrace", *words)
    assert done.exit_code in (1, 2)
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_shading_follows_the_cosine_and_the_shadow() -> None:
    facing, aslant, shaded = ([1, 0, 0, 0, 0, *normal, lit] for normal, lit in (
        ((0, 0, -1), True), ((-1, 0, 0), True), ((0, 0, -1), False)))  # fmt: skip
    (row,) = lambert([[facing, aslant, shaded, None]], (-1, 0, -2)).sum(axis=2).tolist()
    assert row[0] > row[1] > row[2] > row[3]
    grey = depth_map([[0, 15, None]], 15)
    assert grey[0, 0, 0] > grey[0, 1, 0] > grey[0, 2, 0]
    assert beside(grey, grey).shape == (384, 2 * 1152 + 8, 3)


def test_the_classical_tracer_may_do_some_of_the_rows(tmp_path: Path) -> None:
    words = ("--bits", "2", "--size", "4", "--primitives", "4", "--max-parts", "2")
    found = json.loads(qorch(tmp_path, "raytrace", *words, "--json").stdout)
    assert sorted(row for _, first, last in found["rows"] for row in range(first, last)) == list(range(4))
    assert found["wrong_pixels"] == 0
