"""The OpenAPI document: FastAPI's, with the body of a job, our problems, and examples. The tests run every example."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.operation import POSSIBLE, OperationRequest
from swapjobs.contract.request import SwapRequest
from swapjobs.contract.vendor_tools.guidance import example_input
from swapjobs.contract.vendor_tools.image_tools import ImageDescription
from swapjobs.contract.vendor_tools.swaps import FaceFusion, RoopV2
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, TOOLS, name_of
from swapjobs.gateway.parameters import PLAIN_TIME, PLAIN_URL
from swapjobs.gateway.problems import STATUSES, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

    from swapjobs.contract.vendor_tools.tool import Tool

_REF: Final = "#/components/schemas/"
_DESCRIPTION: Final = """\
Send `Authorization: Bearer <key>`; `swapjobs keys create` makes a key, and the key says which tenant asks. Errors are
`application/problem+json` (RFC 9457): `code` is stable, `field` names what is not right.
"""
_PICTURES: Final = {
    "source_url": "https://pictures.example/anna.jpg",
    "target_url": "https://pictures.example/party.jpg",
}
_DESCRIBING: Final = name_of(ImageDescription)
SWAP_EXAMPLES: Final[dict[str, Any]] = {
    "smallest": {"summary": "Two pictures, no more", "value": _PICTURES},
    "own id": {
        "summary": "With your own id: sent again, it is the same job; told by a webhook when done",
        "value": {
            **_PICTURES,
            "business_task_id": "order-4711",
            "callback_url": "https://shop.example/hooks/swap",
            "metadata": {"order": 4711},
        },
    },
    "restored": {
        "summary": "Single Face Swap V2.0, with restoration",
        "value": {**_PICTURES, "tool": name_of(RoopV2), "fidelity_weight": 0.5},
    },
    "another tool": {
        "summary": "A job of any tool: what it takes stands in `input`",
        "value": {"tool": _DESCRIBING, "input": example_input(TOOLS[_DESCRIBING])},
    },
    "second face": {
        "summary": "Multiple Face Swap: the second face from the left",
        "value": {**_PICTURES, "tool": name_of(FaceFusion), "face_idx": 2, "priority": "bulk"},
    },
}
JOB_EXAMPLE: Final[dict[str, Any]] = {
    "id": "xvylxczeuccyfneeuyx6k7pr",
    "state": "queued",
    "tool": DEFAULT_TOOL,
    "tenant": "default",
    "priority": "interactive",
    "business_task_id": "order-4711",
    **_PICTURES,
    "input": _PICTURES,
    "output_url": None,
    "outputs": [],
    "error": None,
    "attempts": 0,
    "failed_attempts": 0,
    "reason": None,
    "next_attempt_at": None,
    "created_at": "2026-11-23T09:30:00.123000Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "batch_id": None,
    "metadata": {},
    "webhook": None,
}
DONE_EXAMPLE: Final = {
    **JOB_EXAMPLE,
    "state": "succeeded",
    "output_url": "https://vendor.example/results/1f0c.jpg",
    "outputs": [{"kind": "image", "url": "https://vendor.example/results/1f0c.jpg"}],
    "attempts": 1,
    "started_at": "2026-11-23T09:30:00.140000Z",
    "finished_at": "2026-11-23T09:30:02.310000Z",
}
# Without a schema: OpenAPI 3.1 has none for a stream, and tools differ in whether it is for the text or for each event.
EVENTS_EXAMPLE: Final = {
    "example": 'retry: 2000\n\nevent: queued\ndata: {"id": "xvylxczeuccyfneeuyx6k7pr", ...}\nid: 97c357940dd00ee6\n\n',
}
_PROBLEMS: Final[dict[str, tuple[str, str | None]]] = {
    "malformed_request": ("the body is not JSON: EOF while parsing an object at line 1 column 1", None),
    "invalid_request": ("source_url: must begin with http:// or https://", "source_url"),
    "idempotency_conflict": ("business_task_id 'order-4711' was already used for a different request", None),
    "access_denied": ("the gateway does not know this key; `swapjobs keys create` makes one", None),
    "scope_missing": ("this needs a key with the scope act; `swapjobs keys create --scope act` makes one", None),
    "forbidden": ("without keys the gateway serves this machine alone: a proxy passed the request on", None),
    "job_not_found": ("no job has the id xvylxczeuccyfneeuyx6k7pr", None),
    "job_gone": ("job xvylxczeuccyfneeuyx6k7pr finished and its record has expired", None),
    "not_retryable": (
        "job xvylxczeuccyfneeuyx6k7pr is succeeded: only failed, cancelled and expired jobs can be retried",
        None,
    ),
    "not_finished": (
        "job xvylxczeuccyfneeuyx6k7pr is running: cancel it, and forget it when its last call is over",
        None,
    ),
    "body_too_large": ("the body is larger than this route takes", None),
    "unsupported_media_type": ("the header Content-Type must be application/json, it is missing", None),
    "too_many_requests": ("this key makes too many requests", None),
    "queue_full": ("Redis is at its memory limit: no new job can be accepted now; try again later", None),
    "queue_unavailable": ("Redis cannot be reached", None),
    "vendor_unavailable": ("the vendor can't be asked now: dispatch is paused", None),
}
ALL_STATUSES: Final = {
    **STATUSES,
    "malformed_request": 400,
    "forbidden": 403,
    "body_too_large": 413,
    "unsupported_media_type": 415,
}
_ALWAYS: Final = (
    "invalid_request",
    "access_denied",
    "scope_missing",
    "forbidden",
    "too_many_requests",
    "queue_unavailable",
)
BODY_PROBLEMS: Final = ("malformed_request", "body_too_large", "unsupported_media_type")


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` says of the problems with these codes."""
    result: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = ALL_STATUSES[code]
        detail, field = _PROBLEMS.get(code, ("what is wrong", None))
        output = Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, field=field)
        schema = {"schema": {"$ref": f"{_REF}Problem"}, "examples": {}}
        answer = result.setdefault(
            status, {"description": HTTPStatus(status).phrase, "content": {"application/problem+json": schema}}
        )
        examples = answer["content"]["application/problem+json"]["examples"]
        examples[code] = {"value": output.model_dump(exclude_none=True)}
    return result


