"""What the HTTP gateway needs to know besides."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from swapjobs.contract.rate import Rate, RateSetting
from swapjobs.settings.core import LINK, CoreSettings, split


class GatewaySettings(CoreSettings):
    """What the gateway reads."""

    gateway_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="tenant:key pairs, comma separated, besides those of `swapjobs keys`; no keys = loopback only"
    )
    gateway_key_rate: RateSetting = Field(Rate("100/s"), description="requests that one key may make: N/s, N/m or N/h")
    gateway_max_body_bytes: int = Field(
        1_048_576, ge=1024, description="a larger request is refused; a batch may be larger, one line of it not"
    )
    gateway_max_waits: int = Field(
        4000, ge=1, description="waiting requests and event streams, open at once in one process; 3/4 for one tenant"
    )
    gateway_max_connections: int = Field(
        8192, ge=16, description="open at once in one process; then idle ones are closed for new ones"
    )
    gateway_client_timeout_s: float = Field(
        30,
        gt=0,
        le=3600,
        description="a client that sends or takes nothing for so long in the middle of a request is cut off, and one"
        " that sends less than 100 bytes a second",
    )
    gateway_max_queued: int = Field(
        0, ge=0, description="with so many jobs queued the gateway answers 429 to new ones; 0: no limit"
    )
    gateway_cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins whose pages may call the gateway, comma separated; none: no CORS"
    )
    gateway_vendor_wait_s: float = Field(
        55, ge=0, le=600, description="the vendor-compatible door answers after so long, finished or not"
    )

    console: bool = Field(True, description="serve the console at /console/")
    console_pictures: bool = Field(
        False,
        description="the console shows pictures: each viewer's browser fetches them from where they lie; else a blank",
    )
    console_session_s: int = Field(
        43_200, ge=60, le=2_592_000, description="a sign-in to the console ends after so long, or with its key"
    )
    flower_url: str = Field("", pattern=LINK, description="where Flower is, for the console's link; empty: no link")

    @field_validator("gateway_keys", "gateway_cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split(value)

    @field_validator("gateway_keys")
    @classmethod
    def _check_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for pair in value:
            if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}:[!-+\--~]{16,200}", pair.get_secret_value()):
                raise ValueError("each must be tenant:key, the key 16 to 200 printable characters without comma")
        return value

    @field_validator("gateway_cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+", origin):
                raise ValueError("each must be an origin like https://app.example, without a path")
        return value
