"""What every part of the system needs to know."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import redis
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from swapjobs.contract.errors import SettingsError
from swapjobs.contract.vendor_ids import DEFAULT_SUFFIX
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, TOOLS, declare
from swapjobs.contract.wrong_values import did_you_mean, form
from swapjobs.logs import LogFormat
from swapjobs.settings.redis_url import SCHEME, check_plain_url, sentinel_place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PREFIX: Final = "SWAPJOBS_"
LINK: Final = form(
    r"^(https?://[^\s{}\"'<>]+)?$",
    "must be an http:// or https:// URL, like https://swap.example/flower, without blanks, quotes, <> and {}",
)
_PRICES: Final = f"{DEFAULT_TOOL}=0.04"
_SUFFIX: Final = re.compile(r"[A-Za-z0-9._~:-]{0,8}\{n\}[A-Za-z0-9._~:-]{0,8}")
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
        hide_input_in_errors=True,
        defer_build=True,  # a process needs one of the three
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

    tools_file: Path | None = Field(
        None, description="tools of the vendor's that are declared there, TOML or YAML: see ops/tools.example.toml"
    )
    vendor_id_prefix: str = Field(
        "",
        pattern=form(r"^[A-Za-z0-9._-]{0,16}$", "must be at most 16 letters, digits, '.', '_' and '-', like test-"),
        description="separates environments that share a vendor account",
    )
    vendor_id_suffix: str = Field(
        DEFAULT_SUFFIX,
        description="what the vendor's id of a new try after a seen failure ends in, `{n}` for its number; with `~{n}`"
        " ids are `[tenant~]id[~n]`, for a vendor that takes `~`; `none`: the same id again",
    )
    webhook_master_secret: SecretStr | None = Field(
        None,
        description="whsec_..., from which the secrets of registered webhook endpoints are derived; never changed",
    )

    log_format: LogFormat = Field(
        "text", description="how workers and gateway log: `json`, one object a line; `text`, for people"
    )

    prices: Annotated[dict[str, Annotated[float, Field(ge=0)]], NoDecode] = Field(
        {}, description="what the vendor charges for a call, TOOL=PRICE, comma separated; the metrics tell the cost"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse a misspelt name in the call: of the environment's and the file's, the other groups' are none of ours.

        Raises:
            SettingsError: there is one.
        """
        unknown = sorted(init_settings().keys() - settings_cls.model_fields.keys())
        if unknown:
            raise SettingsError(f"unknown setting {', '.join(unknown)}{_meant(unknown, settings_cls.model_fields)}")
        return super().settings_customise_sources(settings_cls, init_settings, *others, **more)

    @field_validator("tools_file")
    @classmethod
    def _declare_tools(cls, value: Path | None) -> Path | None:
        """Make the tools known to this process: requests are checked against them."""
        if value is None:
            return value
        from swapjobs.contract.vendor_tools.tools_file import read_tools  # noqa: PLC0415 - few have one

        try:
            text = value.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
            raise ValueError(f"{value}: {what}") from None
        declare(read_tools(text, str(value)))
        return value

    @field_validator("prices", mode="before")
    @classmethod
    def _read_prices(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return dict(_price(part) for part in value.split(",") if part.strip())

    @field_validator("prices")
    @classmethod
    def _check_prices(cls, value: dict[str, float]) -> dict[str, float]:
        for tool in value.keys() - TOOLS.keys():
            meant = did_you_mean(tool, TOOLS) or f"; tools are {', '.join(TOOLS)}"
            raise ValueError(f"{tool!a} is no tool: write TOOL=PRICE, comma separated, like {_PRICES}{meant}")
        return value

    @field_validator("vendor_id_suffix")
    @classmethod
    def _check_suffix(cls, value: str) -> str:
        if value == "none":
            return ""
        if value and not _SUFFIX.fullmatch(value):
            raise ValueError("must be letters, digits, . _ ~ : - around one {n}, like -{n}, or none")
        return value

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


def _meant(unknown: Iterable[str], known: Collection[str]) -> str:
    """Return which names may be meant, written as here or as in the environment; all there are, where none is alike."""
    plain = [name.lower().removeprefix(PREFIX.lower()) for name in unknown]
    return "".join(did_you_mean(name, known, likeness=0.8) for name in plain) or f"; known are {', '.join(known)}"


def _price(text: str) -> tuple[str, float]:
    """Return the tool and the price in `TOOL=PRICE`."""
    tool, equals, price = (part.strip() for part in text.partition("="))
    if not (tool and equals):
        raise ValueError(f"{text.strip()!a} is not TOOL=PRICE; several are comma separated, like {_PRICES}")
    try:
        number = float(price)
    except ValueError:
        number = -1
    if not 0 <= number < math.inf:
        raise ValueError(f"the price of {tool!a} must be a number, at least 0, as in {_PRICES}")
    return tool, number


def check_secret(secret: SecretStr) -> None:
    """Check that a secret is as Standard Webhooks 1.0 writes it.

    Raises:
        ValueError: it is not.
    """
    if not _SECRET.fullmatch(secret.get_secret_value()):
        made = "echo whsec_$(openssl rand -base64 32)"
        raise ValueError(f"must be whsec_ and the base64 of 24 to 64 random bytes, as this prints: {made}")


def split(value: object) -> object:
    """Return the parts of a text that commas separate; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
