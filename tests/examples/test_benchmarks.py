"""Benchmarks run rarely: this sees that what they import is still where they look for it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
PEERS = {"mqt", "qns", "sequence", "stable_baselines3"}
"""Packages that live in an environment of their own."""


def imported(script: Path) -> Iterator[tuple[str, str | None]]:
    """Modules of a script, and the names that it takes from each."""
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS.parent)
    monkeypatch.syspath_prepend(BENCHMARKS)
    for module, name in imported(script):
        if module.split(".")[0] in PEERS or (BENCHMARKS / f"{module}.py").exists():
            continue
        assert find_spec(module), f"{script.name} imports {module}"
        if name is not None and module.split(".")[0] in ("circuits", "backends", "orchestrator", "policies", "workers"):
            there = importlib.import_module(module)
            assert hasattr(there, name) or find_spec(f"{module}.{name}"), f"{script.name} imports {name} from {module}"
