"""An actor that places jobs and divides them: what is expected of two places together, corrected by a small network.

Source: ours. Places are priced as :class:`~policies.learners.kit.placer.Placer` does, with more to learn for jobs in
two parts. With place a and the place b that is expected to cost the job least beside it, estimates say that parts end
together at

    phi* = (w_a + f_a + v_a - w_b - f_b) / (v_a + v_b)

items on b, where w is waiting, f what a part of any size takes and v what grows with its share. The network moves phi*
on the scale of its logit, and says by how much two parts cost more or less than that; a job is divided where it is then
the cheapest way. The last layer begins at zero: then the actor divides as estimates say, with a small price on a
place's time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from policies.envs.contract import Action, Observation
from policies.envs.measured.division import NUM_PARTS
from policies.envs.measured.observation import NUM_PAIR, NUM_USER, quantities
from policies.learners.kit.placer import FIRST_PRICE, Placer, compared, drawn

CERTAIN = 1e-4
"""Shares of which a part is nothing or everything are no division (ours)."""


class Divider(Placer):
    """Scores every place of every job as a whole and with a second one; see :class:`Placer`."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(width)
        self.hidden = nn.Linear(NUM_USER + NUM_PAIR + NUM_PARTS + 4, width)
        self.last = nn.Linear(width, 5)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, user: Tensor, pair: Tensor) -> Tensor:
        """Log-scores of all places as a whole and divided, and the share for the second place then, (B, U, 3 E)."""
        known = quantities(Observation(user, pair))
        hidden = torch.tanh(self.hidden(compared(user, pair, known)))
        longer, price, more, moved, joined = self.last(hidden).unbind(-1)
        fixed, fee = pair[..., NUM_PAIR], pair[..., NUM_PAIR + 1]
        waiting_s = known.wait_s * torch.exp(longer.clamp(-3.0, 3.0))
        busy = softplus(price + FIRST_PRICE) * known.service_s
        plain = torch.where(known.feasible, known.rest + known.per_s * (known.elapsed_s + known.wait_s), torch.inf)
        second = _second(plain)

        def there(values: Tensor) -> Tensor:
            return values.gather(-1, second)

        begins_s, grows_s = waiting_s + fixed * known.elapsed_s, (1.0 - fixed) * known.elapsed_s
        level = (begins_s + grows_s - there(begins_s)) / (grows_s + there(grows_s)).clamp(min=1e-12)
        share = torch.sigmoid(torch.logit(level, eps=CERTAIN) + moved)

        def parts(whole: Tensor, fixed: Tensor) -> Tensor:
            """Of both parts: what is fixed in full, of the rest each its share."""
            first, other = fixed + (1.0 - fixed) * (1.0 - share), there(fixed) + (1.0 - there(fixed)) * share
            return whole * first + there(whole) * other

        ends_s = torch.maximum(begins_s + (1.0 - share) * grows_s, there(begins_s) + share * there(grows_s))
        alone = known.rest + known.per_s * (known.elapsed_s + waiting_s) + busy
        both = parts(known.rest, fee) + known.per_s * ends_s + parts(busy, fixed)
        able = known.feasible & there(known.feasible) & (second != torch.arange(second.shape[-1]))
        able = able & (fixed < 1.0) & (level > CERTAIN) & (level < 1.0 - CERTAIN)
        whole = torch.where(known.feasible, more - torch.log(alone + 1e-9), -torch.inf)
        divided = torch.where(able, more + joined - torch.log(both + 1e-9), -torch.inf)
        return torch.cat([whole, divided, share], dim=-1)

    def chosen(self, found: Tensor, chance: torch.Generator | None = None) -> Action:
        """The best way of each job, or one drawn, by what :meth:`forward` says."""
        whole, divided, share = found.chunk(3, dim=-1)
        way, num = drawn(torch.cat([whole, divided], dim=-1), chance), whole.shape[-1]
        servers = way % num
        shares = share.gather(-1, servers.unsqueeze(-1)).squeeze(-1)
        return Action(servers, torch.where(way >= num, shares, 0.0))


def _second(plain: Tensor) -> Tensor:
    """For each place the cheapest of the others, int64 (…, E); itself where there is no other."""
    num = plain.shape[-1]
    least = plain.topk(min(2, num), largest=False).indices
    return torch.where(torch.arange(num) == least[..., :1], least[..., -1:], least[..., :1])
