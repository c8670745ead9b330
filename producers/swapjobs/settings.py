"""All settings, read from the environment and a `.env` file: prefix `SWAPJOBS_`, units in the name or the value.

Two frozen classes: `CoreSettings` is what every producer needs, `WorkerSettings` adds what only workers read.
Both stand here, so that a producer can tell a worker's setting in a shared `.env` from a misspelt one.
"""

from __future__ import annotations

import ipaddress
import os
import re
import warnings
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import redis
from dotenv import dotenv_values
from pydantic import Field, GetPydanticSchema, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import core_schema
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from swapjobs.errors import SettingsError
from swapjobs.redis_url import SCHEME, sentinel_place

PREFIX: Final = "SWAPJOBS_"
_PERIOD_S: Final = {"s": 1, "m": 60, "h": 3600}


class Rate(str):
    """So many calls in so many seconds, written `5/s`, `300/m` or `1000/h`.

    Raises:
        ValueError: it is none of these.
    """

    __slots__ = ("calls", "period_s")
    calls: int
    period_s: int

    def __new__(cls, text: str) -> Self:
        """Read the text."""
        match = re.fullmatch(r"\s*([1-9][0-9]{0,6})\s*/\s*([smh])\s*", text)
        if match is None:
            raise ValueError("must be a rate like 5/s, 300/m or 1000/h")
        rate = super().__new__(cls, f"{match[1]}/{match[2]}")
        rate.calls, rate.period_s = int(match[1]), _PERIOD_S[match[2]]
        return rate

    @property
    def interval_s(self) -> float:
        """Seconds from one call to the next."""
        return self.period_s / self.calls


RateSetting = Annotated[
    Rate,
    GetPydanticSchema(lambda _type, _handler: core_schema.no_info_plain_validator_function(lambda v: Rate(str(v)))),
]


class CoreSettings(BaseSettings):
    """What producers and workers share."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="records, queues, results and traffic; with Sentinel redis+sentinel://host:port,host:port/service",
    )
    result_ttl_s: int = Field(
        604_800, ge=60, description="finished records are kept this long after their deliveries ended"
    )
    submit_durability: Literal["memory", "fsync"] = Field(
        "memory",
        description="when a submit counts as accepted: `memory`, Redis has it; `fsync`, it is on Redis' disk too",
    )

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        if sentinel_place(value):
            return value
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError(f"must begin with redis://, rediss:// or {SCHEME}")
        try:
            redis.ConnectionPool.from_url(value).make_connection()  # connects to nothing yet
        except (ValueError, TypeError):
            raise ValueError("is not a Redis URL: redis://[[user]:password@]host[:port]/database") from None
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment and `.env`.

        Raises:
            SettingsError: a value is wrong, or `.env` holds an unknown SWAPJOBS_ name.
        """
        check_names()
        try:
            return cls()
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            raise SettingsError("; ".join(_explain(problem["loc"], problem["msg"]) for problem in problems)) from None


