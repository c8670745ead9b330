"""What `SwapClient` has and a client of the gateway has not: told with the way there is, and not as a slip."""

from __future__ import annotations

from typing import Final

from swapjobs.contract.errors import RedisNeeded

_AT_REDIS: Final = "use SwapClient(CoreSettings(redis_url='redis://...')) where Redis is reached"
_WAYS: Final = {
    "operator": f"{_AT_REDIS}; over HTTP a key with the scope operate does it at /v1/dispatch, /v1/rate/forget,"
    " /v1/tenants and /v1/audit",
    "settings": "the gateway has its own; what this client was given stands in from_gateway",
    "accept_each": "submit_many accepts many jobs on both ways",
    "from_gateway": "it is called on the class, SwapClient.from_gateway(url, key); this is what it returns",
    "operations.follow": "operations.get tells how far it is; the workers go on by themselves",
    "webhooks.replay_some": "webhooks.replay_since does it on both ways",
}


def no_attribute(owner: object, name: str, group: str = "") -> AttributeError:
    """Return the error of a name that `owner` has not; `group` is where it stands in the client."""
    path = f"{group}.{name}" if group else name
    if path in _WAYS:
        return RedisNeeded(f"client.{path} is not there through the gateway: {_WAYS[path]}")
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}", name=name, obj=owner)
