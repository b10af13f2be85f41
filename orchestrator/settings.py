"""Everything that can be set, from the environment (``QORCH_…``), with its default."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from circuits.program import Limits as ProgramLimits
from orchestrator.errors import ConfigurationError
from orchestrator.job import MAX_TIMEOUT_S, Times
from orchestrator.lifecycle import Rules
from orchestrator.placement import Scales

SILENT_HEARTBEATS = 4
"""A worker that missed so many heartbeats is off the roll."""

MAX_SPEED = 1e7
"""Of an experiment's clock: four months in a second."""

MAX_COUNT = 2**31 - 1
"""What every database and SDK can still count."""


class Settings(BaseSettings):
    """Where things are and how much is allowed. Every field is an environment variable: ``QORCH_SLOTS=2``.

    Raises:
        ConfigurationError: variables that cannot be used, without their values: they may be secrets.
    """

    model_config = SettingsConfigDict(
        env_prefix="QORCH_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(default_factory=lambda: user_data_path("qorch"))
    """Folder of the embedded store, its lock and its log."""
    store_url: SecretStr | None = None
    """SQLAlchemy URL; the default is an SQLite file in ``data_dir``."""
    redis_url: SecretStr | None = None
    """Broker and notifications of a cluster; the default is a private server that ``qorch up`` starts."""
    url: str | None = None
    """Address of the cluster or HTTP server that clients join; by default the data folder's, or the embedded one."""
    token: SecretStr | None = None
    """What this user shows to the HTTP interface; `qorch token add` makes one."""
    allow_plain_http: bool = False
    """The token may be sent to another machine without encryption, where anyone between can read it."""
    patience_s: float = Field(default=10.0, ge=0, le=MAX_TIMEOUT_S)
    """A server that does not answer is asked again for so long, where asking twice does no harm."""

    checkpoints: Path | None = None
    """Folder of trained checkpoints that can place jobs (`qorch policies --add`); default: in ``data_dir``."""
    backends: Annotated[tuple[str, ...], NoDecode] = ()
    """Backends that this machine's workers announce, separated by commas; empty means all whose SDK is installed."""
    prices: Path | None = None
    """A price table of one's own, laid over the built-in one: see `qorch prices`."""
    qpu_energy: Literal["installation", "cryogenic"] = "installation"
    """Energy of superconducting devices: of the whole installation, or of what the paper's model counts."""
    log_format: Literal["human", "json"] = "human"
    """How workers and servers log: lines for a person, or one JSON object each."""
    embedded_engine: bool = True
    """An embedded client does the work of its folder; without, it looks, submits, cancels, and others do the work."""
    slots: int = Field(default=1, ge=1, le=256)
    """Assignments that one worker runs at the same time."""

    max_program_bytes: int = Field(default=1_000_000, ge=1, le=MAX_COUNT)
    max_openqasm3_bytes: int = Field(default=250_000, ge=1, le=MAX_COUNT)
    max_qubits: int = Field(default=64, ge=1, le=MAX_COUNT)
    max_depth: int = Field(default=200_000, ge=1, le=MAX_COUNT)
    max_gates: int = Field(default=200_000, ge=1, le=MAX_COUNT)
    max_shots: int = Field(default=1_000_000, ge=1, le=MAX_COUNT)
    max_batch: int = Field(default=10_000, ge=1, le=MAX_COUNT)
    """Jobs in one ``submit_many``."""
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1, le=MAX_COUNT)
    """Size of one request to the HTTP interface."""
    max_streams: int = Field(default=1_000, ge=1, le=MAX_COUNT)
    """Streams of events that the HTTP interface keeps open at the same time."""
    keep_alive_s: float = Field(default=15.0, gt=0, le=MAX_TIMEOUT_S)
    """Longest silence on a stream of events; in so long a revoked token has lost its streams too."""

    default_timeout_s: float = Field(default=300.0, gt=0, le=MAX_TIMEOUT_S)
    """Hard limit of an assignment whose job sets none."""
    prepare_timeout_s: float = Field(default=60.0, gt=0, le=MAX_TIMEOUT_S)
    """Hard limit of reading and transpiling one program."""
    max_attempts: int = Field(default=3, ge=1, le=MAX_COUNT)
    """Failed attempts of an assignment on one backend before its shots go elsewhere, or its job fails."""
    max_placements: int = Field(default=3, ge=1, le=MAX_COUNT)
    """Decisions for one job: the first, and one after each backend that failed it for good."""
    lease_s: float = Field(default=30.0, gt=0, le=MAX_TIMEOUT_S)
    """A worker that says nothing for so long has lost its assignment."""
    heartbeat_s: float = Field(default=5.0, gt=0, le=MAX_TIMEOUT_S)
    remote_poll_s: float = Field(default=5.0, gt=0, le=MAX_TIMEOUT_S)
    """What was sent to a provider is asked about after so long at first, unless the provider says when; then rarer."""
    remote_poll_max_s: float = Field(default=120.0, gt=0, le=MAX_TIMEOUT_S)
    """Longest pause between two such questions."""
    remote_timeout_s: float = Field(default=60.0, gt=0, le=MAX_TIMEOUT_S)
    """Hard limit of one conversation with a provider; twice as long after one was to begin nobody repeats it."""
    remote_refresh_s: float = Field(default=300.0, gt=0, le=MAX_TIMEOUT_S)
    """A worker asks the remote devices that it serves for calibration and availability so often."""
    run_batch: int = Field(default=256, ge=1, le=10_000)
    """Most assignments that a worker takes together, in one claim and one conversation with its child."""
    run_window_s: float = Field(default=0.25, ge=0, le=MAX_TIMEOUT_S)
    """Assignments are taken together as long as all of them are expected to need no more; 0 takes one at a time."""
    run_alone_s: float = Field(default=0.025, ge=0, le=MAX_TIMEOUT_S)
    """One that is expected to need more is taken alone: its result would wait for the others', or theirs for it."""
    placement_batch: int = Field(default=250, ge=1, le=MAX_COUNT)
    """Most jobs that are decided together."""
    placement_window_s: float = Field(default=0.25, gt=0, le=MAX_TIMEOUT_S)
    """Jobs that are ready after so long are decided without waiting for the rest of the batch to be prepared."""
    retention_days: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Who places removes jobs that ended so long ago with everything of theirs but the telemetry; None keeps all."""

    experiment_start: datetime | None = None
    """When it is for emulated devices as an experiment begins, such as 2023-01-05T12:00 (UTC); None: now."""
    experiment_speed: float = Field(default=1.0, ge=0, le=MAX_SPEED)
    """Seconds that pass in the experiment while one passes on the wall; 0 holds it at its start."""
    times: Times = Times.WALL
    """How long emulated devices count as taking: as their simulation does, or as they would, with their queue."""

    scale_latency_s: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    scale_energy_j: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    scale_infidelity: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    scale_price_usd: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            wrong = (
                f"QORCH_{'.'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            )
            raise ConfigurationError(f"{'; '.join(wrong)}; set it to such a value, or unset it") from error

    @field_validator("data_dir")
    @classmethod
    def _plain(cls, value: Path) -> Path:
        if "?" in str(value):
            raise ValueError("a data folder's path may hold no '?': a database's address would end there")
        return value

    @field_validator("experiment_start")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    @field_validator("backends", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @property
    def program_limits(self) -> ProgramLimits:
        """What a program may not exceed."""
        return ProgramLimits(
            max_program_bytes=self.max_program_bytes,
            max_openqasm3_bytes=self.max_openqasm3_bytes,
            max_qubits=self.max_qubits,
            max_depth=self.max_depth,
            max_gates=self.max_gates,
        )

    @property
    def shelf(self) -> Path:
        """Where trained checkpoints are looked for first."""
        return self.checkpoints or self.data_dir / "checkpoints"

    @property
    def rules(self) -> Rules:
        """How often something is tried."""
        return Rules(self.max_attempts, self.max_placements)

    @property
    def silent_s(self) -> float:
        """A worker that was not heard of for so long is off the roll."""
        return SILENT_HEARTBEATS * self.heartbeat_s

    @property
    def scales(self) -> Scales:
        """The reference scales of the objective."""
        return Scales(self.scale_latency_s, self.scale_energy_j, self.scale_infidelity, self.scale_price_usd)

    @property
    def resolved_store_url(self) -> str:
        """The store's URL; it may hold a password, so it is never logged."""
        if self.store_url is not None:
            return self.store_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'qorch.sqlite'}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
