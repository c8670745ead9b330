"""What the tests of `acceptance/both_clients` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from support.builders import claim, make_request
from swapjobs.contract.lifecycle import Event
from swapjobs.store import record

if TYPE_CHECKING:
    from swapjobs.store.jobs import JobStore

TENANT: Final = "default"
KEY: Final = "the-key-of-the-conformance-tests"
MASTER: Final = "whsec_" + "bWFzdGVyIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGIh"


def fail(store: JobStore, id_: str, code: str = "no_face") -> None:
    """Let the job fail, as the vendor's status 2 does."""
    entry = record.entry("error", code=code, message="no good")
    assert store.apply(claim(store, id_), Event.FAIL, patch={"step": "send", "code": code}, entry=entry) == "ok"


def one(**fields: Any) -> dict[str, Any]:
    """Return a request as the mapping that submit_many takes."""
    return make_request(**fields).model_dump(exclude_unset=True)
