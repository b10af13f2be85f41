"""The spec sheet is shipped, and speaks of everything that can be set."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from policies.envs import ENVS, load
from policies.envs.meqc.model import Model

ROOT = Path(__file__).parents[4]
SHEET = files("policies.envs.meqc").joinpath("SPEC.md").read_text()


@pytest.mark.parametrize("kind", [Model, *(load(name).setting_type for name in ENVS)], ids=lambda kind: kind.__name__)
def test_every_parameter_is_in_it(kind: type) -> None:
    named = {item.name for item in fields(kind)} - {"mode"}
    assert {name for name in named if f"`{name}`" not in SHEET} == set()


def test_every_world_is_in_it() -> None:
    assert all(f"`{name}`" in SHEET for name in ENVS)


def test_every_reading_says_who_settled_it() -> None:
    rows = SHEET.partition("## Readings")[2].partition("###")[0].splitlines()
    table = [row for row in rows if row.startswith("|")][2:]
    assert len(table) > 15
    assert [row for row in table if not any(word in row for word in ("paper", "ours", "second-hand"))] == []


def test_every_feature_is_in_it() -> None:
    for name in ENVS:
        seen = load(name)(load(name).setting_type(users=2, servers=2)).observe()
        for kind, values in (("user", seen.user), ("pair", seen.pair)):
            last = values.shape[-1] - 1
            assert f"{kind} {last} |" in SHEET or f", {last} |" in SHEET


def test_it_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "SPEC.md" in project["tool"]["setuptools"]["package-data"]["*"]
