"""The house holds: rooms, floors, sizes, what an import costs, and what every record looks like."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("circuits", "backends", "orchestrator", "policies", "workers")
HEAVY = ("qiskit", "celery", "redis", "sqlalchemy", "torch", "cirq", "braket", "pennylane", "numpy", "scipy", "typer")
HEAVY += ("httpx", "fastapi", "structlog", "prometheus_client")
MOST_LINES = 500


def python_files() -> list[Path]:
    folders = (*ROOMS, "tests", "examples")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after a statement."""
    script = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_a_client_loads_nothing_heavy() -> None:
    assert loaded_by("import orchestrator").isdisjoint(HEAVY)


def test_the_trip_itself_needs_no_sdk() -> None:
    sdks = {"qiskit", "cirq", "braket", "pennylane", "torch", "celery"}
    assert loaded_by("import orchestrator.pipeline, orchestrator.transport").isdisjoint(sdks)


@pytest.mark.parametrize("room", ["circuits", "backends", "policies", "workers.cli"])
def test_a_registry_loads_no_member(room: str) -> None:
    assert loaded_by(f"import {room}").isdisjoint({"qiskit", "cirq", "braket", "torch", "celery", "sqlalchemy"})


def test_a_trained_encoder_runs_without_what_trained_it() -> None:
    statement = "from circuits.autoencoder import Autoencoder; Autoencoder().build()"
    assert loaded_by(statement).isdisjoint({"torch", "pennylane"})


def test_the_one_door_upward_exists() -> None:
    from orchestrator.client import CONNECT

    module, _, name = CONNECT.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_no_file_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in python_files()
        if (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in python_files() if not path.read_text().lstrip().startswith(('"""', 'r"""', "#!"))]
    assert silent == []


def test_the_root_holds_the_rooms_and_nothing_else() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    folders = {path.partition("/")[0] for path in tracked if "/" in path}
    assert folders <= {*ROOMS, "tests", "examples", ".ci", ".github", "docs"}
