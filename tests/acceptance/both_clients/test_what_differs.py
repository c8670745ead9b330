"""What a client at Redis has and one of the gateway has not: told as that, with the way there is."""

from __future__ import annotations

from typing import Any

import pytest

from support.both_clients import KEY
from swapjobs import CoreSettings, SwapClient
from swapjobs.contract.errors import RedisNeeded

GROUPS = ("batches", "operations", "webhooks")


def names(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_what_needs_redis_is_told_with_the_way_there_is(gateway_url: str, redis_url: str) -> None:
    with SwapClient(CoreSettings(redis_url=redis_url)) as there, SwapClient.from_gateway(gateway_url, KEY) as here:
        pairs: list[tuple[str, Any, Any]] = [("client", there, here)]
        pairs += [(f"client.{group}", getattr(there, group), getattr(here, group)) for group in GROUPS]
        missing = {(path, name): ours for path, theirs, ours in pairs for name in names(theirs) - names(ours)}
        assert missing.keys() == {
            ("client", "operator"),
            ("client", "settings"),
            ("client", "accept_each"),
            ("client", "from_gateway"),
            ("client.operations", "follow"),
            ("client.webhooks", "replay_some"),
        }
        for (path, name), ours in missing.items():
            with pytest.raises(RedisNeeded, match=rf"^{path}\.{name} is not there through the gateway: ") as caught:
                getattr(ours, name)
            assert caught.value.code == "redis_needed"
            assert not hasattr(ours, name)


def test_an_operator_is_sent_to_redis_or_to_the_routes_and_a_slip_is_one(gateway_url: str) -> None:
    with SwapClient.from_gateway(gateway_url, KEY) as client:
        with pytest.raises(RedisNeeded, match=r"SwapClient\(CoreSettings.*scope operate .* /v1/dispatch"):
            client.operator.pause()  # type: ignore[attr-defined]  # that is the point
        with pytest.raises(AttributeError, match="'GatewayClient' object has no attribute 'sumbit'") as slip:
            client.sumbit  # type: ignore[attr-defined]  # noqa: B018 - as above
        assert not isinstance(slip.value, RedisNeeded)
