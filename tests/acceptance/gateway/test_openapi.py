"""The gateway's OpenAPI document: each example request is sent, each example answer is checked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from support.builders import make_request
from swapjobs.gateway.app import make_app
from swapjobs.gateway.openapi import ALL_STATUSES
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import GatewayProcess

Operation = tuple[str, str, dict[str, Any]]
OURS = ("/v1/jobs", "/healthz", "/readyz", "/metrics")


@pytest.fixture
def gateway(common_gateway: GatewayProcess) -> GatewayProcess:
    return common_gateway


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_app(GatewaySettings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def assert_fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(value)


def examples_in(content: dict[str, Any]) -> list[Any]:
    return [item["value"] for item in content.get("examples", {}).values()] + (
        [content["example"]] if "example" in content else []
    )


def test_every_example_answer_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                for example in examples_in(content) if "schema" in content else ():
                    assert_fits(document, content["schema"], example)
                    checked += 1
                    if kind == "application/problem+json":
                        assert str(example["status"]) == status
    assert checked > 30


def test_every_example_request_is_answered_as_documented(gateway: GatewayProcess, document: dict[str, Any]) -> None:
    sent = 0
    for method, path, operation in operations(document):
        if "requestBody" not in operation or not path.startswith(OURS):
            continue
        for kind, content in operation["requestBody"]["content"].items():
            for example in examples_in(content):
                assert_fits(document, content["schema"], example)
                answer = gateway.http.request(method, path, content=json.dumps(example), headers={"Content-Type": kind})
                assert answer.status_code < 300, answer.text
                answered = operation["responses"][str(answer.status_code)]["content"]["application/json"]
                assert_fits(document, answered["schema"], answer.json())
                sent += 1
    assert sent >= 4


def test_every_route_answers_as_documented_for_a_job(gateway: GatewayProcess, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if not path.startswith("/v1/jobs/"):
            continue
        body = make_request().model_dump(mode="json", exclude_unset=True)
        id_ = gateway.http.post("/v1/jobs", json=body).json()["id"]
        gateway.http.post(f"/v1/jobs/{id_}/cancel").raise_for_status()  # else an event stream would not end
        for value in (id_, "nosuchjob"):
            answer = gateway.http.request(method, path.format(job_id=value))
            documented = operation["responses"][str(answer.status_code)]
            assert (answer.status_code == 404) is (value == "nosuchjob")
            if answer.status_code == 204:
                assert ("content" in documented, answer.content) == (False, b"")
                continue
            kind = answer.headers["content-type"].partition(";")[0]
            answered = documented["content"][kind]
            if kind.endswith("json"):
                assert_fits(document, answered["schema"], answer.json())


def test_every_code_that_an_example_shows_has_that_status(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            for example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}):
                assert ALL_STATUSES[example] == int(status)


def test_the_page_fetches_nothing_from_elsewhere(gateway: GatewayProcess) -> None:
    page = gateway.http.get("/docs", headers={"Authorization": ""})
    assert page.status_code == 200
    match = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(match) == 3
    for name in match:
        file = gateway.http.get(f"/{name}")
        assert (file.status_code, len(file.content) > 100) == (200, True), name
    assert not re.search(r"https?://", page.text)
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"].partition("style-src")[0]
    assert gateway.http.get("/docs/..%2f__init__.py").status_code == 404
