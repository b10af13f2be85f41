"""A user's own requests: a CSV file, or a temporal profile of traffic in SNDlib's XML.

CSV: a header, then ``time_s,source,target`` and, if wanted, ``num_pairs``, ``min_fidelity``, ``deadline_s``; nodes are
numbers of the topology. SNDlib gives demands between places of a classical network: its values become relative rates of
requests, its places, in order of their names, the first nodes. No public record of quantum requests is known.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET  # documents with a type are refused before they are parsed

import numpy as np

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement.demand import Demand, Requests, arrivals, asking
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology

MOST_BYTES = 64 * 2**20
SNDLIB = 73
"""First part of the seed by which requests are drawn from traffic."""
NEEDED, KNOWN = ("time_s", "source", "target"), ("num_pairs", "min_fidelity", "deadline_s")
LIMITS: dict[str, tuple[float, float, bool]] = {
    "time_s": (0.0, 1e9, False),
    "source": (0, 1e9, True),
    "target": (0, 1e9, True),
    "num_pairs": (1, 1e6, True),
    "min_fidelity": (0.25, 1.0, False),
    "deadline_s": (1e-3, 1e6, False),
}
"""Lowest and highest value of a column, and whether it holds whole numbers."""


def read(file: Path, setting: EntanglementSetting, topology: Topology) -> tuple[Demand, Requests]:
    """Who asks for what, from a user's file: SNDlib if its name ends in ``.xml``, otherwise CSV.

    Raises:
        InvalidParameter: the file holds what it may not; the message names the field.
    """
    return (from_sndlib if file.suffix.lower() == ".xml" else read_csv)(file, setting, topology)


def read_csv(file: Path, setting: EntanglementSetting, topology: Topology) -> tuple[Demand, Requests]:
    """Requests of a file; those after the end of the episode are left out.

    Raises:
        InvalidParameter: a column is missing or unknown, or a value is out of range; the message names row and column.
    """
    rows = list(csv.DictReader(_text(file).splitlines()))
    columns = set(rows[0]) if rows else set()
    for name in [*NEEDED, *sorted(str(each) for each in columns)]:
        if name not in columns or name not in LIMITS:
            raise InvalidParameter(f"{file.name}.{name}: wanted {', '.join(NEEDED)}, maybe {', '.join(KNOWN)}")
    default = {"num_pairs": 1.0, "min_fidelity": 0.55, "deadline_s": setting.deadline_s}
    read = {
        name: np.array([_value(file.name, place, name, row.get(name), default) for place, row in enumerate(rows)])
        for name in LIMITS
    }
    slot = (read["time_s"] / setting.slot_s).astype(np.int64)
    order = np.argsort(slot, kind="stable")
    order = order[slot[order] < setting.num_slots]
    if order.size == 0:
        raise InvalidParameter(f"{file.name}.time_s: wanted a request before {setting.duration_s:g} s, got none")
    slot, ends = slot[order], np.stack((read["source"], read["target"]), axis=1)[order].astype(np.int64)
    pairs, pair = np.unique(ends, axis=0, return_inverse=True)
    life = np.maximum(1, np.rint(read["deadline_s"][order] / setting.slot_s)).astype(np.int64)
    demand = asking(setting, topology, pairs[:, 0].copy(), pairs[:, 1].copy(), np.bincount(pair) / pair.size)
    wanted = read["num_pairs"][order].astype(np.int64)
    return demand, Requests(slot, pair.astype(np.int64), wanted, read["min_fidelity"][order], slot + life)


def read_sndlib(file: Path) -> dict[tuple[str, str], float]:
    """Traffic between places of an SNDlib document (``demands/demand`` with source, target, demandValue).

    Raises:
        InvalidParameter: it is not XML, has a document type (which could hold entities), or a value is none.
    """
    text = _text(file)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidParameter(f"{file.name}: wanted XML without a document type, got one with it")
    try:
        root = ET.fromstring(text)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise InvalidParameter(f"{file.name}: wanted SNDlib XML, got what cannot be read: {error}") from None
    found: dict[tuple[str, str], float] = {}
    for demand in (each for each in root.iter() if each.tag.rpartition("}")[2] == "demand"):
        said = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in demand}
        value = _number(said.get("demandValue"))
        if value is None or value < 0.0 or not said.get("source") or not said.get("target"):
            raise InvalidParameter(
                f"{file.name}.demandValue: wanted source, target and a number >= 0, got {short(said)}"
            )
        found[said["source"], said["target"]] = value
    if not found:
        raise InvalidParameter(f"{file.name}.demands: wanted at least one demand, got none")
    return found


def from_sndlib(file: Path, setting: EntanglementSetting, topology: Topology) -> tuple[Demand, Requests]:
    """Poisson requests of one pair each, ``offered_hz`` in all, as traffic is divided in an SNDlib document.

    Raises:
        InvalidParameter: see :func:`read_sndlib`; there are more places than nodes, or no traffic between two places.
    """
    traffic = {ends: value for ends, value in read_sndlib(file).items() if value > 0.0 and ends[0] != ends[1]}
    places = sorted({name for ends in traffic for name in ends})
    if not traffic or len(places) > topology.num_nodes:
        raise InvalidParameter(
            f"{file.name}.demands: wanted traffic between 2 to {topology.num_nodes} places, as there are nodes, "
            f"got {len(places)}"
        )
    ends = np.array([[places.index(name) for name in each] for each in traffic], dtype=np.int64)
    value = np.array(list(traffic.values()))
    demand = asking(setting, topology, ends[:, 0].copy(), ends[:, 1].copy(), value / value.sum())
    return arrivals(setting, demand, np.random.default_rng((SNDLIB, setting.demand_seed)))


def _text(file: Path) -> str:
    if not file.is_file():
        raise InvalidParameter(f"{file}: wanted a file, got none")
    if file.stat().st_size > MOST_BYTES:
        raise InvalidParameter(f"{file.name}: wanted at most {MOST_BYTES} bytes, got {file.stat().st_size}")
    try:
        return file.read_text()
    except UnicodeDecodeError:
        raise InvalidParameter(f"{file.name}: wanted text, got bytes that are none") from None


def _value(file: str, place: int, name: str, word: str | None, default: Mapping[str, float]) -> float:
    value = default.get(name) if not word else _number(word)
    low, high, whole = LIMITS[name]
    if value is None or not low <= value <= high or (whole and value != math.floor(value)):
        kind = "an integer" if whole else "a number"
        raise InvalidParameter(f"{file}[{place}].{name}: wanted {kind} in [{low:g}, {high:g}], got {short(word)}")
    return value


def _number(word: str | None) -> float | None:
    try:
        return float(word or "")
    except ValueError:
        return None
