"""A learner on disk: what it is, what it has learned, and everything that it needs to go on.

A run's folder holds its last checkpoint, a folder named after what is in it, and ``latest``, the name of that folder:

    latest                      the name
    3f0c…/config.json           format, learner, world, setting, seed, start, how far it is, versions of packages
    3f0c…/weights.safetensors   the actor
    3f0c…/training.safetensors  optimisers, chance and whatever else training needs to go on
    3f0c…/curve.csv             epoch, slots, cost, and the learner's own figures
    3f0c…/times.csv             seconds of training until each epoch; not part of the name

The name is a digest of all but the times: the same run gives the same name, interrupted or not. A checkpoint is written
beside the last one and then takes its place, so that an interrupt leaves a whole one. Nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import construct, short
from circuits.registry import resolve
from policies.envs.batched import read_setting, written_setting
from policies.envs.documents import check_keys
from policies.learners import LEARNERS
from policies.learners.learner import Actor, Learner, Progress

FORMAT = 1
PACKAGES = ("torch", "numpy", "safetensors")
FILES = ("config.json", "weights.safetensors", "training.safetensors", "curve.csv")
TIMES = "times.csv"
LATEST = "latest"
WEIGHTS = "weights."
"""What names of weights begin with in ``training.safetensors``: see :mod:`policies.learners.kit.snapshot`."""

MOST_BYTES = 4 * 2**30
"""Largest file that is read."""


@dataclass(frozen=True)
class Run:
    """What is trained: a learner by name with its ``Config``, in a world by name with its setting, from a seed.

    Attributes:
        start: name of the checkpoint with whose weights it begins; empty if with none.
    """

    learner: str
    env: str
    seed: int
    config: Any
    setting: Any
    start: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        described = {"config": asdict(self.config), "setting": written_setting(self.setting)}
        begun = {"start": self.start} if self.start else {}
        return {"learner": self.learner, "env": self.env, "seed": self.seed, **described, **begun}

    def begin(self, start: Checkpoint | None = None) -> Learner:
        """The learner, untrained but for the weights of another checkpoint, if it begins there.

        Raises:
            InvalidParameter: it has none, or those of other networks.
        """
        learner = cast(Learner, learner_type(self.learner)(self.config, self.setting, self.seed))
        if start is not None:
            weights = {name: value for name, value in start.training.items() if name.startswith(WEIGHTS)}
            if not weights:
                raise InvalidParameter(f"start: wanted weights in training.safetensors of {start.name}, got none")
            fresh = learner.state()
            mine = {name: value for name, value in fresh.items() if name.startswith(WEIGHTS)}
            _check_shapes(f"start {start.name}", mine, weights)
            learner.restore({**fresh, **weights})
        return learner


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds.

    Attributes:
        name: of the folder.   run: what was trained.   curve: one entry an epoch.   times_s: training until each.
        weights: of the actor.   training: of the learner.
    """

    name: str
    run: Run
    curve: tuple[Progress, ...]
    times_s: tuple[float, ...]
    weights: Mapping[str, Tensor]
    training: Mapping[str, Tensor]

    def learner(self) -> Learner:
        """The learner, as it was left.

        Raises:
            InvalidParameter: what was saved does not fit it.
        """
        learner = self.run.begin()
        with _in_words("training.safetensors"):
            learner.restore(self.training)
        return learner

    def actor(self) -> Actor:
        """What was learned.

        Raises:
            InvalidParameter: the weights are not those of this learner's actor.
        """
        actor = self.run.begin().actor()
        module = cast(torch.nn.Module, actor)
        _check_shapes("weights.safetensors", module.state_dict(), self.weights)
        module.load_state_dict(dict(self.weights))
        module.eval()
        return actor


def learner_type(name: str) -> Any:
    """The class of a learner.

    Raises:
        InvalidParameter: no learner has that name.
    """
    return resolve(LEARNERS, name, kind="learner", error=InvalidParameter)


