"""Numbered ways mean what they say."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.envs.meqc.sequential import SequentialSetting
from policies.envs.meqc.world import Setting
from policies.learners.kit.ways import action_of, at_place, horizon, joined, kind_of, num_requests, place_of


@given(places=st.integers(1, 6), requests=st.integers(1, 2), levels=st.integers(1, 4))
def test_every_way_is_a_place_and_a_kind(places: int, requests: int, levels: int) -> None:
    kinds = requests * levels
    ways = torch.arange(1 + places * kinds)
    assert (int(place_of(ways, kinds)[0]), int(kind_of(ways, kinds)[0])) == (0, 0)
    pairs = list(zip(place_of(ways, kinds)[1:].tolist(), kind_of(ways, kinds)[1:].tolist(), strict=True))
    assert pairs == [(place, kind) for place in range(places) for kind in range(kinds)]
    scores = joined(torch.zeros(1, 1), torch.arange(places * kinds).reshape(1, places, kinds)).flatten()
    assert scores[1:].tolist() == list(range(places * kinds))


def test_who_stays_keeps_everything_and_asks_for_nothing() -> None:
    way = torch.tensor([[0, 1, 2, 3, 4]])
    action = action_of(way, torch.full((1, 5), 0.25), requests=2)
    assert action.servers.tolist() == [[0, 0, 0, 1, 1]]
    assert action.shares.tolist() == [[1.0, 0.25, 0.25, 0.25, 0.25]]
    assert action.asks is not None
    assert action.asks.tolist() == [[False, True, False, True, False]]
    assert action_of(way, torch.zeros(1, 5), requests=1).asks is None


def test_what_belongs_to_the_place_of_a_way() -> None:
    values = torch.tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])  # (1, 2, 2, 1)
    assert at_place(values, torch.tensor([[2, 1]]), 1).tolist() == [[[2.0], [3.0]]]


def test_independent_slots_are_episodes_of_one() -> None:
    assert (horizon(Setting()), horizon(SequentialSetting(episode_slots=7))) == (1, 7)
    assert (num_requests(Setting()), num_requests(SequentialSetting())) == (1, 2)
