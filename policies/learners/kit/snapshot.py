"""Everything that training needs to go on, as named tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter


def snapshot(
    modules: nn.Module, optimiser: torch.optim.Optimizer, chance: torch.Generator, epoch: int
) -> dict[str, Tensor]:
    """Weights, the optimiser's moments, the state of chance and the number of epochs, by name; copies."""
    state = {f"weights.{name}": value.detach().clone() for name, value in modules.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        state |= {f"optimiser.{number}.{name}": torch.as_tensor(value).clone() for name, value in moments.items()}
    return state | {"chance": chance.get_state(), "epoch": torch.tensor(epoch)}


def resume(
    state: Mapping[str, Tensor], modules: nn.Module, optimiser: torch.optim.Optimizer, chance: torch.Generator
) -> int:
    """Put a :func:`snapshot` back.

    Returns:
        The number of epochs that had been trained.

    Raises:
        InvalidParameter: it is of another network.
    """
    weights = {name.removeprefix("weights."): value for name, value in state.items() if name.startswith("weights.")}
    try:
        modules.load_state_dict(weights)
        chance.set_state(state["chance"])
        epoch = int(state["epoch"])
    except (KeyError, RuntimeError) as error:
        raise InvalidParameter(f"state: wanted one of this learner with this config, got another ({error})") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimiser."):
            _, number, moment = name.split(".", 2)
            moments.setdefault(int(number), {})[moment] = value.clone()
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    return epoch