def _check_shapes(where: str, wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
    """Whether weights are those of such a network."""
    for name in sorted({*wanted, *got}):
        shapes = [tuple(each[name].shape) if name in each else "none" for each in (wanted, got)]
        if shapes[0] != shapes[1]:
            raise InvalidParameter(f"{where}: {short(name)}: wanted shape {shapes[0]}, got {shapes[1]}")


@contextmanager
def _in_words(where: str) -> Iterator[None]:
    """What a learner says of tensors that do not fit it."""
    try:
        yield
    except (KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise InvalidParameter(f"{where}: wanted what this learner saves, got something else: {error}") from error


def save(root: Path, run: Run, learner: Learner, curve: Sequence[Progress], times_s: Sequence[float]) -> Path:
    """Leave a checkpoint in a run's folder, in the place of the one before.

    Returns:
        Its folder.

    Raises:
        InvalidParameter: the learner has come to numbers that are none; the last checkpoint stays.
    """
    weights = cast(torch.nn.Module, learner.actor()).state_dict()
    last = curve[-1] if curve else Progress(0, 0, 0.0)
    packages = {name: version(name) for name in PACKAGES}
    described = {"format": FORMAT, **run.document(), "epochs": last.epoch, "slots": last.slots, "packages": packages}
    held = {
        "config.json": (json.dumps(described, indent=2, sort_keys=True) + "\n").encode(),
        "weights.safetensors": write_tensors(_checked("weights.safetensors", weights)),
        "training.safetensors": write_tensors(_checked("training.safetensors", learner.state())),
        "curve.csv": _table(
            [{"epoch": one.epoch, "slots": one.slots, "cost": one.cost, **one.figures} for one in curve]
        ),
    }
    name = name_of(held)
    held[TIMES] = _table([{"epoch": one.epoch, "wall_s": wall_s} for one, wall_s in zip(curve, times_s, strict=True)])
    before = _latest(root)
    if before != name or not (root / name).is_dir():
        _put(root, name, held)
        for old in (*root.glob(".*.part"), *([root / before] if before not in (None, name) else [])):
            shutil.rmtree(old, ignore_errors=True)
    return root / name


def _put(root: Path, name: str, held: Mapping[str, bytes]) -> None:
    """A new folder, whole or not at all, and then the word that it is the last."""
    fresh = root / f".{name}.{os.getpid()}.part"
    fresh.mkdir(parents=True, exist_ok=True)
    for file, content in held.items():
        (fresh / file).write_bytes(content)
    shutil.rmtree(root / name, ignore_errors=True)
    fresh.replace(root / name)
    pointer = root / f"{LATEST}.part"
    pointer.write_text(f"{name}\n")
    pointer.replace(root / LATEST)


def name_of(held: Mapping[str, bytes]) -> str:
    """A checkpoint's name, from its files."""
    digest = hashlib.sha256()
    for file in FILES:
        digest.update(hashlib.sha256(held[file]).digest())
    return digest.hexdigest()[:32]


def _checked(where: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by themselves, all of them numbers."""
    for name, value in tensors.items():
        if value.is_floating_point() and bool(value.isnan().any()):
            raise InvalidParameter(f"{where}: {short(name)}: wanted numbers, got NaN")
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def _table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["epoch"]
    file = io.StringIO()
    table = csv.DictWriter(file, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()


def _latest(root: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        name = (root / LATEST).read_text().strip()
        if name.isalnum():
            return name
    return None


def exists(root: Path) -> bool:
    """Whether a run's folder has a checkpoint."""
    return _latest(root) is not None


def read_run(document: Mapping[str, Any]) -> Run:
    """What was trained, from :meth:`Run.document`, of a registered learner.

    Raises:
        InvalidParameter: a field is unknown, missing or out of range; the message names it.
    """
    kind = learner_type(document["learner"]).config_type
    named = {item.name for item in fields(kind)}
    check_keys("config.json: config", document["config"], required=named, known=named)
    config = construct(kind, document["config"])
    setting = read_setting(document["env"], document["setting"])
    return Run(document["learner"], document["env"], document["seed"], config, setting, document["start"])


def load(path: Path, read: Callable[[Mapping[str, Any]], Any] = read_run) -> Checkpoint:
    """What a checkpoint's folder holds, or the last one of a run's.

    Args:
        read: what was trained, from ``config.json``; for learners with worlds of their own.

    Raises:
        InvalidParameter: there is none, or it is not ours, or not as it was written; the message names what is wrong.
    """
    latest = _latest(path)
    folder = path if latest is None else path / latest
    held = {file: _read(folder / file) for file in (*FILES, TIMES)}
    name = name_of(held)
    if folder.resolve().name != name:
        raise InvalidParameter(f"{folder}: wanted {name}, which is what its files come to: it was changed or renamed")
    with _naming(folder):
        document = _document(held["config.json"])
        run, epochs = read(document), document["epochs"]
        curve = _curve(held["curve.csv"], epochs)
        times_s = tuple(_number(TIMES, row["wall_s"]) for row in _rows(TIMES, held[TIMES], ("epoch", "wall_s")))
        if len(times_s) != epochs:
            raise InvalidParameter(f"{TIMES}: wanted {epochs} rows, got {len(times_s)}")
        weights, training = (_tensors(file, held[file]) for file in FILES[1:3])
    return Checkpoint(name, run, curve, times_s, weights, training)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    try:
        yield
    except InvalidParameter as error:
        raise InvalidParameter(f"{folder}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidParameter(f"{path}: wanted at most {MOST_BYTES} bytes, got {path.stat().st_size}")
        return path.read_bytes()
    except OSError as error:
        raise InvalidParameter(f"{path}: wanted a file of a checkpoint: {error.strerror or error}") from error


def _document(content: bytes) -> dict[str, Any]:
    """``config.json`` with all that it has to have."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"config.json: wanted JSON, got something else: {error}") from error
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        got = document.get("format") if isinstance(document, Mapping) else document
        raise InvalidParameter(f"config.json: format: wanted {FORMAT}, got {short(got)}")
    names = {"format", "learner", "env", "seed", "config", "setting", "epochs", "slots", "packages"}
    check_keys("config.json", document, required=names, known={*names, "start"})
    document = {"start": "", **document}
    wanted: dict[str, type] = {"learner": str, "env": str, "seed": int, "config": dict, "setting": dict, "epochs": int}
    for name, kind in {**wanted, "start": str}.items():
        if not isinstance(document[name], kind) or isinstance(document[name], bool):
            raise InvalidParameter(f"config.json: {name}: wanted {kind.__name__}, got {short(document[name])}")
    return document


def _curve(content: bytes, epochs: int) -> tuple[Progress, ...]:
    usual = ("epoch", "slots", "cost")
    curve = []
    for number, row in enumerate(_rows("curve.csv", content, usual if epochs else ("epoch",)), start=1):
        values = {name: _number(f"curve.csv: {short(name)}", word) for name, word in row.items() if word}
        if values["epoch"] != number:
            raise InvalidParameter(f"curve.csv: epoch: wanted {number}, got {values['epoch']:g}")
        figures = {name: value for name, value in values.items() if name not in usual}
        curve.append(Progress(number, int(values["slots"]), values["cost"], figures))
    if len(curve) != epochs:
        raise InvalidParameter(f"curve.csv: wanted {epochs} rows, as many as epochs in config.json, got {len(curve)}")
    return tuple(curve)


def _rows(where: str, content: bytes, wanted: Sequence[str]) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode())))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidParameter(f"{where}: wanted a CSV, got something else: {error}") from error
    for row in rows:
        if any(row.get(name) in (None, "") for name in wanted) or None in row:
            raise InvalidParameter(f"{where}: wanted {', '.join(wanted)} in every row, got {short(row)}")
    return rows


def _number(where: str, word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise InvalidParameter(f"{where}: wanted a number, got {short(word)}") from error


def _tensors(where: str, content: bytes) -> dict[str, Tensor]:
    try:
        return _checked(where, read_tensors(content))
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise InvalidParameter(f"{where}: wanted tensors, got something else: {error}") from error
