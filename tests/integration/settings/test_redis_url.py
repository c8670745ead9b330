"""SWAPJOBS_REDIS_URL: what a Sentinel URL says, how the master is found, and what is told when it is not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from pydantic import ValidationError
from redis.sentinel import MasterNotFoundError

from support.builders import make_request, wait_until
from swapjobs import QueueUnavailable, SwapClient
from swapjobs.settings import CoreSettings
from swapjobs.settings.redis_url import SentinelPlace, address_of, sentinel_place
from swapjobs.store.redis_client import _Sentinels, redis_client
from swapsandbox.processes.redis_sentinel import SERVICE, SentinelRedis
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapworker.celery_adapter.broker import broker_options, broker_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO = (("s1", 26379), ("s2", 26380))

RIGHT = [
    ("redis+sentinel://s1/swaps", SentinelPlace((("s1", 26379),), "swaps")),
    ("redis+sentinel://s1,s2:26380/swaps/3", SentinelPlace(TWO, "swaps", 3)),
    ("redis+sentinel://:p%40%2F%2C@s1,s2:26380/my.swaps", SentinelPlace(TWO, "my.swaps", password="p@/,")),
    ("redis+sentinel://u:p@q@s1,s2:26380/swaps", SentinelPlace(TWO, "swaps", username="u", password="p@q")),
    ("redis+sentinel://[::1]:1,[fe80::2]/swaps", SentinelPlace((("::1", 1), ("fe80::2", 26379)), "swaps")),
    (
        "redis+sentinel://10.0.0.1:5/swaps?sentinel_username=watch&sentinel_password=a+b%26c",
        SentinelPlace((("10.0.0.1", 5),), "swaps", sentinel_username="watch", sentinel_password="a+b&c"),
    ),
]

ADDRESSES = [
    ("redis://:hush@h", "h:6379"),
    ("rediss://u:hush@h:1/2?x=1", "h:1"),
    ("redis://", "localhost:6379"),
    ("redis://:hush@[::1]/0", "[::1]:6379"),
    ("redis://[::1]:7", "[::1]:7"),
    ("redis+sentinel://:hush@s1,s2:1/swaps?sentinel_password=hush", "s1:26379,s2:1"),
]

WRONG = [
    ("redis+sentinel://", "service's name is missing"),
    ("redis+sentinel://s1:1,s2:2", "service's name is missing"),
    ("redis+sentinel://s1:1/swa ps", "service's name is missing"),
    ("redis+sentinel://s1:1/swaps/first", "is not a number"),
    ("redis+sentinel://s1:1/swaps/0/hush", "is not a number"),
    ("redis+sentinel:///swaps", "each sentinel is host:port"),
    ("redis+sentinel://s1:1,,s2:2/swaps", "each sentinel is host:port"),
    ("redis+sentinel://s1:1;s2:2/swaps", "each sentinel is host:port"),
    ("redis+sentinel://s1:port/swaps", "each sentinel is host:port"),
    ("redis+sentinel://::1/swaps", "each sentinel is host:port"),
    ("redis+sentinel://s1:70000/swaps", "between 1 and 65535"),
    ("redis+sentinel://[::1::2]:1/swaps", "no IPv6 address"),
    ("redis+sentinel://hush@s1:1/swaps", "a colon is missing"),
    ("redis+sentinel://:hu/hush@s1:1/swaps", "service's name is missing"),
    ("redis+sentinel://:hu/hush", "each sentinel is host:port"),
    ("redis+sentinel://:hu?hush@s1:1/swaps", "service's name is missing"),
    ("redis+sentinel://s1:1/swaps?sentinel_pasword=hush", "only sentinel_password and sentinel_username may stand"),
    ("rediss+sentinel://:hush@s1:1/swaps", "TLS is not supported"),
    ("sentinel://:hush@s1:1/0", "must begin with redis://, rediss:// or redis+sentinel://"),
]


@pytest.mark.parametrize(("url", "address"), ADDRESSES)
def test_a_message_names_the_address_and_never_the_password(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(("url", "place"), RIGHT)
def test_a_sentinel_url_says_where_the_sentinels_are_and_whom_to_ask_for(url: str, place: SentinelPlace) -> None:
    assert sentinel_place(url) == place
    assert CoreSettings(redis_url=url).redis_url == url


@pytest.mark.parametrize(("url", "output"), WRONG)
def test_a_wrong_url_is_told_in_one_line_that_quotes_nothing_of_it(url: str, output: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CoreSettings(redis_url=url)
    (problem,) = refused.value.errors(include_input=False)
    assert output in problem["msg"]
    assert "hush" not in problem["msg"]
    assert "\n" not in problem["msg"]


def test_a_url_in_the_place_of_settings_is_told() -> None:
    wrong: Any = "redis://127.0.0.1:6379/0"
    with pytest.raises(TypeError, match=r"SwapClient\(CoreSettings\(redis_url="):
        SwapClient(wrong)


@pytest.mark.parametrize("url", ["redis://h/0", "rediss://:p@h:1/0"])
def test_a_plain_url_is_no_sentinel_url_and_goes_to_celery_as_it_is(url: str) -> None:
    assert sentinel_place(url) is None
    assert (broker_url(url), broker_options(url)) == (url, {})


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.integers(0, 9999))
def test_any_password_comes_through_to_redis_and_to_celery_and_is_never_shown(
    user: str, password: str, watch: str, database: int
) -> None:
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    url = f"redis+sentinel://{account}@s1,[::2]:5/swaps/{database}?sentinel_password={quote(watch, safe='')}"
    options = broker_options(url)
    place = sentinel_place(url)
    assert place == SentinelPlace(
        (("s1", 26379), ("::2", 5)), "swaps", database, user, password, sentinel_password=watch
    )
    assert repr(place) == repr(SentinelPlace(place.sentinels, "swaps", database, user))
    for one in broker_url(url).split(";"):
        kombu = Connection(one)
        assert (kombu.userid, kombu.password, kombu.virtual_host) == (user, password, str(database))
        assert (kombu.hostname, kombu.port) in place.sentinels
    assert options["master_name"] == "swaps"
    assert options["sentinel_kwargs"]["credential_provider"].get_credentials() == (watch,)
    assert repr(options) == repr(broker_options("redis+sentinel://s1/swaps?sentinel_password=another"))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelRedis]:
    """A master that one sentinel watches: enough to be found, not to be replaced."""
    with SentinelRedis(tmp_path_factory.mktemp("watched"), replicas=0, sentinels=1) as servers:
        yield servers


def refusal(url: str) -> str:
    with SwapClient(CoreSettings(redis_url=url)) as client, pytest.raises(QueueUnavailable) as refused:
        client.submit(make_request())
    return str(refused.value)


def test_the_master_is_found_also_when_the_first_sentinel_is_gone(watched: SentinelRedis) -> None:
    url = watched.url.replace("://", f"://127.0.0.1:{free_port()},")
    with SwapClient(CoreSettings(redis_url=url)) as client:
        job = client.submit(make_request())
        assert client.get(job.id).id == job.id
        (server,) = watched.servers
        assert client._store.redis.info("server")["tcp_port"] == server.port  # noqa: SLF001 - to see where it went


def test_what_is_wrong_is_told(watched: SentinelRedis) -> None:
    dead = f"127.0.0.1:{free_port()}"
    result = (
        f"Redis cannot be reached: no sentinel can say where the master of 'swaps' is: Error 111 connecting to {dead}"
    )
    assert refusal(f"redis+sentinel://{dead}/swaps").startswith(result)
    result = "Redis cannot be reached: the sentinels watch no service 'other', but swaps"
    assert refusal(watched.url.replace("/swaps", "/other")) == result
    (server,) = watched.servers
    result = "no sentinel can say where the master of 'swaps' is: unknown command 'SENTINEL'"
    assert result in refusal(f"redis+sentinel://127.0.0.1:{server.port}/swaps")
    assert "invalid username-password pair" in refusal(watched.url.replace("://", "://nobody:hush@"))


def test_a_master_that_is_silent_is_told_as_down(watched: SentinelRedis) -> None:
    (server,) = watched.servers
    server.stop()
    try:
        url = watched.url
        wait_until(lambda: "is down, and the sentinels have not elected a new one yet" in refusal(url))
    finally:
        server.start()
    with redis_client(url, patience_s=5) as client:
        wait_until(lambda: answers(client), what="the sentinel sees it again")


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("durability", ["memory", "fsync"])
def test_a_master_that_became_a_replica_is_a_lost_connection(tmp_path: Path, durability: Any) -> None:
    """Whoever keeps a result in hand while Redis is away keeps it then too; the next try connects anew."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        settings = CoreSettings(redis_url=server.url, submit_durability=durability)
        with SwapClient(settings) as client, redis.Redis(port=server.port) as admin:
            client.submit(make_request())
            connections = client._store.redis.connection_pool  # noqa: SLF001 - to see that it is another one then
            admin.replicaof("127.0.0.1", str(free_port()))
            with pytest.raises(QueueUnavailable, match="Redis cannot be reached: this server is not the master now"):
                client.submit(make_request())
            assert [connection._sock for connection in connections._available_connections] == [None]  # noqa: SLF001
            admin.replicaof("NO", "ONE")
            client.submit(make_request())


