"""Every ``python -m policies…``: a variable that cannot be used, or a mistake, is one line with status 2."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import policies
from orchestrator.settings import settings

ROOM = Path(policies.__file__).parent
LIVE = ("--live", "http://127.0.0.1:1", "--policies", "eft")
EMBEDDED = ("--live", "", "--policies", "eft")
START = ("placing", "--env", "Measured-v1", "--from", "placing:f3d6")

CALLS = (  # those that read no settings are not kept from their work by them
    ("policies.train", START, "QORCH_SLOTS=many", "QORCH_SLOTS: Input should be a valid integer"),
    ("policies.train", START, "QORCH_DATA_DIR=what?", "QORCH_DATA_DIR: a data folder's path may hold no '?'"),
    ("policies.evaluate", LIVE, "QORCH_SLOTS=many", "QORCH_SLOTS: Input should be a valid integer"),
    ("policies.evaluate", LIVE, "QORCH_EXPERIMENT_START=many", "QORCH_EXPERIMENT_START: "),
    ("policies.evaluate", EMBEDDED, "QORCH_STORE_URL=many", "QORCH_STORE_URL must be a SQLAlchemy URL such as"),
    ("policies.evaluate", EMBEDDED, "QORCH_STORE_URL=postgresql+psycopg://u:many@127.0.0.1:1/db", "cannot be opened"),
    ("policies.evaluate", EMBEDDED, "QORCH_URL=many:many@here", "a client speaks to http://"),
    ("policies.record", ("--out", "none"), "QORCH_SLOTS=many", "out: wanted a file that ends in .safetensors"),
    ("policies.envs.meqc.__main__", ("evaluate", "none"), "QORCH_SLOTS=many", "none: No such file"),
    ("policies.envs.qcn.__main__", ("optimum", "none"), "QORCH_SLOTS=many", "none: No such file"),
    ("policies.envs.entanglement.__main__", ("replay", "none"), "QORCH_SLOTS=many", "none"),
    (
        "policies.allocators.pairs.__main__",
        ("quote", "none", "--src", "0", "--dst", "1"),
        "QORCH_SLOTS=many",
        "none: No such file",
    ),
    ("policies.allocators.qprimaldual.__main__", ("solve", "none"), "QORCH_SLOTS=many", "none: No such file"),
    ("policies.allocators.dpem.__main__", ("privacy",), "QORCH_SLOTS=many", "sigma, epsilon: wanted one of them"),
)


@pytest.mark.parametrize(("module", "words", "variable", "said"), CALLS)
def test_what_is_wrong_is_one_line(
    module: str, words: tuple[str, ...], variable: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QORCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(*variable.split("=", 1))
    settings.cache_clear()
    done = CliRunner().invoke(import_module(module).app, words)
    settings.cache_clear()
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "many" not in done.output, "a value may be a secret"
    assert not done.stdout


def test_none_is_left_out() -> None:
    files = [file for file in ROOM.rglob("*.py") if '\nif __name__ == "__main__":' in file.read_text()]
    named = {".".join(file.relative_to(ROOM.parent).with_suffix("").parts) for file in files}
    assert {module for module, *_ in CALLS} == named
