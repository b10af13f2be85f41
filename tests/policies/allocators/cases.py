"""Networks that tests share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from policies.envs.qnum import document, topologies
from policies.envs.qnum.network import Network

INSTANCES = sorted((Path(__file__).parent / "instances").glob("*.json"))


def instance(path: Path) -> tuple[Network, dict[str, Any]]:
    """A network and what its file says of it."""
    return document.load(path), json.loads(path.read_text())


def with_minimum(network: Network, w_min: float) -> Network:
    """The same, with a minimum quality for all."""
    return replace(network, flows=tuple(replace(flow, w_min=w_min) for flow in network.flows))


def unseen() -> list[Network]:
    """Networks that no gains were chosen on."""
    nsfnet = topologies.nsfnet()
    return [
        topologies.dumbbell(6, "logneg", access_km=(3.0, 40.0), trunk_km=8.0),
        topologies.with_flows(nsfnet, 60, "mixed", 1001, weights=(0.2, 4.0)),
        topologies.with_flows(nsfnet, 15, "mixed", 1002, w_min=0.9, weights=(0.5, 2.0)),
        topologies.with_flows(topologies.random_geometric(50, 110, 1003), 60, "mixed", 1003, weights=(0.5, 2.0)),
    ]