def test_a_master_that_its_replicas_have_left_is_a_lost_connection(watched: SentinelRedis) -> None:
    """With `min-replicas-to-write` it says so, and the sentinels may know another one by then."""
    (server,) = watched.servers
    for url in (server.url, watched.url):
        with redis_client(url, patience_s=5) as client, redis.Redis(port=server.port) as admin:
            client.set("x", 1)
            admin.config_set("min-replicas-to-write", 1)
            try:
                with pytest.raises(redis.ConnectionError, match="this server is not the master now: NOREPLICAS"):
                    client.set("x", 1)
            finally:
                admin.config_set("min-replicas-to-write", 0)
            client.set("x", 1)
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                client.lpush("x", 1)


def test_a_replica_behind_sentinel_too(watched: SentinelRedis) -> None:
    (server,) = watched.servers
    with redis_client(watched.url, patience_s=5) as client, redis.Redis(port=server.port) as admin:
        client.set("x", 1)
        admin.replicaof("127.0.0.1", str(free_port()))
        try:
            with pytest.raises(redis.ConnectionError):
                client.set("x", 1)
        finally:
            admin.replicaof("NO", "ONE")


class Node:
    """What a sentinel answers, at the moment when all who ask have asked."""

    def __init__(self, *, knows: bool, together: threading.Barrier) -> None:
        self.knows = knows
        self._together = together

    def sentinel_masters(self) -> dict[str, Any]:
        self._together.wait(5)
        state = {"is_master": True, "is_sdown": not self.knows, "is_odown": False, "ip": "10.0.0.9", "port": 6379}
        return {SERVICE: state}


def test_threads_that_ask_at_once_forget_no_sentinel() -> None:
    """redis-py's own swap of two list entries, done by two threads at once, writes one of them twice."""
    place = sentinel_place("redis+sentinel://s1,s2,s3/swaps")
    assert place is not None
    together = threading.Barrier(2)
    nodes: list[Any] = [Node(knows=knows, together=together) for knows in (False, True, True)]
    sentinels = _Sentinels(place)
    sentinels.sentinels = nodes
    result: list[tuple[str, int]] = []
    threads = [threading.Thread(target=lambda: result.append(sentinels.discover_master(SERVICE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert result == [("10.0.0.9", 6379)] * 2
    assert sentinels.sentinels == [nodes[1], nodes[0], nodes[2]]


def test_without_a_master_the_order_stays(watched: SentinelRedis) -> None:
    place = sentinel_place(watched.url)
    assert place is not None
    sentinels = _Sentinels(place)
    nodes = list(sentinels.sentinels)
    with pytest.raises(MasterNotFoundError):
        sentinels.discover_master("other")
    assert sentinels.sentinels == nodes
    sentinels.close()
