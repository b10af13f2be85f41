"""The registry: names to families, bad names and parameters refused, and nothing heavy imported by a light client."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circuits import load, registry
from circuits.errors import InvalidParameter, UnknownCircuit
from circuits.registry import Registry, resolve


def test_a_light_client_imports_no_sdk() -> None:
    code = (
        "import sys, circuits, circuits.program, circuits.counts, circuits.family, circuits.registry, circuits.errors\n"
        "from circuits.program import Program\n"
        "Program.from_any('OPENQASM 2.0;qreg q[1];').content_hash()\n"
        "print(sorted({'qiskit', 'numpy', 'scipy', 'openqasm3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(UnknownCircuit, match=r"steane.*Did you mean 'steane'"):
        load("stean")


@pytest.mark.parametrize(
    ("family", "parameters", "field"),
    [
        ("steane", {"rounds": 0}, "rounds"),
        ("steane", {"rounds": 1.0}, "rounds"),
        ("steane", {"rounds": True}, "rounds"),
        ("steane", {"rounds": "2"}, "rounds"),
        ("steane", {"rounds": 10**5000}, "rounds"),
        ("steane", {"basis": "y"}, "basis"),
        ("steane", {"colour": 1}, "colour"),
        ("steane", {"name": 1}, "name"),
        ("autoencoder", {"field": math.nan}, "field"),
        ("autoencoder", {"field": math.inf}, "field"),
        ("autoencoder", {"num_latent": 6}, "num_latent"),
        ("autoencoder", {"num_qubits": 5}, "num_qubits"),
        ("raytracing", {"num_primitives": 7}, "num_primitives"),
        ("raytracing", {"x0": 15, "width": 2}, "width"),
        ("raytracing", {"delta": None}, "delta"),
    ],
)
def test_bad_parameters_are_refused_by_name(family: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        load(family, **parameters)


def test_an_int_stands_for_a_float() -> None:
    assert repr(load("autoencoder", field=1)) == repr(load("autoencoder", field=1.0))


def package(folder: Path, name: str, entry_points: str, source: str) -> None:
    """What pip leaves of a package with these entry points."""
    (folder / f"{name}.py").write_text(source)
    notes = folder / f"{name}-1.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (notes / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that Python finds."""
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    yield tmp_path
    registry._entry_points.cache_clear()


def test_a_package_adds_a_member_and_cannot_take_our_names(installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = '[qorch.things]\nmine = theirs:Mine\nours = theirs:Mine\n"no name" = theirs:Mine\n'
    package(installed, "theirs", lines, "class Mine: pass\n")
    things = Registry("qorch.things", {"ours": "circuits.steane:Steane"})
    assert dict(things) == {"ours": "circuits.steane:Steane", "mine": "theirs:Mine"}
    assert resolve(things, "mine", kind="thing", error=LookupError).__name__ == "Mine"
    assert "ours of qorch.things is left out: that name is taken" in caplog.text
    assert "a name is made of letters" in caplog.text
    things["later"] = "theirs:Mine"
    assert "later" in things
    del things["later"]
    assert len(things) == 2


@pytest.mark.parametrize(
    ("source", "words"),
    [("import no_such_module\n", "No module named"), ("x = 1\n", "no attribute 'Mine'"), ("def\n", "invalid syntax")],
)
def test_a_package_that_cannot_be_had_is_named(installed: Path, source: str, words: str) -> None:
    package(installed, "broken", "[qorch.things]\nmine = broken:Mine\n", source)
    things = Registry("qorch.things", {})
    with pytest.raises(LookupError, match=rf"'mine' stands for 'broken:Mine'.*{words}.*uninstall its package"):
        resolve(things, "mine", kind="thing", error=LookupError)
    sys.modules.pop("broken", None)


def test_packages_add_backends_families_and_policies_to_every_process(tmp_path: Path) -> None:
    """As a worker's child would find them: in a fresh interpreter."""
    source = (
        "from backends.aer import statevector\n"
        "from circuits.steane import Steane\n"
        "from policies.baselines import Greedy\n"
    )
    groups = {"backends": "b = addon:statevector", "circuits": "c = addon:Steane", "policies": "p = addon:Greedy"}
    lines = "".join(f"[qorch.{group}]\n{line}\n" for group, line in groups.items())
    package(tmp_path, "addon", lines, source)
    package(tmp_path, "broken", "[qorch.backends]\nbad = broken:Mine\n", "import no_such_module\n")
    code = (
        "import backends, circuits, policies\n"
        "from workers.node import devices_here\n"
        "served = devices_here([])\n"
        "print(backends.load('b').device().kind)\n"
        "print(type(circuits.load('c')).__name__, type(policies.load('p')).__name__)\n"
        "print('b' in served, 'bad' in served, 'aer_statevector' in served)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["simulator", "Steane", "Greedy", "True", "False", "True"]
