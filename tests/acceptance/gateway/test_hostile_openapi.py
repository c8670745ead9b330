"""What the OpenAPI document says and what the gateway does are the same, also where the document is disregarded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.processes import ACME_KEY
from support.raw_http import Target, target
from swapjobs.gateway.app import make_app
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("openapi")) as made:
        yield made


# Made here, and not asked of the gateway, so that each operation is a test of its own; a test below compares the two.
document = make_app(GatewaySettings()).openapi()
# Of the kinds of requests those that differ in kind: all 18 together would take a minute to generate. That every tool's
# input is taken is tested in acceptance/tools.
FEW: Final = ("SwapRequestRoop", "SwapRequestFaceFusion", "JobRequestPromptsExpand")


@pytest.fixture(scope="module")
def schema() -> Any:
    from support.openapi_cases import schema_of  # noqa: PLC0415 - each process of a run collects this file, few run it

    asked_of = copy.deepcopy(document)
    asked_of["components"]["schemas"]["JobRequest"]["anyOf"] = [
        {"$ref": f"#/components/schemas/{name}"} for name in FEW
    ]
    return schema_of(asked_of)


# Not `schema.parametrize`: it makes all cases as the tests are collected, which each process of a run does.
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path, methods in document["paths"].items() for method in methods]
)
def test_every_operation_answers_as_it_says(method: str, path: str, schema: Any, gateway: Target) -> None:
    from support.openapi_cases import check_operation  # noqa: PLC0415 - as above

    gateway.redis.flushdb()  # of what other operations submitted: the events of a job that nobody works on have no end
    assert check_operation(schema, method, path, port=gateway.port, key=ACME_KEY)


def test_this_is_the_document_that_the_gateway_gives(gateway: Target) -> None:
    assert gateway.http.get("/openapi.json").json() == document


def test_after_all_that_it_is_well(gateway: Target) -> None:
    gateway.check()
