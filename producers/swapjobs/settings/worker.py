"""What a worker needs to know besides."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from swapjobs.contract.job import Name
from swapjobs.contract.rate import Rate, RateSetting
from swapjobs.settings.celery_url import check_backend, check_broker
from swapjobs.settings.core import LINK, CoreSettings, check_secret, split

_LAST_PORT: Final = 65_535


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
    vendor_unknown_codes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("404",), description="codes by which queryTask says that it does not know a task, comma separated"
    )
    vendor_callback_url: str = Field(
        "",
        pattern=LINK,
        description="where the vendor reaches the gateway: it is asked to call back when a task is done (tools that"
        " document it), and is asked for such tasks seldom; empty: it is asked again and again",
    )
    vendor_callback_poll_s: float = Field(
        120, gt=0, description="first pause before asking for a task of which the vendor will call back"
    )
    vendor_traceparent: bool = Field(
        False, description="send the trace context of a job (`traceparent`) to the vendor too"
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
    breaker_failures: int = Field(5, ge=2, le=1000, description="so many failed calls in the window open the breaker")
    breaker_share: float = Field(0.5, gt=0, le=1, description="if they are this share of all calls")
    breaker_probe_s: float = Field(
        5, gt=0, le=600, description="longest pause between two probes while the breaker is open; the first is 1 s"
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
    health_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="where a worker answers /livez, /readyz and /metrics; a second process: one above",
    )
    health_host: str = Field("127.0.0.1", description="on which address it does")
    metrics_tenants: Annotated[tuple[Name, ...], NoDecode] = Field(
        (), description="tenants whose jobs the metrics count by name, comma separated; all others are `other`"
    )
    concurrency: int = Field(32, ge=1, le=1000, description="slots of one worker process")
    webhook_concurrency: int = Field(16, ge=1, le=1000, description="slots of the webhook worker process")
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="whsec_..., comma separated; the first signs alone unless webhook_rotating"
    )
    webhook_rotating: bool = Field(False, description="all secrets sign, while receivers change over")
    webhook_timeout_s: float = Field(15, gt=0, le=120, description="one delivery, total")
    webhook_allowed_networks: Annotated[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], NoDecode] = Field(
        (), description="CIDRs exempt from the private-address block, https and webhook_ports, comma separated"
    )
    webhook_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], NoDecode] = Field(
        (443, 8443), description="ports that webhooks may be sent to, comma separated"
    )

    console_url: str = Field(
        "", pattern=LINK, description="where the gateway's console is, for Flower's link; empty: no link"
    )

    celery_broker_url: SecretStr | None = Field(
        None, description="broker of a product's own Celery app, for what comes after its tasks; unset: the same Redis"
    )
    celery_result_backend: SecretStr | None = Field(
        None, description="result backend of a product's own Celery app; unset: the same Redis"
    )
    celery_default_queue: str = Field(
        "celery", min_length=1, max_length=255, description="where a product's own Celery app sends tasks of no queue"
    )
    celery_result_expires_s: int = Field(
        86_400, ge=0, description="how long results stay in that backend; 0: for ever (Celery's result_expires)"
    )

    @field_validator(
        "vendor_unknown_codes",
        "metrics_tenants",
        "webhook_secrets",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return split(value)

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _read_networks(cls, value: object) -> object:
        return [_network(part) for part in parts] if isinstance(parts := split(value), list) else parts

    @field_validator("webhook_ports", mode="before")
    @classmethod
    def _read_ports(cls, value: object) -> object:
        parts = split(value)
        for part in parts if isinstance(parts, list) else ():
            if not re.fullmatch(r"[1-9][0-9]{0,4}", part) or int(part) > _LAST_PORT:
                raise ValueError(f"{part!a} is no port: each must be from 1 to {_LAST_PORT}, as in 443,8443")
        return parts

    @field_validator("health_host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if not _is_host(value):
            raise ValueError("must be an IP address or a host name without a port, like 127.0.0.1, :: or 0.0.0.0")
        return value

    @field_validator("api_key_id", "api_key_secret")
    @classmethod
    def _check_credential(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else ""
        if not (text.isascii() and text == text.strip() and text.isprintable()):
            raise ValueError("must be printable ASCII without spaces around it")
        return value

    @field_validator("celery_broker_url")
    @classmethod
    def _check_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_broker(value.get_secret_value())
        return value

    @field_validator("celery_result_backend")
    @classmethod
    def _check_backend(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_backend(value.get_secret_value())
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
            check_secret(secret)
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


def _is_host(text: str) -> bool:
    if re.search(r":|^[0-9.]*$", text):  # only addresses look like this
        try:
            return bool(ipaddress.ip_address(text))
        except ValueError:
            return False
    return bool(re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        wide = ipaddress.ip_network(text, strict=False)
    except ValueError:
        right = "10.0.0.0/8, fd00::/8, or 127.0.0.0/8 for this machine"
        raise ValueError(f"{text!a} is no network: each must be ADDRESS/BITS, like {right}") from None
    if "/" in text and wide.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f"{text!a} is an address in a network, and not the network; did you mean {wide}?")
    return wide
