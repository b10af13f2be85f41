"""Spec sheets are shipped, and speak of everything that can be set."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from policies.envs import ENVS, load
from policies.envs.batched import has_model

ROOT = Path(__file__).parents[3]


def sheet_of(name: str) -> str:
    """Of the room that a world is in."""
    return files(load(name).__module__.rpartition(".")[0]).joinpath("SPEC.md").read_text()


@pytest.mark.parametrize("name", ENVS)
def test_every_parameter_is_in_it(name: str) -> None:
    setting = load(name).setting_type()
    named = {
        item.name for kind in (setting, *([setting.model] if has_model(setting) else [])) for item in fields(kind)
    } - {"mode"}
    assert {one for one in named if f"`{one}`" not in sheet_of(name)} == set()


@pytest.mark.parametrize("name", ENVS)
def test_the_world_is_in_it(name: str) -> None:
    assert f"`{name}`" in sheet_of(name)


@pytest.mark.parametrize("name", [name for name in ENVS if has_model(load(name).setting_type)])
def test_every_reading_says_who_settled_it(name: str) -> None:
    rows = sheet_of(name).partition("## Readings")[2].partition("##")[0].splitlines()
    table = [row for row in rows if row.startswith("|")][2:]
    assert len(table) > 10
    assert [row for row in table if not any(word in row for word in ("paper", "ours", "second-hand", "study"))] == []


@pytest.mark.parametrize("name", ENVS)
def test_every_feature_is_in_it(name: str) -> None:
    seen, sheet = load(name)(load(name).setting_type(users=2, servers=2)).observe(), sheet_of(name)
    assert (seen.user.shape[-1], seen.pair.shape[-1]) == load(name).num_features
    for kind, values in (("user", seen.user), ("pair", seen.pair)):
        last = values.shape[-1] - 1
        assert f"{kind} {last} |" in sheet or f", {last} |" in sheet


def test_they_are_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "SPEC.md" in project["tool"]["setuptools"]["package-data"]["*"]
