"""What requests will come: a recurrent network that nodes share, and the simple forecasts that it has to beat.

Sources: the paper asks for an RNN a node with a horizon of 5 to 10 steps and gives no more; GRU, Cho et al. 2014;
Poisson likelihood, since requests are counts (ours). Weights are shared; what a pair is like (its mean rate and an
embedding) stays at the node where its requests begin. The output begins at the logarithm of the mean rate: from
elsewhere it stays there (ours).

Counts are of bins of :attr:`Config.bin_s`; a forecast made at the end of bin t is of bins t + 1 to t + H.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from circuits.parameters import integer, real, validate
from policies.allocators.dpem.federation import Federation, begin, federated
from policies.learners.kit.draws import seeded

Reals = NDArray[np.float64]
PERIODS_S = ((120.0, 5), (600.0, 2))
"""Periods of the clock that a node knows, with how many harmonics (ours; those of the demand's law)."""
NUM_CLOCK = 2 * sum(harmonics for _, harmonics in PERIODS_S)
PRIVATE = ("level", "own")
"""Parameters that never leave a node."""
FEDERATED = {"clip": 1.0, "local_rate": 5.0}
"""Of a federation, where it trains the shared weights and nothing else is said (ours)."""
LEAST_HZ = 1e-3
"""Mean rate of a pair that has not asked yet, and floor of forecasts."""


@dataclass(frozen=True)
class Config:
    """Of the network and its training."""

    width: int = integer(24, low=1, high=1024, doc="units of the recurrent network")
    embedding: int = integer(8, low=1, high=256, doc="numbers that a node keeps of each of its pairs")
    horizon: int = integer(10, low=1, high=100, doc="H, bins ahead")
    bin_s: float = real(1.0, low=1e-3, high=1e4, doc="length of a bin")
    window: int = integer(40, low=2, high=10_000, doc="bins of a piece of history")
    pieces: int = integer(8, low=1, high=10_000, doc="pieces of every pair's history in a step")
    steps: int = integer(300, low=1, high=10**6, doc="gradient steps, or rounds where federated")
    rate: float = real(5e-3, low=1e-8, high=10.0, doc="step size")

    def __post_init__(self) -> None:
        validate(self)


class Forecaster(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """log rate_h = level_p + W_h h_t + (e_p M) clock(t + h), with h_t of a GRU on counts, clock and e_p."""

    def __init__(self, config: Config, num_pairs: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.level = nn.Parameter(torch.full((num_pairs,), math.log(LEAST_HZ)))
        self.own = nn.Parameter(torch.randn(num_pairs, config.embedding))
        self.enter = nn.Linear(1 + NUM_CLOCK + config.embedding, 3 * width)
        self.again = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, config.horizon)
        self.season = nn.Linear(config.embedding, NUM_CLOCK, bias=False)
        for last in (self.leave, self.season):
            nn.init.zeros_(last.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, counts: Tensor, begin: Tensor, level: Tensor, own: Tensor) -> Tensor:
        """Log rates in requests a bin.

        Args:
            counts: (..., T), requests of consecutive bins.   begin: number of the first bin, (...,).
            level, own: of the pair, (...,) and (..., embedding).

        Returns:
            (..., T, H).
        """
        length, horizon = counts.shape[-1], self.config.horizon
        clock = clocked(begin[..., None] + torch.arange(length + horizon), self.config.bin_s)
        surprise = counts / level.exp()[..., None].clamp(min=0.1) - 1.0
        pair = own[..., None, :].expand(*own.shape[:-1], length, own.shape[-1])
        entered = self.enter(torch.cat([surprise[..., None], clock[..., :length, :], pair], dim=-1))
        hidden = torch.zeros_like(entered[..., 0, : self.config.width])
        states = []
        for step in range(length):
            hidden = _cell(entered[..., step, :], self.again(hidden), hidden)
            states.append(hidden)
        ahead = (clock * self.season(own)[..., None, :]).sum(-1)  # (..., T + H)
        seasons = torch.stack([ahead[..., 1 + step : 1 + step + length] for step in range(horizon)], dim=-1)
        log_rate: Tensor = level[..., None, None] + self.leave(torch.stack(states, dim=-2)) + seasons
        return log_rate.clamp(-12.0, 8.0)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def rates_hz(self, counts: Reals) -> Reals:
        """Forecasts of all pairs at the end of every bin from the first, float64 (P, T, H), in requests a second."""
        asked = torch.as_tensor(counts, dtype=torch.float32)
        log_rate = self(asked, torch.zeros(len(asked)), self.level, self.own)
        return np.asarray(log_rate.exp().double().numpy() / self.config.bin_s)


def _cell(entered: Tensor, again: Tensor, hidden: Tensor) -> Tensor:
    """One step, h' = (1 - z) n + z h        [Cho et al. 2014; gates in the order r, z, n]."""
    width = hidden.shape[-1]
    gates = torch.sigmoid(entered[..., : 2 * width] + again[..., : 2 * width])
    reset, keep = gates[..., :width], gates[..., width:]
    fresh = torch.tanh(entered[..., 2 * width :] + reset * again[..., 2 * width :])
    return (1.0 - keep) * fresh + keep * hidden


def clocked(bins: Tensor, bin_s: float) -> Tensor:
    """Sines and cosines of the time of day, (..., NUM_CLOCK)."""
    waves = [
        wave(2.0 * math.pi * number * bins * bin_s / period)
        for period, harmonics in PERIODS_S
        for number in range(1, harmonics + 1)
        for wave in (torch.sin, torch.cos)
    ]
    return torch.stack(waves, dim=-1)


def new_forecaster(config: Config, counts: Reals, seed: int) -> Forecaster:
    """Untrained: it forecasts the mean rate of every pair.

    Args:
        counts: history of all pairs, float64 (P, T).

    Raises:
        InvalidParameter: the history is shorter than a window and a horizon.
    """
    need = config.window + config.horizon
    if counts.ndim != 2 or counts.shape[1] < need:
        raise InvalidParameter(f"history: wanted at least {need} bins of pairs, got shape {counts.shape}")
    model = seeded(seed, lambda: Forecaster(config, len(counts)))
    with torch.no_grad():
        model.level.copy_(torch.as_tensor(counts.mean(1).clip(min=LEAST_HZ * config.bin_s)).log())
    return model


def fit(
    model: Forecaster,
    counts: Reals,
    seed: int,
    *,
    only_private: bool = False,
    tell: Callable[[int, float], object] | None = None,
) -> None:
    """Train by Adam on random pieces of the history.

    Args:
        counts: (P, T).   only_private: what a node does alone with weights that it was given.
        tell: called after every step with its number and the loss.
    """
    config, chance = model.config, torch.Generator().manual_seed(seed)
    asked = torch.as_tensor(counts, dtype=torch.float32)
    trained = [each for name, each in model.named_parameters() if not only_private or name in PRIVATE]
    optimiser = torch.optim.Adam(trained, lr=config.rate)
    for step in range(config.steps):
        pieces, wanted, start = drawn(config, asked, chance)
        log_rate = model(
            pieces, start, model.level[:, None].expand_as(start), model.own[:, None].expand(*start.shape, -1)
        )
        loss = poisson_loss(log_rate, wanted).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        if tell:
            tell(step + 1, float(loss.detach()))


def drawn(config: Config, asked: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pieces of every pair's history, (P, B, T), what came after every bin, (P, B, T, H), and where they begin."""
    last = asked.shape[1] - config.window - config.horizon
    start = torch.randint(last + 1, (len(asked), config.pieces), generator=chance)
    whole = start[..., None] + torch.arange(config.window + config.horizon)
    pieces = asked.gather(1, whole.flatten(1)).reshape(whole.shape)
    wanted = pieces[..., 1:].unfold(-1, config.horizon, 1)
    return pieces[..., : config.window], wanted[..., : config.window, :], start


def poisson_loss(log_rate: Tensor, counts: Tensor) -> Tensor:
    """Negative log-likelihood less what does not depend on the rate, exp(o) - y o; mean of the second half of a piece.

    The first half only fills the memory of the network.
    """
    half = log_rate.shape[-2] // 2
    each: Tensor = log_rate.exp() - counts * log_rate
    return each[..., half:, :].mean((-2, -1))


def fit_federated(
    model: Forecaster, counts: Reals, source: NDArray[np.int64], num_nodes: int, federation: Federation, seed: int
) -> dict[str, float]:
    """Train shared weights by federated averaging, one step a round; each node keeps its pairs' own numbers.

    Its noise costs a budget of its own, to be composed with the agent's.

    Args:
        source: node of every pair, int64 (P,).

    Returns:
        Figures of the last round.
    """
    config, chance = model.config, torch.Generator().manual_seed(seed)
    asked, node = torch.as_tensor(counts, dtype=torch.float32), torch.as_tensor(source)
    shared = {name: each for name, each in model.named_parameters() if name not in PRIVATE}
    private = [getattr(model, name) for name in PRIVATE]
    alone = torch.optim.Adam(private, lr=config.rate)
    sizes = [each.numel() for each in shared.values()]
    served = begin(federation, sum(sizes))
    figures: dict[str, float] = {}
    share = 1.0 / torch.bincount(node, minlength=num_nodes).clamp(min=1)[node]

    def loss(weights: Mapping[str, Tensor], level: Tensor, own: Tensor, *piece: Tensor) -> Tensor:
        pieces, wanted, start = piece
        pair = (pieces, start, level.expand_as(start), own.expand(*start.shape, -1))
        return poisson_loss(torch.func.functional_call(model, dict(weights), pair), wanted).mean()

    slopes = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)), in_dims=(None, 0, 0, 0, 0, 0))
    for _ in range(config.steps):
        weights = {name: each.detach() for name, each in shared.items()}
        found, *own = slopes(weights, *(each.detach() for each in private), *drawn(config, asked, chance))
        for parameter, slope in zip(private, own, strict=True):
            parameter.grad = slope / len(asked)
        alone.step()
        flat = torch.cat([found[name].flatten(1) for name in shared], dim=1)
        updates = torch.zeros(num_nodes, flat.shape[1]).index_add_(
            0, node, -federation.local_rate * flat * share[:, None]
        )
        step, served, figures = federated(federation, served, updates, chance)
        with torch.no_grad():
            for parameter, part in zip(shared.values(), step.split(sizes), strict=True):
                parameter += part.reshape(parameter.shape)
    return figures


