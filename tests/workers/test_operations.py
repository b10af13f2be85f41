"""OPERATIONS.md says what is so: every setting with its default, commands and metrics that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from orchestrator.settings import SILENT_HEARTBEATS, Settings
from workers.cli import app

PAGE = (Path(__file__).parents[2] / "OPERATIONS.md").read_text(encoding="utf-8")
IN_WORDS = {
    "checkpoints",
    "data_dir", "store_url", "redis_url", "url", "token", "backends", "prices", "retention_days", "experiment_start",
}  # fmt: skip
"""Settings whose default is told in words."""

COMMANDS = typer.main.get_command(app)


def test_every_setting_is_there_with_its_default() -> None:
    told = dict(re.findall(r"^\| `QORCH_(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert {name.lower() for name in told} == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if name in IN_WORDS:
            continue
        default = field.default
        shown = str(default).lower() if isinstance(default, bool | str) else f"{default:.15g}"
        assert told[name.upper()] == shown, name


def test_how_long_a_silence_is() -> None:
    assert SILENT_HEARTBEATS == 4
    assert Settings().silent_s == 20.0


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^ *(qorch [^#\n]+)", PAGE, re.MULTILINE))))
def test_every_command_is_understood(line: str) -> None:
    words = shlex.split(line.partition("&&")[0])[1:]
    command, context = COMMANDS, typer.Context(COMMANDS, info_name="qorch")
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[words.pop(0)]
    command.make_context("qorch", words, parent=context)


def test_every_metric_exists(tmp_path: Path) -> None:
    metrics = pytest.importorskip("orchestrator.metrics", reason="pip install 'qorch[server]'")
    from orchestrator.sql.store import SqlStore

    store = SqlStore(f"sqlite:///{tmp_path / 'qorch.sqlite'}")
    text = metrics.Exporter(store).text().decode()
    store.close()
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    named = set(re.findall(r"\b(qorch_[a-z_]+)[{\[ ]", PAGE))
    assert named
    assert {name.removesuffix("_bucket") for name in named} <= known
