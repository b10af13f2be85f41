"""What crowds cost in a QCN: every choice of every user priced, the others' being left as they are.

Source: ours, of the costs in :mod:`policies.envs.qcn.batch`. A user that goes somewhere pays for itself, and makes
those who are there pay more: both at once are what the cost of all rises by, as in COMA's counterfactuals (Foerster et
al., AAAI 2018), but exact, since the model is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.qcn.alone import home_cost
from policies.envs.qcn.batch import Slots, Ways, crowds, local, ways
from policies.envs.qcn.model import Model


@dataclass(frozen=True)
class Prices:
    """Slots with what follows from them: B slots, U users, E places.

    Attributes:
        way: of everybody everywhere, alone.   home: cost of staying, (B, U).   local_s, local_j: of it.
    """

    model: Model
    slots: Slots
    way: Ways
    home: Tensor
    local_s: Tensor
    local_j: Tensor

    def cost(self, share: Tensor, crowd: Tensor | float) -> Tensor:
        """Of keeping a share and sending the rest to where so many are served, (B, U, E)."""
        slots, way, model = self.slots, self.way, self.model
        local_s, local_j = self.local_s.unsqueeze(-1), self.local_j.unsqueeze(-1)
        rest = 1.0 - share
        delay_s = torch.maximum(share * local_s, rest * way.busy_s * crowd + way.wait_s)
        energy_j = share * local_j + rest * (way.run_j + way.upload_j * crowd)
        delay, energy = slots.delay_weight.unsqueeze(-1), slots.energy_weight.unsqueeze(-1)
        return delay * delay_s / model.norm_s + energy * energy_j / model.norm_j

    def together(self, crowd: Tensor | float) -> Tensor:
        """The share with which device and place end at once, (B, U, E)."""
        busy_s = self.way.busy_s * crowd
        return ((busy_s + self.way.wait_s) / (busy_s + self.local_s.unsqueeze(-1))).clamp(max=1.0)

    def least(self, crowd: Tensor | float) -> Tensor:
        """What everybody pays where so many are served, with the better of no share and that one, (B, U, E)."""
        return torch.minimum(
            self.cost(self.together(crowd), crowd), self.cost(torch.zeros_like(self.way.busy_s), crowd)
        )

    def there(self, values: Tensor) -> Tensor:
        """Of places, (B, E), for each user at the place that would do the work, (B, U, E)."""
        return values.unsqueeze(1).expand(self.way.reached.shape).gather(2, self.way.reached)


def prices(model: Model, slots: Slots) -> Prices:
    """Of every slot."""
    return Prices(model, slots, ways(model, slots), home_cost(model, slots), *local(model, slots))


@dataclass(frozen=True)
class Answers:
    """What places know once everybody has said where it goes; (B, U, E) each, of the place that does the work.

    Attributes:
        others: how many others come.   mine: whether the user itself is among those who come, 0 or 1.
        rise: by how much these others pay more with the user than without it.
    """

    others: Tensor
    mine: Tensor
    rise: Tensor


def answers(known: Prices, choice: Tensor, share: Tensor | None = None) -> Answers:
    """What places answer.

    Args:
        choice: 0 is home, 1 + e is place e, int64 (B, U).
        share: that each user keeps at each place however many come, (B, U, E); None: it is fitted to how many come.
            Who keeps what is best for those that are there gains nothing if one of them leaves, until it keeps less.
    """
    num_places, dtype = known.way.busy_s.shape[2], known.home.dtype
    goes, at = choice > 0, (choice - 1).clamp(min=0).unsqueeze(-1)
    target = known.way.reached.gather(2, at).squeeze(-1)
    served = known.there(crowds(target, goes, num_places).to(dtype))
    mine = ((known.way.reached == target.unsqueeze(-1)) & goes.unsqueeze(-1)).to(dtype)
    one_less, now, one_more = (
        (known.least(crowd) if share is None else known.cost(share, crowd)).gather(2, at).squeeze(-1)
        for crowd in ((served - 1).clamp(min=1), served, served + 1)
    )

    def summed(rises: Tensor) -> Tensor:
        total = torch.zeros_like(known.way.busy_s[:, 0]).scatter_add_(1, target, torch.where(goes, rises, 0.0))
        return known.there(total)

    stays = (summed(now - one_less) - (now - one_less).unsqueeze(-1)) * mine
    return Answers(served - mine, mine, stays + summed(one_more - now) * (1.0 - mine))
