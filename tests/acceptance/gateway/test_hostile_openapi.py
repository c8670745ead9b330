"""What the OpenAPI document says and what the gateway does are the same, also where the document is disregarded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation.coverage import DEFAULT_GENERATION_SESSION
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from support.processes import ACME_KEY
from support.raw_http import Target, target
from swapjobs.contract.fetched_urls import MAX_URL_LENGTH
from swapjobs.gateway.app import make_app
from swapjobs.gateway.parameters import PLAIN_URL
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@schemathesis.serializer("application/x-ndjson", "application/jsonl", "text/csv")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    """Rows are generated as text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


EXAMPLES: Final = 8  # of each operation
# Refusals of what is right by itself, but not with what was sent before, or beside it.
BESIDES: Final = ("idempotency_conflict", "endpoints already", "differs from business_task_id")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("openapi")) as made:
        yield made


# Made here, and not asked of the gateway, so that each operation is a test of its own; a test below compares the two.
document = make_app(GatewaySettings()).openapi()
# Of the kinds of requests those that differ in kind: all 18 together would take a minute to generate. That every tool's
# input is taken is tested in acceptance/tools.
FEW: Final = ("SwapRequestRoop", "SwapRequestFaceFusion", "JobRequestPromptsExpand")
asked_of = copy.deepcopy(document)
asked_of["components"]["schemas"]["JobRequest"]["anyOf"] = [{"$ref": f"#/components/schemas/{name}"} for name in FEW]
schema = schemathesis.openapi.from_dict(asked_of)
schema.config.generation.allow_extra_parameters = False  # unknown parameters of a query are not looked at

# URLs as long as may be, which schemathesis would look for in vain, for 13 s of CPU: it draws any that fit the pattern
# until one has that length.
for length in (MAX_URL_LENGTH - 1, MAX_URL_LENGTH):
    url = "https://pictures.example/".ljust(length, "x")
    DEFAULT_GENERATION_SESSION.pattern_strategies[PLAIN_URL["pattern"], length, length, None] = st.just(url)


# Not `schema.parametrize`: it makes all cases as the tests are collected, which each process of a run does.
@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path, methods in document["paths"].items() for method in methods]
)
def test_every_operation_answers_as_it_says(method: str, path: str, gateway: Target) -> None:
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_it_says(case: schemathesis.Case[Any]) -> None:
        answer = case.call(
            base_url=f"http://127.0.0.1:{gateway.port}", headers={"Authorization": f"Bearer {ACME_KEY}"}, timeout=20
        )
        not_meant: list[Any] = []
        if (method, path) == ("post", "/v1/batches"):
            not_meant += [negative_data_rejection, positive_data_acceptance]  # rows are no matter of the document
        if (method, path) == ("get", "/v1/models"):
            not_meant += [not_a_server_error, positive_data_acceptance]  # nobody is here to ask the vendor: 502
        if any(reason in answer.text for reason in BESIDES):
            not_meant.append(positive_data_acceptance)
        case.validate_response(answer, excluded_checks=not_meant)
        asked.append(case)

    gateway.redis.flushdb()  # of what other operations submitted: the events of a job that nobody works on have no end
    asked: list[object] = []
    config = HypothesisTestConfig(modes=list(HypothesisTestMode), project=schema.config)
    create_test(operation=schema[path][method], test_func=answers_as_it_says, config=config)()
    assert asked


def test_this_is_the_document_that_the_gateway_gives(gateway: Target) -> None:
    assert gateway.http.get("/openapi.json").json() == document


def test_after_all_that_it_is_well(gateway: Target) -> None:
    gateway.check()
