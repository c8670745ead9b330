"""What every part of the system needs to know."""

from __future__ import annotations

import re
from typing import Final, Literal

import redis
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from swapjobs.contract.vendor_tools import TOOLS
from swapjobs.logs import LogFormat
from swapjobs.settings.redis_url import SCHEME, check_plain_url, sentinel_place

PREFIX: Final = "SWAPJOBS_"
LINK: Final = r"^(https?://[^\s{}\"'<>]+)?$"
_SECRET: Final = re.compile(
    r"whsec_(?:[A-Za-z0-9+/]{4}){6,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
)


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

    vendor_id_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,16}$",
        description="separates environments that share a vendor account",
    )
    webhook_master_secret: SecretStr | None = Field(
        None,
        description="whsec_..., from which the secrets of registered webhook endpoints are derived; never changed",
    )

    log_format: LogFormat = Field(
        "text", description="how workers and gateway log: `json`, one object a line; `text`, for people"
    )

    price_roop: float | None = Field(
        None, ge=0, description="what the vendor charges for a swap by roop; the metrics tell the cost"
    )
    price_v2_roop: float | None = Field(None, ge=0, description="the same of v2/roop")
    price_face_fusion: float | None = Field(None, ge=0, description="the same of face/fusion")

    @property
    def prices(self) -> dict[str, float]:
        """What the vendor charges for a swap: by tool, of those whose price is set."""
        prices = {tool: getattr(self, "price_" + tool.replace("/", "_")) for tool in TOOLS}
        return {tool: price for tool, price in prices.items() if price is not None}

    @field_validator("webhook_master_secret")
    @classmethod
    def _check_master_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_secret(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        if sentinel_place(value):
            return value
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError(f"must begin with redis://, rediss:// or {SCHEME}")
        check_plain_url(value)
        try:
            redis.ConnectionPool.from_url(value).make_connection()  # connects to nothing yet
        except (ValueError, TypeError):
            raise ValueError("is not a Redis URL: redis://[[user]:password@]host[:port]/database") from None
        return value


def check_secret(secret: SecretStr) -> None:
    """Check that a secret is as Standard Webhooks 1.0 writes it.

    Raises:
        ValueError: it is not.
    """
    if not _SECRET.fullmatch(secret.get_secret_value()):
        raise ValueError("must be whsec_ and the base64 of 24 to 64 random bytes")


def split(value: object) -> object:
    """Return the parts of a text that commas separate; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
