"""What the tests of `acceptance/both_clients` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from support.builders import claim, make_request
from swapjobs.contract.lifecycle import Event
from swapjobs.store import record

if TYPE_CHECKING:
    from swapjobs.store.store import Store

TENANT: Final = "default"
KEY: Final = "the-key-of-the-conformance-tests"
MASTER: Final = "whsec_" + "bWFzdGVyIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGIh"


def fail(store: Store, id_: str, code: str = "no_face") -> None:
    """Let the job fail, as the vendor's status 2 does."""
    entry = record.entry("error", code=code, message="no good")
    assert (
        store.attempts.record_outcome(
            claim(store, id_), Event.FAIL, patch={"next_call": "swap", "code": code}, entry=entry
        )
        == "ok"
    )


def one(**fields: Any) -> dict[str, Any]:
    """Return a request as the mapping that submit_many takes."""
    return make_request(**fields).model_dump(exclude_unset=True)
