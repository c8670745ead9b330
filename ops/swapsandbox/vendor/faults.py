"""Named, seeded faults of the sandbox vendor: the bad days of a remote API, on demand and repeatable.

Compact form, as the command line takes it (`--fault`, repeatable):

    fault    = name [":" setting *("," setting)]
    setting  = key "=" value

    http_503                          every swap call answers 503
    http_503:count=1,id=demo-4        the first call for demo-4 does
    latency:ms=250,jitter=50,on=all   every call takes 200 to 300 ms longer
    lost_reply:share=0.02             one swap in fifty is done and billed, but the reply is lost
    status_2:prefix=bad-,msg=TARGET_NO_FACE: no face found

Settings of every fault:

    on=swap|query|all   the calls it applies to (default swap; query_down: query)
    share=0.1           the probability that it applies to a call (default 1), drawn from the seed
    count=3             it applies to this many calls and then never again (default: no end)
    id=a|b              only to these business ids
    prefix=demo-        only to business ids that begin so

Names, with their own settings:

    latency         ms=… [jitter=0]    waits before doing anything else; adds up with the other faults
    http_503        [retry_after=…]    HTTP 503, with Retry-After if given
    http_500, http_401                 HTTP 500, HTTP 401
    http_429        [retry_after=1]    HTTP 429 with Retry-After in seconds, or form=date: as an HTTP date
    http_429_bare                      HTTP 429 without Retry-After
    code_429, code_500, code_401       HTTP 200 with this `code` in the envelope
    bad_json, html                     HTTP 200 with half a JSON text, or with a page instead of JSON
    hang            [s=60]             no answer for so many seconds, then the connection is cut
    reset_before                       the connection is reset before any work
    lost_reply                         the connection is reset after the work was done and billed (swap only)
    unusable_url                       the work was done and billed, but the picture's URL is none (swap only)
    status_2        [msg=…]            the swap fails, with this message (swap only)
    pending         [s=5]              the direct reply is not final; queryTask shows the outcome s seconds later
                                       (swap only)
    query_down      [retry_after=…]    queryTask answers 503

All faults that replace the reply of a swap take `after_work=yes`: the work is done and billed first, so that a
503 or a hang hides a paid success. Of several faults that apply to a call, the first in the list wins.

JSON form (`PUT /_sandbox/faults`): a list whose items are such texts or objects with `name` and the settings as keys;
`id` may be a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from swapjobs.contract.wrong_values import did_you_mean, what_is_wrong

if TYPE_CHECKING:
    from swapsandbox.vendor.records import Kind


class FaultError(ValueError):
    """A fault that cannot be read; the text says what is wrong with it."""


class FaultName(StrEnum):
    """Every fault the sandbox can show."""

    LATENCY = "latency"
    HTTP_503 = "http_503"
    HTTP_500 = "http_500"
    HTTP_401 = "http_401"
    HTTP_429 = "http_429"
    HTTP_429_BARE = "http_429_bare"
    CODE_429 = "code_429"
    CODE_500 = "code_500"
    CODE_401 = "code_401"
    BAD_JSON = "bad_json"
    HTML = "html"
    HANG = "hang"
    RESET_BEFORE = "reset_before"
    LOST_REPLY = "lost_reply"
    UNUSABLE_URL = "unusable_url"
    STATUS_2 = "status_2"
    PENDING = "pending"
    QUERY_DOWN = "query_down"


_NO_REPLY_OF_THEIR_OWN: Final = frozenset({FaultName.LATENCY, FaultName.STATUS_2, FaultName.PENDING})
_SWAP_ONLY: Final = frozenset({FaultName.LOST_REPLY, FaultName.UNUSABLE_URL, FaultName.STATUS_2, FaultName.PENDING})
_COMMON: Final = frozenset({"name", "on", "share", "count", "id", "prefix"})
_OWN_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    FaultName.LATENCY: {"ms": None, "jitter": 0},
    FaultName.HTTP_503: {"retry_after": None},
    FaultName.HTTP_429: {"retry_after": 1, "form": "seconds"},
    FaultName.HANG: {"s": 60},
    FaultName.LOST_REPLY: {"after_work": True},
    FaultName.UNUSABLE_URL: {"after_work": True},
    FaultName.STATUS_2: {"msg": "SWAP_FAILED: the sandbox was told to fail"},
    FaultName.PENDING: {"s": 5},
    FaultName.QUERY_DOWN: {"retry_after": None, "on": "query"},
}


class Fault(BaseModel):
    """One fault and the calls it applies to; the fields are the settings of the module's grammar."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    name: FaultName
    on: Literal["swap", "query", "all"] = "swap"
    share: float = Field(default=1.0, gt=0, le=1)
    count: int | None = Field(default=None, ge=1)
    id: tuple[str, ...] = ()
    prefix: str = ""
    after_work: bool = False
    ms: float | None = Field(default=None, ge=0)
    jitter: float | None = Field(default=None, ge=0)
    s: float | None = Field(default=None, ge=0)
    retry_after: int | None = Field(default=None, ge=0)
    form: Literal["seconds", "date"] | None = None
    msg: str | None = Field(default=None, min_length=1)

    @field_validator("id", mode="before")
    @classmethod
    def _split_ids(cls, value: object) -> object:
        return tuple(value.split("|")) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {**_OWN_DEFAULTS.get(str(data.get("name")), {}), **data}

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = _COMMON | _OWN_DEFAULTS.get(self.name, {}).keys()
        if self.replaces_reply:
            known |= {"after_work"}
        stray = sorted(self.model_fields_set - known)
        if stray:
            raise ValueError(f"{self.name} takes no {', '.join(stray)}")
        if self.name is FaultName.LATENCY and self.ms is None:
            raise ValueError("latency needs ms, for example latency:ms=250")
        if self.name in _SWAP_ONLY and self.on != "swap":
            raise ValueError(f"{self.name} applies to swap calls only")
        if self.name is FaultName.QUERY_DOWN and self.on != "query":
            raise ValueError("query_down applies to queries only; for both use http_503:on=all")
        return self

    @property
    def replaces_reply(self) -> bool:
        """Whether the caller gets this fault's answer (or none) instead of the outcome of the work."""
        return self.name not in _NO_REPLY_OF_THEIR_OWN

    def matches(self, kind: Kind, business_id: str) -> bool:
        """Tell whether a call is one of those that the fault is meant for."""
        return (
            self.on in {"all", kind.value}
            and (not self.id or business_id in self.id)
            and business_id.startswith(self.prefix)
        )


def read_fault(given: object) -> Fault:
    """Return the fault that a compact text or a JSON object describes.

    Raises:
        FaultError: it is neither, has an unknown name or setting, or a value out of range.
    """
    try:
        return Fault.model_validate(_settings(given) if isinstance(given, str) else given)
    except ValidationError as error:
        raise FaultError(f"fault {given!r}: {'; '.join(_explain(one) for one in error.errors())}") from None


def _settings(text: str) -> dict[str, str]:
    name, _, rest = text.partition(":")
    settings = {"name": name.strip()}
    for setting in rest.split(",") if rest else []:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise FaultError(f"fault {text!r}: {setting!r} is not key=value")
        if key.strip() in settings:
            raise FaultError(f"fault {text!r}: {key.strip()} is given twice")
        settings[key.strip()] = value
    return settings


def _explain(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if where == "name":
        return f"unknown name; known are {', '.join(FaultName)}{did_you_mean(error['input'], FaultName)}"
    if error["type"] == "extra_forbidden":
        return f"unknown setting {where}{did_you_mean(where, Fault.model_fields)}"
    what = what_is_wrong(error)
    return f"{where}: {what}" if where else what