def mean_rate(counts: Reals, bin_s: float, horizon: int) -> Reals:
    """The mean so far, float64 (P, T, H)."""
    return _held(np.cumsum(counts, axis=1) / np.arange(1, counts.shape[1] + 1) / bin_s, horizon)


def ewma(counts: Reals, bin_s: float, horizon: int, memory_s: float = 60.0) -> Reals:
    """Exponentially weighted mean, float64 (P, T, H)."""
    from scipy.signal import lfilter

    part = 1.0 - math.exp(-bin_s / memory_s)
    weight = lfilter([part], [1.0, part - 1.0], np.ones(counts.shape[1]))
    return _held(lfilter([part], [1.0, part - 1.0], counts, axis=1) / weight / bin_s, horizon)


def seasonal_naive(
    counts: Reals, bin_s: float, horizon: int, period_s: float = PERIODS_S[0][0], smooth_s: float = 5.0
) -> Reals:
    """What came whole periods before, float64 (P, T, H); the mean so far where there was no period yet.

    All earlier periods count alike, each smoothed over a few seconds (ours; the plain one takes the last alone).
    """
    num_pairs, length = counts.shape
    season, width = round(period_s / bin_s), max(1, round(smooth_s / bin_s))
    around = np.pad(counts, ((0, 0), (width, width)), mode="edge")
    kept = np.cumsum(np.pad(around, ((0, 0), (1, 0))), axis=1)
    smooth = (kept[:, 2 * width + 1 :] - kept[:, : -2 * width - 1]) / (2 * width + 1) / bin_s
    out = mean_rate(counts, bin_s, horizon)
    sums, seen = np.zeros((num_pairs, season)), np.zeros(season)
    for now in range(length):
        old = now - width  # the newest bin whose surroundings are all known
        if old >= 0:
            sums[:, old % season] += smooth[:, old]
            seen[old % season] += 1
        phases = (now + 1 + np.arange(horizon)) % season
        known = seen[phases] > 0
        out[:, now, known] = sums[:, phases[known]] / seen[phases[known]]
    return out


