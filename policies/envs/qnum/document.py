"""Files of networks, in the paper's letters: ``links`` with a, b, d and length_km, ``flows`` with route_links and K.

Other keys are passed over, such as what an instance says of its optimum; one that looks like a misspelt key of ours is
refused. ``d`` of a link may be left out if kappa and T_s are there: see
:func:`policies.envs.qnum.werner.single_click_hz`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.qnum.network import D_HZ, MOST, THETAS, WEIGHTS, Flow, Link, Network, number, whole
from policies.envs.qnum.werner import ATTENUATION_DB_KM, latency_s, single_click_hz

MOST_BYTES = 256 * 2**20
"""Largest file that is read."""

_LONGEST_NAME = 200

_LINK_KEYS = ("id", "a", "b", "d", "length_km", "kappa", "T_s", "att_db_km", "delay_s")
_FLOW_KEYS = ("id", "src", "dst", "route_links", "utility", "weight", "K", "alpha", "theta")


def load(path: Path) -> Network:
    """The network of a JSON file.

    Raises:
        InvalidParameter: it is too large, is no JSON, or names no network; the message names the field.
    """
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise InvalidParameter(f"{path}: wanted at most {MOST_BYTES} bytes, got more")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # among the former, an integer of too many digits
        raise InvalidParameter(f"{path}: wanted a JSON file, got one that cannot be read: {error}") from error
    return read(document)


def read(document: object) -> Network:
    """The network of an instance.

    Raises:
        InvalidParameter: the message names the field.
    """
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"instance: wanted an object with links and flows, got {short(document)}")
    for key in ("links", "flows"):
        if not isinstance(document.get(key), list) or not document[key]:
            raise InvalidParameter(f"{key}: wanted a list of at least one, got {short(document.get(key))}")
    links = [_link(f"links[{place}]", place, each) for place, each in enumerate(document["links"])]
    flows = [_flow(f"flows[{place}]", place, each) for place, each in enumerate(document["flows"])]
    least = 1 + max(node for link in links for node in link.ends)
    num_nodes = whole("num_nodes", document.get("num_nodes", least), least, MOST)
    name = document.get("name", "")
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise InvalidParameter(f"name: wanted a text of at most {_LONGEST_NAME} letters, got {short(name)}")
    network = Network(num_nodes, tuple(links), tuple(flows), name)
    for place, (each, path) in enumerate(zip(document["flows"], network.paths, strict=True)):
        if each.get("dst", path[-1]) != path[-1]:
            raise InvalidParameter(
                f"flows[{place}].dst: wanted {path[-1]}, where its route ends, got {short(each['dst'])}"
            )
    return network


def written(network: Network) -> dict[str, Any]:
    """A network as :func:`read` reads it."""
    links = [
        {"id": place, "a": link.ends[0], "b": link.ends[1], "length_km": link.length_km, "d": link.d_hz}
        for place, link in enumerate(network.links)
    ]
    flows = [
        {
            "id": place,
            "src": network.paths[place][0],
            "dst": network.paths[place][-1],
            "route_links": list(flow.route),
            "utility": flow.utility,
            "weight": flow.weight,
            "K": math.log(flow.w_min) if flow.w_min else None,
            **({"alpha": flow.alpha} if flow.alpha != 1.0 else {}),
            **({"theta": flow.theta} if flow.theta != 1.0 else {}),
        }
        for place, flow in enumerate(network.flows)
    ]
    return {"name": network.name, "num_nodes": network.num_nodes, "links": links, "flows": flows}


def _keys(name: str, document: Any, place: int, known: tuple[str, ...], required: tuple[str, ...]) -> None:
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"{name}: wanted an object, got {short(document)}")
    for key in required:
        if key not in document:
            raise InvalidParameter(f"{name}.{key}: wanted a value, got none")
    for key in document:
        close = [] if key in known else get_close_matches(str(key), known, n=1, cutoff=0.75)
        if close:
            raise InvalidParameter(f"{name}.{short(key)[1:-1]}: no such key; did you mean {close[0]}?")
    if document.get("id", place) != place:
        raise InvalidParameter(f"{name}.id: wanted {place}, its place in the list, got {short(document['id'])}")


def _link(name: str, place: int, document: Any) -> Link:
    _keys(name, document, place, _LINK_KEYS, ("a", "b"))
    ends = (whole(f"{name}.a", document["a"], 0, MOST - 1), whole(f"{name}.b", document["b"], 0, MOST - 1))
    length_km = number(f"{name}.length_km", document.get("length_km", 0.0), 0.0, 1e6)
    if "d" in document:
        d_hz = number(f"{name}.d", document["d"], *D_HZ)
    else:
        if not {"kappa", "T_s"} <= set(document):
            raise InvalidParameter(f"{name}.d: wanted pairs per second at w = 0, or kappa and T_s, got neither")
        d_hz = single_click_hz(
            length_km,
            number(f"{name}.kappa", document["kappa"], 0.0, 1.0, above=True),
            number(f"{name}.T_s", document["T_s"], 1e-12, 1e6),
            number(f"{name}.att_db_km", document.get("att_db_km", ATTENUATION_DB_KM), 0.0, 1e3),
        )
    light_s = latency_s(length_km)
    if not math.isclose(number(f"{name}.delay_s", document.get("delay_s", light_s), 0.0, 1e6), light_s, rel_tol=1e-6):
        raise InvalidParameter(f"{name}.delay_s: wanted {light_s:g}, light over length_km, got {document['delay_s']}")
    return Link(ends, d_hz, length_km)


def _flow(name: str, place: int, document: Any) -> Flow:
    _keys(name, document, place, _FLOW_KEYS, ("route_links", "utility"))
    route = document["route_links"]
    if not isinstance(route, list) or not route:
        raise InvalidParameter(f"{name}.route_links: wanted a list of at least one link, got {short(route)}")
    least_log = document.get("K")
    if least_log is not None and number(f"{name}.K", least_log, -math.inf, math.inf) >= 0.0:
        raise InvalidParameter(
            f"{name}.K: wanted less than 0 (or null), got {short(least_log)}: infeasible, as Σ log w < 0 at any "
            "positive rate"
        )
    return Flow(
        tuple(route),
        document["utility"] if isinstance(document["utility"], str) else short(document["utility"]),
        weight=number(f"{name}.weight", document.get("weight", 1.0), *WEIGHTS),
        w_min=0.0 if least_log is None else math.exp(least_log),
        source=None if "src" not in document else whole(f"{name}.src", document["src"], 0, MOST - 1),
        alpha=number(f"{name}.alpha", document.get("alpha", 1.0), 1.0, 10.0),
        theta=number(f"{name}.theta", document.get("theta", 1.0), *THETAS),
    )
