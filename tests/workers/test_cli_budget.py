"""What `qorch budget` sets and shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from workers.cli import app


def said(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["--data-dir", str(folder), "budget", *words], env={"COLUMNS": "120"})


def document(folder: Path, *words: str) -> Any:
    result = said(folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_budget_is_set_changed_shown_and_removed(tmp_path: Path) -> None:
    assert document(tmp_path, "show") == []
    assert "qorch budget set" in said(tmp_path, "show").output
    made = document(tmp_path, "set", "lab", "--usd", "10", "--qpu-s", "60")
    assert made["budget"] == {"project": "lab", "max_usd": 10.0, "max_qpu_s": 60.0, "since": 0.0}
    assert (made["reserved_usd"], made["spent_usd"]) == (0.0, 0.0)
    restarted = document(tmp_path, "set", "lab", "--usd", "20", "--restart")
    assert restarted["budget"]["since"] > 0.0
    assert document(tmp_path, "set", "lab", "--usd", "30")["budget"]["since"] == restarted["budget"]["since"]
    document(tmp_path, "set", "--usd", "1")
    document(tmp_path, "set", "*", "--qpu-s", "5")
    shown = said(tmp_path, "show").output
    assert all(word in shown for word in ("lab", "default", "all together", "30.00", "QPU s"))
    assert document(tmp_path, "set", "lab") == {"project": "lab", "budget": None}
    assert sorted(one["budget"]["project"] for one in document(tmp_path, "show")) == ["", "*"]


def test_what_cannot_be_a_budget_is_refused_in_words(tmp_path: Path) -> None:
    result = said(tmp_path, "set", "a b", "--usd", "1", "--json")
    assert result.exit_code == 1
    assert "a budget's project" in json.loads(result.stdout)["error"]["message"]
    assert said(tmp_path, "set", "--usd=-1").exit_code == 2
