"""Reading a request's JSON: strict about what it is, and never deeper or larger than it may be."""

from __future__ import annotations

from email.message import Message
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic_core import from_json

from swapjobs.gateway.dependencies import Authenticated
from swapjobs.gateway.problems import HttpProblem

_JSON: Final = "application/json"


def media_type(request: Request) -> str:
    """Return the media type of the body, lower case and without parameters."""
    given = request.headers.get("content-type", "")
    if given == _JSON:
        return given  # nearly always: to take a header apart costs as much as to read a job
    header = Message()
    header["content-type"] = given
    return header.get_content_type() if header["content-type"] else ""


def charset(request: Request) -> str | None:
    """Return the encoding that the Content-Type names, if it does."""
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    return header.get_content_charset()


async def json_object(request: Request, _: Authenticated) -> dict[str, Any]:
    """Return the body, which must be a JSON object; it is read for those alone who may ask."""
    return await read_object(request)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object.

    Raises:
        HttpProblem: 415, it is compressed, or said not to be application/json; 400, it is not a JSON object.
    """
    kind = media_type(request)
    if kind != _JSON:
        raise HttpProblem(415, f"the header Content-Type must be application/json, it is {kind or 'missing'}")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpProblem(415, "the header Content-Encoding: send the body as it is", field="Content-Encoding")
    body = await request.body()
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        raise HttpProblem(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise HttpProblem(400, "the body must be a JSON object")
    return value


JsonObject = Annotated[dict[str, Any], Depends(json_object)]
