"""What the tests of `acceptance/both_clients` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from factories import claim, make_request
from swapjobs import record
from swapjobs.lifecycle import Event

if TYPE_CHECKING:
    from swapjobs.store import JobStore

TENANT: Final = "default"
KEY: Final = "the-key-of-the-conformance-tests"
NO_FACE: Final = record.entry("error", code="no_face", message="no face found")
MASTER: Final = "whsec_" + "bWFzdGVyIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGIh"


def fail(store: JobStore, id_: str, entry: str = NO_FACE) -> None:
    """Let the job fail, as the vendor's status 2 does."""
    assert store.apply(claim(store, id_), Event.FAIL, patch={"step": "send"}, entry=entry) == "ok"


def one(**fields: Any) -> dict[str, Any]:
    """Return a request as the mapping that submit_many takes."""
    return make_request(**fields).model_dump(exclude_unset=True)
