"""Reads what a request asks for, from its body and its headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import WithJsonSchema

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.fetched_urls import MAX_URL_LENGTH
from swapjobs.contract.job import MAX_BUSINESS_ID, is_business_id
from swapjobs.contract.request import Request, parse_request
from swapjobs.contract.urls import CallbackUrl
from swapjobs.gateway.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_WAIT_S: Final = 60
WRONG_CURSOR: Final = "is not one that a page gave as next_cursor"
# What the OpenAPI document says of URLs: others may be right too, all of these are.
PLAIN_URL: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": MAX_URL_LENGTH,
    "pattern": r"^https?://([A-Za-z0-9]{1,20}\.){1,5}[A-Za-z]{2,8}(:[1-9][0-9]{0,3})?(/[!-\[\]-~]*)?$",
}
# As above: of this century, with a day that every month has.
PLAIN_TIME: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^20[0-9]{2}-(0[1-9]|1[0-2])-([01][1-9]|2[0-8])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]0[0-9]:[0-5][0-9])$",
}
# As above: one in quotes is read without them.
PLAIN_KEY: Final = {"maxLength": MAX_BUSINESS_ID, "pattern": "^[!#-~]([ -~]*[!-~])?$"}
PlainUrl = Annotated[CallbackUrl, WithJsonSchema(PLAIN_URL)]


def request_of(wanted: Mapping[str, Any], tenant: str, idempotency_key: str | None = None) -> Request:
    """Return the request in a body; its tenant is the key's.

    Raises:
        InvalidRequest: with the field that is not right.
    """
    named = wanted.get("tenant", tenant)
    if named != tenant:
        raise InvalidRequest("tenant: the key belongs to another tenant; leave the field out", field="tenant")
    fields = {**wanted, "tenant": tenant}
    if idempotency_key is not None:
        key = _unquoted(idempotency_key)
        given = wanted.get("business_task_id")
        if given is not None and given != key:
            text = "Idempotency-Key: differs from business_task_id in the body; give one, or both the same"
            raise InvalidRequest(text, field="Idempotency-Key")
        if not is_business_id(key):
            text = f"Idempotency-Key: must be 1 to {MAX_BUSINESS_ID} printable ASCII characters"
            raise InvalidRequest(text, field="Idempotency-Key")
        fields["business_task_id"] = key
    return parse_request(fields)


def wait_of(prefer: str | None) -> int | None:
    """Return the seconds of the preference `wait` (RFC 7240); None where it is not given.

    Raises:
        HttpProblem: it is not a number from 0 to 60.
    """
    for preference in (prefer or "").split(","):
        name, _, value = preference.partition(";")[0].strip().partition("=")
        if name.strip().lower() == "wait":
            text = value.strip().strip('"')
            if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > MAX_WAIT_S:
                raise HttpProblem(400, f"Prefer: wait must be from 0 to {MAX_WAIT_S} seconds", field="Prefer")
            return int(text)
    return None


def _unquoted(key: str) -> str:
    """Return the key within the quotes that the header's draft standard asks for and few clients send."""
    match = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', key)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else key
