"""Logged play on disk: what everybody saw, did and was paid in whole episodes, and who played.

One safetensors file, its description as JSON in the header: nothing is ever unpickled. Of N episodes of T slots with U
users and E places:

    user (N, T, U, F), pair (N, T, U, E, G)     what was seen, float32
    servers int64, shares float32, asks bool    what was done, (N, T, U)
    reward float32 (N, T, U)                    what each user was paid
    reference float32 (N, T, U)                 what it would have been paid there had all played by the reference rule
    cost float32 (N, T)                         of all users
    terminated bool (N, T)                      whether the episode ended there
    play int64 (N,)                             who played, of the plays named in the description

``reference`` comes of playing the same tasks, channels and drift again (common random numbers): it takes luck out of
returns, and only a simulator can give it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs import load as world_type
from policies.envs.batched import read_setting, written_setting
from policies.envs.documents import check_keys

FORMAT = 1
HEADER = "qorch"
"""Key of the description in the file's header."""
SUFFIX = ".safetensors"
MOST_BYTES = 4 * 2**30
"""Largest file that is read."""
TENSORS: dict[str, tuple[str, torch.dtype]] = {
    "user": ("NTUF", torch.float32),
    "pair": ("NTUEG", torch.float32),
    "servers": ("NTU", torch.int64),
    "shares": ("NTU", torch.float32),
    "asks": ("NTU", torch.bool),
    "reward": ("NTU", torch.float32),
    "reference": ("NTU", torch.float32),
    "cost": ("NT", torch.float32),
    "terminated": ("NT", torch.bool),
    "play": ("N", torch.int64),
}
"""Axes and dtype of each."""


@dataclass(frozen=True)
class Trajectories:
    """Episodes as they were played; tensors as in the module's description.

    Attributes:
        env, setting: the world.   plays: who played, by number.   by: the reference rule.
        seed: of the first play's worlds; that of play p is ``seed + p``.
    """

    env: str
    setting: Any
    plays: tuple[str, ...]
    by: str
    seed: int
    user: Tensor
    pair: Tensor
    servers: Tensor
    shares: Tensor
    asks: Tensor
    reward: Tensor
    reference: Tensor
    cost: Tensor
    terminated: Tensor
    play: Tensor

    @property
    def num_episodes(self) -> int:
        """N."""
        return int(self.cost.shape[0])

    @property
    def num_slots(self) -> int:
        """T."""
        return int(self.cost.shape[1])

    def rewards(self, kind: str) -> Tensor:
        """``raw``: as paid; ``baseline``: less what the reference was paid on the same tasks: (N, T, U)."""
        return self.reward - self.reference if kind == "baseline" else self.reward

    def returns_to_go(self, kind: str) -> Tensor:
        """What each user is paid from each slot to the end of the log, undiscounted, (N, T, U)."""
        return self.rewards(kind).flip(1).cumsum(1).flip(1)

    def of(self, index: Tensor) -> Trajectories:
        """Some of the episodes."""
        kept = {name: getattr(self, name)[index] for name in TENSORS}
        return Trajectories(self.env, self.setting, self.plays, self.by, self.seed, **kept)

    def document(self) -> dict[str, Any]:
        """What the header says."""
        world = {"env": self.env, "setting": written_setting(self.setting)}
        return {"format": FORMAT, **world, "plays": list(self.plays), "reference": self.by, "seed": self.seed}


def save(logged: Trajectories, path: Path) -> str:
    """Leave a file, whole or not at all.

    Returns:
        Its digest.

    Raises:
        InvalidParameter: the path does not end as such files do.
    """
    if path.suffix != SUFFIX:
        raise InvalidParameter(f"out: wanted a file that ends in {SUFFIX}, got {short(str(path))}")
    tensors = {name: getattr(logged, name).contiguous() for name in TENSORS}
    content = write_tensors(tensors, {HEADER: json.dumps(logged.document(), sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, digest: str = "") -> tuple[Trajectories, str]:
    """What a file holds, and its digest.

    Args:
        digest: SHA-256 that the file has to have, as hexadecimal digits; "": any.

    Raises:
        InvalidParameter: there is none, or it is not ours, or not as it was written; the message names what is wrong.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidParameter(f"{path}: wanted at most {MOST_BYTES} bytes, got {path.stat().st_size}")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidParameter(f"{path}: wanted a file of logged play: {error.strerror or error}") from error
    found = hashlib.sha256(content).hexdigest()
    if digest and found != digest:
        raise InvalidParameter(f"{path}: digest: wanted {digest}, got {found}")
    try:
        return _parsed(content), found
    except InvalidParameter as error:
        raise InvalidParameter(f"{path}: {error}") from error


def _parsed(content: bytes) -> Trajectories:
    document = _document(content)
    names = {"format", "env", "setting", "plays", "reference", "seed"}
    check_keys("header", document, required=names, known=names)
    if document["format"] != FORMAT:
        raise InvalidParameter(f"format: wanted {FORMAT}, got {short(document['format'])}")
    plays, by, seed = document["plays"], document["reference"], document["seed"]
    if not isinstance(plays, list) or not plays or not all(isinstance(word, str) for word in [*plays, by]):
        raise InvalidParameter(f"plays: wanted a list of names, got {short(plays)}")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InvalidParameter(f"seed: wanted an integer, got {short(seed)}")
    if not isinstance(document["env"], str):
        raise InvalidParameter(f"env: wanted a name, got {short(document['env'])}")
    setting = read_setting(document["env"], document["setting"])
    try:
        tensors = read_tensors(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise InvalidParameter(f"wanted tensors, got something else: {error}") from error
    features = world_type(document["env"]).num_features
    sizes = {"U": setting.users, "E": setting.servers, "F": features[0], "G": features[1]}
    _check(tensors, sizes, len(plays))
    return Trajectories(document["env"], setting, tuple(plays), by, seed, **tensors)


def _document(content: bytes) -> Mapping[str, Any]:
    """The description in the header: eight bytes say how long the JSON is that follows."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        document = json.loads(header["__metadata__"][HEADER])
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidParameter("header: wanted a description of logged play, got none") from error
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"header: wanted an object, got {short(document)}")
    return document


def _check(tensors: Mapping[str, Tensor], sizes: dict[str, int], num_plays: int) -> None:
    """Names, dtypes, shapes, ranges."""
    check_keys("tensors", tensors, required=set(TENSORS), known=set(TENSORS))
    if tensors["cost"].ndim != 2 or not tensors["cost"].numel():
        raise InvalidParameter(f"cost: wanted episodes of slots, got shape {tuple(tensors['cost'].shape)}")
    sizes = {**sizes, "N": tensors["cost"].shape[0], "T": tensors["cost"].shape[1]}
    for name, (axes, dtype) in TENSORS.items():
        value, shape = tensors[name], tuple(sizes[axis] for axis in axes)
        if tuple(value.shape) != shape or value.dtype != dtype:
            raise InvalidParameter(f"{name}: wanted {dtype} {shape}, got {value.dtype} {tuple(value.shape)}")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InvalidParameter(f"{name}: wanted finite numbers")
    for name, most in (("servers", sizes["E"] - 1), ("shares", 1.0), ("play", num_plays - 1)):
        low, high = (each.item() for each in tensors[name].aminmax())
        if not 0 <= low <= high <= most:
            raise InvalidParameter(f"{name}: wanted numbers in [0, {most}], got {low} to {high}")
