"""A quote says of every backend what it would take and how sure that is, or why not, and chooses as the job would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import backends
from backends.backend import REPETITION_S, Availability
from circuits.features import features
from orchestrator import quote as quoting
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene
from orchestrator.errors import PlacementError, TransportError
from orchestrator.fleet import Fleet
from orchestrator.job import Failure, Job, JobSpec, JobState, Limits, Objective, Times
from orchestrator.placement import Scales
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.quote import AT_ONCE, LEVEL, Figure, Offer, Quote, Quoter, quote_of
from orchestrator.records import from_json, to_json
from orchestrator.runtime import RuntimeFailure
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from orchestrator.telemetry import Observation
from policies import load as load_policy

QUEUE_S = 40.0
NAMES = ("aer_mps", "aer_statevector", "fake_hanoi")
Ask = Callable[..., Quote]


@pytest.fixture
def ask(spec: JobSpec) -> Ask:
    """Quotes a Bell pair; any field of its specification can be given, the model, and devices to serve."""

    def one(
        model: CostModel | None = None,
        *,
        unpriced: tuple[str, ...] = (),
        cannot: str = "",
        times: Times = Times.WALL,
        **fields: object,
    ) -> Quote:
        asked = replace(spec, **fields)
        circuit = asked.program.load().build()
        facts = ProgramFacts("program", features(circuit), adaptive=False, ideal={"00": 0.5, "11": 0.5})
        fits = {name: Fit(num_qubits=2, num_gates=2, fidelity=1.0) for name in NAMES}
        fits["fake_hanoi"] = Fit(num_qubits=2, num_gates=4, fidelity=0.95, duration_s=2e-6)
        if cannot:
            fits[cannot] = Fit(cannot="it is too wide")
        devices = {name: backends.load(name).device() for name in NAMES}
        devices["fake_hanoi"] = replace(devices["fake_hanoi"], availability=Availability(queue_s=QUEUE_S))
        for name in unpriced:
            devices[name] = replace(devices[name], price=None)
        fleet = Fleet.of([Announcement(name, "w@host", 1, device) for name, device in devices.items()])
        scene = Scene(fleet, fleet.backlog((), 10.0), model or CostModel(), 10.0, times)
        job = Job("", 0, asked, JobState.SUBMITTED, 10.0, to_place=asked.shots)
        return quote_of(job, (facts, fits), scene, load_policy, Scales())

    return one


def offer(quote: Quote, backend: str) -> Offer:
    (found,) = [one for one in quote.offers if one.backend == backend]
    return found


def ends(figure: Figure | None) -> tuple[float, float, float]:
    assert figure is not None
    assert figure.low is not None
    assert figure.expected is not None
    assert figure.high is not None
    return figure.low, figure.expected, figure.high


def model_after(observation: Observation, *factors: float, backend: str = "aer_mps") -> CostModel:
    """A model that saw runs whose times were off what it had said itself by these factors."""
    model, device = CostModel(), backends.load(backend).device()
    for number, factor in enumerate(factors, start=1):
        said = model.estimate(observation.prior, device, observation.group, observation.program_hash)
        met = replace(observation.measurement, service_s=said.service_s * factor)
        model = model.fold([(number, replace(observation, backend=backend, estimate=said, measurement=met))])
    return model


def test_every_backend_makes_an_offer_and_the_chosen_one_stands_first(ask: Ask) -> None:
    quote = ask(policy="greedy", objective=Objective(latency=0.0, energy=0.0, fidelity=0.0, price=1.0), allow=NAMES)
    assert {one.backend for one in quote.offers} == set(NAMES)
    assert (quote.policy, quote.failure, quote.level) == ("greedy", "", LEVEL)
    assert quote.offers[0].share == 1.0
    assert dict(quote.choice) == {quote.offers[0].backend: 1.0}
    assert [one.cost for one in quote.offers] == sorted(one.cost for one in quote.offers if one.cost is not None)
    for one in quote.offers:
        for figure in (one.latency_s, one.elapsed_s, one.fidelity, one.energy_j, one.cost_usd):
            low, expected, high = ends(figure)
            assert low <= expected <= high


def test_it_goes_through_json_unchanged(ask: Ask) -> None:
    quote = ask(exclude=("aer_mps",), unpriced=("fake_hanoi",))
    assert from_json(Quote, to_json(quote)) == quote


def test_without_measurements_the_width_is_the_prior_one_and_says_so(ask: Ask) -> None:
    quote = ask()
    simulator, qpu = offer(quote, "aer_mps"), offer(quote, "fake_hanoi")
    assert simulator.elapsed_s is not None
    assert simulator.elapsed_s.basis == "prior"
    low, expected, high = ends(simulator.elapsed_s)
    assert high / expected == pytest.approx(expected / low, rel=1e-3)
    assert high / expected > 5.0, "nothing was ever measured there"
    assert ends(simulator.fidelity)[0] > 0.99, "an ideal simulator is ideal, but for its shots"
    assert ends(simulator.cost_usd) == (0.0, 0.0, 0.0)
    low, expected, high = ends(qpu.fidelity)
    assert low < 0.9 < expected < high <= 1.0
    assert qpu.energy_j is not None
    assert qpu.energy_j.basis == "known"
    assert (qpu.energy_kind, simulator.energy_kind) == ("modelled", "measured")
    assert qpu.price_source is not None
    assert "ours" in qpu.price_source


def test_good_predictions_narrow_the_interval_and_bad_ones_widen_it(
    ask: Ask, observation: Observation, spec: JobSpec
) -> None:
    seen = replace(observation, program_hash=spec.program.content_hash())

    def spread(*factors: float) -> float:
        figure = offer(ask(model_after(seen, *factors)), "aer_mps").elapsed_s
        assert figure is not None
        assert figure.basis == "measured"
        low, _, high = ends(figure)
        return high / low

    before_low, _, before_high = ends(offer(ask(), "aer_mps").elapsed_s)
    assert spread(*[1.05, 0.95] * 20) < spread(1.0, 1.0) < before_high / before_low < spread(*[3000.0, 0.0003] * 10)


def test_who_is_excluded_says_why_and_has_figures_only_where_they_mean_something(ask: Ask) -> None:
    quote = ask(cannot="aer_mps", exclude=("aer_statevector",), limits=Limits(min_fidelity=0.99))
    assert not quote.choice
    assert "no backend can take this job" in quote.failure
    wide, excluded, bad = (offer(quote, name) for name in NAMES)
    assert wide.rejections == ("it is too wide",)
    assert wide.latency_s is None
    assert excluded.rejections == ("the job excludes it",)
    assert excluded.latency_s is None
    assert "below min_fidelity 0.99" in bad.rejections[0]
    assert bad.latency_s is not None


def test_a_devices_own_queue_and_time_count_where_the_times_do(ask: Ask) -> None:
    wall, emulated = (offer(ask(times=times), "fake_hanoi") for times in Times)
    assert wall.queue_s is None
    assert emulated.queue_s == QUEUE_S
    busy_s = 100 * (2e-6 + REPETITION_S)
    assert ends(emulated.latency_s)[1] == pytest.approx(emulated.wait_s + QUEUE_S + busy_s)
    assert ends(emulated.elapsed_s)[1] == pytest.approx(QUEUE_S + busy_s)
    assert ends(wall.elapsed_s)[1] < QUEUE_S, "nobody waits, and its simulation is quick"
    assert emulated.cost is not None
    assert wall.cost is not None
    assert emulated.cost > wall.cost + 0.5 * QUEUE_S


def test_an_unknown_price_excludes_a_device(ask: Ask) -> None:
    quote = ask(unpriced=("fake_hanoi",), pin={"fake_hanoi": 1.0})
    assert not quote.choice
    assert "the price of fake_hanoi is unknown" in quote.failure
    figure = offer(quote, "fake_hanoi").cost_usd
    assert figure == Figure(None, None, None, "unknown")
    assert offer(quote, "fake_hanoi").cost is None


def test_a_pin_is_the_choice(ask: Ask) -> None:
    quote = ask(pin={"aer_mps": 0.25, "aer_statevector": 0.75})
    assert quote.policy == "pin"
    assert [(one.backend, one.share) for one in quote.offers[:2]] == [("aer_statevector", 0.75), ("aer_mps", 0.25)]


def test_who_asks_while_others_are_served_is_told_to_ask_again(
    spec: JobSpec, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each quote may keep a child busy; a crowd of them must not take every thread of a server."""
    monkeypatch.setattr(quoting, "PATIENCE_S", 0.0)
    refused: list[str] = []

    class Busy:
        """While one program is prepared, others ask."""

        def prepare(self, *_: object) -> list[RuntimeFailure]:
            if not refused:
                try:
                    quoter.quote(spec)
                except TransportError as error:
                    refused.append(str(error))
                except PlacementError:
                    return [too_slow]
            return [too_slow]

    too_slow = RuntimeFailure(Failure("prepare", "timeout", "prepare was ended after its hard limit"))
    store = SqlStore(f"sqlite:///{tmp_path / 'qorch.sqlite'}")
    quoter = Quoter(store, Busy(), CostModel, load_policy, settings, lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(PlacementError, match="hard limit"):
        quoter.quote(spec)
    assert refused == [f"{AT_ONCE} quotes are being worked out at the moment; ask again"]
    store.close()