class WorkerSettings(CoreSettings):
    """What a worker needs besides."""

    api_url: str = Field("https://api.zhiqite.com", description="vendor base URL")
    api_key_id: SecretStr | None = Field(None, description="sent as X-Request-req-accessKeyId")
    api_key_secret: SecretStr | None = Field(None, description="sent as X-Request-req-accessKeySecret")
    rate_limit: RateSetting = Field(Rate("5/s"), description="vendor calls for the whole fleet: N/s, N/m or N/h")
    rate_burst: int = Field(1, ge=1, le=10_000, description="calls that may be made at once after a pause")
    query_rate_limit: RateSetting | None = Field(
        None, description="queryTask calls of the whole fleet; unset: they share the rate"
    )
    max_in_flight: int = Field(0, ge=0, description="vendor calls in flight for the whole fleet; 0: no limit")
    bulk_share: float = Field(1, gt=0, le=1, description="bulk jobs are held to this share of the rate, and in flight")
    rate_floor: float = Field(0.05, gt=0, le=1, description="refusals (429) lower the rate down to this share of it")
    vendor_id_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,16}$",
        description="separates environments that share a vendor account",
    )
    vendor_id_suffix: bool = Field(
        True,
        description="a new try after a seen failure gets the vendor id with ~2, ~3, ...; false: the same id",
    )
    vendor_unknown_codes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("404",), description="codes by which queryTask says that it does not know a task, comma separated"
    )
    call_timeout_s: float = Field(60, gt=0, le=3600, description="one vendor call, total, not per read")
    max_response_bytes: int = Field(1_048_576, ge=1024, description="a longer vendor reply is refused")
    max_attempts: int = Field(6, ge=1, le=100, description="failed attempts before a job fails for good")
    retry_base_s: float = Field(1, gt=0, description="full jitter between 0 and base x 2^(failures - 1)")
    retry_cap_s: float = Field(120, gt=0, description="longest pause between two attempts")
    poll_base_s: float = Field(2, gt=0, description="first pause before asking for a task the vendor works on")
    poll_cap_s: float = Field(60, gt=0, description="longest pause between two such questions")
    poll_give_up_s: float = Field(
        3600, gt=0, description="a task that the vendor works on for longer than this fails, and is not sent again"
    )
    lookup_give_up_s: float = Field(
        900, gt=0, description="a lost call is sent again, and counted, when queryTask gave no answer for so long"
    )
    breaker_window_s: float = Field(
        30, gt=0, le=3600, description="failed calls are counted over this time (over 10 intervals of a slow rate)"
    )
    breaker_failures: int = Field(5, ge=2, le=1000, description="so many failed calls in the window close the line")
    breaker_share: float = Field(0.5, gt=0, le=1, description="if they are this share of all calls")
    breaker_probe_s: float = Field(
        5, gt=0, le=600, description="longest pause between two probes while the line is closed; the first is 1 s"
    )
    breaker_ramp_s: float = Field(5, ge=0, le=600, description="time in which the rate grows back after an outage")
    lease_s: float = Field(30, ge=2, description="a dead worker's jobs run again after this")
    stop_grace_s: float = Field(
        25, ge=0, le=3600, description="a stopping worker waits so long for running jobs, then hands them back"
    )
    stall_exit_s: float = Field(
        180,
        ge=10,
        description="a worker that could not reach Redis for so long ends with status 1, to be started again",
    )
    alive_file: str = Field(
        "", description="touched every few seconds while the worker's loop and Redis work; empty: none"
    )
    concurrency: int = Field(32, ge=1, le=1000, description="slots of one worker process")
    webhook_concurrency: int = Field(16, ge=1, le=1000, description="slots of the webhook worker process")
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="whsec_..., comma separated; the first signs alone unless webhook_rotating"
    )
    webhook_rotating: bool = Field(False, description="all secrets sign, while receivers change over")
    webhook_timeout_s: float = Field(15, gt=0, le=120, description="one delivery, total")
    webhook_allowed_networks: Annotated[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], NoDecode] = Field(
        (), description="CIDRs exempt from the private-address block, comma separated"
    )

    @field_validator("vendor_unknown_codes", "webhook_secrets", "webhook_allowed_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("api_url")
    @classmethod
    def _check_api_url(cls, value: str) -> str:
        if not re.match(r"^https?://[^/\s@?#]+(/[^\s?#]*)?$", value):
            raise ValueError("must be an http:// or https:// URL without credentials or query")
        return value.rstrip("/")

    @field_validator("webhook_secrets")
    @classmethod
    def _check_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in value:
            if not re.fullmatch(
                r"whsec_(?:[A-Za-z0-9+/]{4}){6,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
                secret.get_secret_value(),
            ):
                raise ValueError("each must be whsec_ and the base64 of 24 to 64 random bytes")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.retry_base_s > self.retry_cap_s:
            raise ValueError("SWAPJOBS_RETRY_BASE_S is larger than SWAPJOBS_RETRY_CAP_S")
        if self.poll_base_s > self.poll_cap_s:
            raise ValueError("SWAPJOBS_POLL_BASE_S is larger than SWAPJOBS_POLL_CAP_S")
        if (self.api_key_id is None) != (self.api_key_secret is None):
            raise ValueError("SWAPJOBS_API_KEY_ID and SWAPJOBS_API_KEY_SECRET go together: one is missing")
        return self


def _explain(loc: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(loc[0]).upper()}: {message}" if loc else message


def known_names() -> frozenset[str]:
    """Return every variable that means something here."""
    return frozenset(PREFIX + name.upper() for name in WorkerSettings.model_fields)


def check_names() -> None:
    """Warn about unknown SWAPJOBS_ names in the environment.

    Raises:
        SettingsError: `.env` holds one; there it can only be a mistake.
    """
    known = known_names()
    env_file = Path(".env")
    try:
        in_file = dotenv_values(env_file, encoding="utf-8") if env_file.is_file() else {}
    except UnicodeDecodeError:
        raise SettingsError(".env: is not UTF-8") from None
    strange = sorted(name for name in in_file if name.startswith(PREFIX) and name not in known)
    if strange:
        raise SettingsError(f".env: unknown setting {', '.join(strange)}; known are {', '.join(sorted(known))}")
    for name in sorted(os.environ):  # noqa: TID251 - the one place that reads the environment
        if name.startswith(PREFIX) and name not in known:
            warnings.warn(f"unknown setting {name} in the environment is ignored", stacklevel=3)