SIMPLE: dict[str, Callable[[Reals, float, int], Reals]] = {
    "seasonal_naive": seasonal_naive,
    "ewma_60_s": ewma,
    "ewma_5_s": lambda counts, bin_s, horizon: ewma(counts, bin_s, horizon, 5.0),
    "mean": mean_rate,
}
"""What always stands beside the network; each (counts, bin_s, horizon) to float64 (P, T, H)."""


def _held(rate: Reals, horizon: int) -> Reals:
    return np.repeat(rate[:, :, None], horizon, axis=2)


def r_squared(forecast_hz: Reals, rates_hz: Reals, begin: int) -> float:
    """R2 on the true rate, forecasts of all pairs and horizons together.

    1 - sum (forecast - rate)^2 / sum (rate - mean of all)^2

    Args:
        forecast_hz: (P, T, H), made at the end of each bin.   rates_hz: true ones of each bin, (P, T).
        begin: first bin at which forecasts count.
    """
    length, horizon = forecast_hz.shape[1:]
    made = np.arange(begin, length - horizon)
    truth = rates_hz[:, made[:, None] + 1 + np.arange(horizon)]
    error = forecast_hz[:, made] - truth
    return float(1.0 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum())


def poisson_nll(forecast_hz: Reals, counts: Reals, bin_s: float, begin: int) -> float:
    """Negative log-likelihood of what came, less what no forecast changes; mean over pairs, bins and horizons.

    rate - y log rate, with the rate of a bin and at least :data:`LEAST_HZ`; arguments as of :func:`r_squared`.

    Args:
        counts: requests of each bin, (P, T).
    """
    length, horizon = forecast_hz.shape[1:]
    made = np.arange(begin, length - horizon)
    came = counts[:, made[:, None] + 1 + np.arange(horizon)]
    rate = np.maximum(forecast_hz[:, made], LEAST_HZ) * bin_s
    return float((rate - came * np.log(rate)).mean())
