"""What to run: circuit families, programs that users bring, and how their results are judged."""

from typing import Any

from circuits.errors import UnknownCircuit
from circuits.parameters import construct
from circuits.registry import Registry, resolve

_OWN: dict[str, str] = {
    "autoencoder": "circuits.autoencoder:Autoencoder",  # Romero, Olson, Aspuru-Guzik 2017, QST 2 045001
    "autoencoder_batch": "circuits.autoencoder:AutoencoderBatch",  # the same
    "raytracing": "circuits.raytracing:RayTracing",  # Santos, Bashford-Rogers, Barbosa, Navratil, arXiv 2204.12797
    "steane": "circuits.steane:Steane",  # Steane 1996, Proc. R. Soc. A 452 2551
}
CIRCUITS = Registry("qorch.circuits", _OWN)
"""Ours, and those of installed packages: see :class:`circuits.registry.Registry`."""


def load(name: str, /, **parameters: Any) -> Any:
    """Build the family called ``name``.

    Raises:
        UnknownCircuit: no family has that name.
        InvalidParameter: a parameter is unknown, has the wrong type or lies outside its range.
    """
    return construct(resolve(CIRCUITS, name, kind="circuit family", error=UnknownCircuit), parameters)
