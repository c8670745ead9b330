"""What a key of the gateway allows."""

from __future__ import annotations

from typing import Final, Literal, get_args

Scope = Literal["submit", "read", "act", "metrics", "operate"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
# Of a key that says nothing else: all that a tenant does with its own jobs.
TENANT_SCOPES: Final[tuple[Scope, ...]] = ("submit", "read", "act")
# A key that is no single tenant's, for whoever looks after all of them: with these scopes and no other.
ALL_TENANTS: Final = "*"
OF_ALL_TENANTS: Final[frozenset[Scope]] = frozenset({"read", "metrics", "operate"})
MEANINGS: Final[dict[Scope, str]] = {
    "submit": "submit jobs and open batches",
    "read": "see jobs, batches, webhooks",
    "act": "cancel, retry, pause batches, change webhooks",
    "metrics": "read the whole fleet's /metrics",
    "operate": "pause and resume dispatch, limit tenants, forget the rate, and see them: for all tenants",
}
