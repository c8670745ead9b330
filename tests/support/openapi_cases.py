"""Requests that fit an OpenAPI document, or just do not, by schemathesis, whose import takes a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation.coverage import DEFAULT_GENERATION_SESSION
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from swapjobs.contract.fetched_urls import MAX_URL_LENGTH
from swapjobs.gateway.parameters import PLAIN_URL

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES: Final = 8  # of each operation
# Refusals of what is right by itself, but not with what was sent before, or beside it.
BESIDES: Final = ("idempotency_conflict", "endpoints already", "differs from business_task_id")

# URLs as long as may be, which schemathesis would look for in vain, for 13 s of CPU: it draws any that fit the pattern
# until one has that length.
for length in (MAX_URL_LENGTH - 1, MAX_URL_LENGTH):
    url = "https://pictures.example/".ljust(length, "x")
    DEFAULT_GENERATION_SESSION.pattern_strategies[PLAIN_URL["pattern"], length, length, None] = st.just(url)


@schemathesis.serializer("application/x-ndjson", "application/jsonl", "text/csv")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    """Rows are generated as text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def schema_of(document: Mapping[str, Any]) -> Any:
    """Return what schemathesis makes of a document."""
    schema = schemathesis.openapi.from_dict(dict(document))
    schema.config.generation.allow_extra_parameters = False  # unknown parameters of a query are not looked at
    return schema


def check_operation(schema: Any, method: str, path: str, *, port: int, key: str) -> int:
    """Send the cases of one operation, check that each is answered as the document says, and return how many."""

    @settings(
        derandomize=True,
        deadline=None,
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_it_says(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=20)
        not_meant: list[Any] = []
        if (method, path) == ("post", "/v1/batches"):
            not_meant += [negative_data_rejection, positive_data_acceptance]  # rows are no matter of the document
        if (method, path) == ("get", "/v1/models"):
            not_meant += [not_a_server_error, positive_data_acceptance]  # nobody is here to ask the vendor: 502
        if any(reason in answer.text for reason in BESIDES):
            not_meant.append(positive_data_acceptance)
        case.validate_response(answer, excluded_checks=not_meant)
        asked.append(case)

    asked: list[object] = []
    config = HypothesisTestConfig(modes=list(HypothesisTestMode), project=schema.config)
    create_test(operation=schema[path][method], test_func=answers_as_it_says, config=config)()
    return len(asked)