def job_answer(description: str, example: dict[str, Any]) -> dict[str, Any]:
    """Return what a route's `responses` says of an answer with a job."""
    content = {"schema": {"$ref": f"{_REF}Job"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


_NAME: Final = {"pattern": "^[A-Za-z0-9._-]{1,64}$"}


def body(name: str, examples: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads a JSON object of the schema `name`."""
    content = {"schema": {"$ref": f"{_REF}{name}"}, "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the app."""
    made = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=_DESCRIPTION, routes=app.routes
    )
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template=_REF + "{model}")
    schemas |= _job_requests()
    schemas["OperationRequest"] = _operation_request()
    for path in made["paths"].values():
        for operation in path.values():
            _add_problems(operation)
    return made


def _add_problems(operation: dict[str, Any]) -> None:
    """Name the problems that every route with a key has, beside those that it names itself."""
    if "HTTPValidationError" in str(operation["responses"].get("422", "")):
        del operation["responses"]["422"]
    if "security" not in operation:
        return
    for status, answer in problems(*_ALWAYS).items():
        named = operation["responses"].setdefault(str(status), answer)
        for kind, content in answer["content"].items():
            examples = named.get("content", {}).get(kind, {}).get("examples")
            if examples is not None:
                named["content"][kind]["examples"] = content["examples"] | examples


def _job_requests() -> dict[str, Any]:
    """Return the schemas of a request: one for each tool with what it takes, and their union."""
    whole = SwapRequest.model_json_schema(ref_template=_REF + "{model}")["properties"]
    pictures = {"source_url", "target_url"}
    common = {name: schema for name, schema in whole.items() if name not in {*pictures, "tenant"}}
    common["callback_url"] = _plain(common["callback_url"])
    common["metadata"]["additionalProperties"] = True
    common["expires_at"] |= {"anyOf": [PLAIN_TIME, {"type": "null"}]}
    result: dict[str, Any] = {}
    for tool in TOOLS.values():
        if not tool.is_task:
            continue
        own, named = _input_schema(tool), {"tool": {"const": tool.name}}
        if tool.is_swap:
            required = own["required"] if tool.name == DEFAULT_TOOL else [*own["required"], "tool"]
            result[_title("SwapRequest", tool)] = _object(tool, {**common, **named, **own["properties"]}, required)
        result[_title("JobRequest", tool)] = _object(tool, {**common, **named, "input": own}, ["tool", "input"])
    for title, schema in result.items():
        schema["title"] = title
    return {**result, "JobRequest": {"anyOf": [{"$ref": f"{_REF}{title}"} for title in result], "title": "JobRequest"}}


def _title(kind: str, tool: Tool) -> str:
    return kind + "".join(part[:1].upper() + part[1:] for part in re.split("[^A-Za-z0-9]+", tool.name))


def _object(tool: Tool, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": f"{tool.title}. {tool.description}",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _input_schema(tool: Tool) -> dict[str, Any]:
    """Return the schema of what a tool takes."""
    schema = tool.input.model_json_schema(by_alias=False)
    schema["properties"] = {name: _plain(value) for name, value in schema["properties"].items()}
    schema.pop("$defs", None)
    return {**schema, "additionalProperties": tool.input.passes_unknown}


def _plain(schema: Any) -> Any:
    """Return a schema that says of URLs, and of JSON, what a reader without our models can go by."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "uri":
        return {**{name: schema[name] for name in ("title", "description") if name in schema}, **PLAIN_URL}
    if "$ref" in schema:
        return {}
    return {name: _plain(value) for name, value in schema.items()}


def _operation_request() -> dict[str, Any]:
    """Return the schema of an operation: which filters go together depends on what is to be done."""
    whole = OperationRequest.model_json_schema(ref_template=_REF + "{model}")["properties"]
    base = {name: whole[name] for name in ("tenant", "dry_run")}
    base |= dict.fromkeys(("created_after", "created_before"), PLAIN_TIME)
    of_batch = {"tenant": {"type": "string", **_NAME}, "batch_id": {"type": "string", **_NAME}}
    variants = []
    for kind, states in POSSIBLE.items():
        by_state = {**base, "kind": {"const": kind}, "state": {"enum": sorted(states)}}
        variants.append(by_state)
        variants.append({**by_state, **of_batch})
        if JobState.FAILED in states:
            codes = {name: schema for name, schema in by_state.items() if name != "state"}
            variants.append({**codes, "error_code": {"enum": sorted(ErrorCode)}})
    kinds = [
        {"type": "object", "properties": own, "required": ["kind"], "additionalProperties": False} for own in variants
    ]
    return {"title": "OperationRequest", "anyOf": kinds, "description": (OperationRequest.__doc__ or "").strip()}
