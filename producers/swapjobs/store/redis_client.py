"""The Redis client: of one server, or of the master that Sentinel names each time a connection is made."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio.sentinel
from redis.credentials import UsernamePasswordCredentialProvider
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SentinelManagedConnection

from swapjobs.contract.errors import QueueFull, QueueUnavailable
from swapjobs.settings.redis_url import sentinel_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swapjobs.settings.redis_url import SentinelPlace

# What callers catch: no other package needs to know redis-py.
RedisError: Final = redis.RedisError
OutOfMemoryError: Final = redis.exceptions.OutOfMemoryError
# Down, starting, a replica now, or full.
REDIS_AWAY: Final = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
)
# A sentinel does nothing but answer, so it answers at once or is not there; then the next one is asked.
_ANSWER_S: Final = 1.0
# To the first command of RESP3, and to any other.
_WANTS_PASSWORD: Final = re.compile(r"^HELLO must be called|^NOAUTH|^Authentication required")


def redis_client(url: str, *, patience_s: float, on_connect: Callable[[Any], None] | None = None) -> redis.Redis:
    """Return a thread-safe client; it connects at the first command, which may take `patience_s`.

    `on_connect` is called with every new connection, to make it ready for use (at least by its own `on_connect`).

    Nothing is tried again. A command raises redis.ConnectionError not only when Redis is down, but also while Sentinel
    knows no master, and where the master has become a replica; the next command connects anew.
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": 5,
        "socket_timeout": patience_s,
        "max_connections": 1200,
        "redis_connect_func": on_connect,
    }
    place = sentinel_place(url)
    if place is None:
        options["connection_class"] = _TlsConnection if url.startswith("rediss://") else _Connection
        return redis.Redis.from_url(url, **options)
    options |= {"db": place.database, "username": place.username, "password": place.password}
    options["connection_class"] = _SentinelConnection
    pool = _Pool(place.service, _Sentinels(place), **options)  # type: ignore[no-untyped-call]  # as below
    return redis.Redis.from_pool(pool)


def async_connections(url: str) -> redis.asyncio.ConnectionPool:
    """Return what makes connections for an event loop, to the same server or master as `redis_client`."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "protocol": 2,  # answers of RESP3 come as push messages, for which redis-py has handlers of its own
        "socket_connect_timeout": 5,
        "socket_timeout": 5,
        "retry": None,
    }
    place = sentinel_place(url)
    if place is None:
        return redis.asyncio.ConnectionPool.from_url(url, **options)
    sentinel = redis.asyncio.sentinel.Sentinel(place.sentinels, sentinel_kwargs=sentinel_options(place))  # type: ignore[no-untyped-call]  # redis-py's class is untyped
    options |= {"db": place.database, "username": place.username, "password": place.password}
    return redis.asyncio.sentinel.SentinelConnectionPool(place.service, sentinel, **options)  # type: ignore[no-untyped-call]  # as above


def time_ms(client: redis.Redis) -> int:
    """Return the time of Redis' clock, by which all times in the records go."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def sentinel_options(place: SentinelPlace) -> dict[str, Any]:
    """Return redis-py's options for connections to the sentinels themselves."""
    # retry: redis-py's default, ten tries with growing pauses, would keep a caller waiting who could ask another one.
    options: dict[str, Any] = {"socket_connect_timeout": _ANSWER_S, "socket_timeout": _ANSWER_S, "retry": None}
    if place.sentinel_password:
        options["credential_provider"] = _RedactedCredentials(place.sentinel_username, place.sentinel_password)
    return options


def wants_password(error: BaseException) -> bool:
    """Say whether Redis wants a password, and got none."""
    return bool(_WANTS_PASSWORD.search(str(error)))


def in_our_words(error: BaseException, before: str) -> str:
    """Return `before` and what Redis said; where that speaks of commands of the protocol, only what it means."""
    return "Redis wants a password" if wants_password(error) else f"{before}{str(error) or type(error).__name__}"


@contextmanager
def queue_errors() -> Iterator[None]:
    """Turn Redis' errors into ours: no producer should need to know redis-py."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise QueueFull("Redis is at its memory limit: no new job can be accepted now; try again later") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise QueueUnavailable(in_our_words(error, "Redis cannot be reached: ")) from error
    except redis.RedisError as error:
        raise QueueUnavailable(in_our_words(error, "Redis refused: ")) from error


class _ReconnectOnDemotion:
    """Leaves a server that is no master any more: what it says is told as a lost connection, and the next one is new.

    So a managed Redis, which keeps its name at a failover, is found again too.
    """

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return the server's answer."""
        connection: Any = super()
        try:
            return connection.read_response(*args, **kwargs)
        except redis.ResponseError as error:
            # NOREPLICAS: its replicas have gone over to another master, and `min-replicas-to-write` makes it say so.
            if not (isinstance(error, redis.ReadOnlyError) or str(error).startswith("NOREPLICAS ")):
                raise
            connection.disconnect()
            raise redis.ConnectionError(f"this server is not the master now: {error}") from None


class _Connection(_ReconnectOnDemotion, redis.Connection):
    """To one server."""


class _TlsConnection(_ReconnectOnDemotion, redis.SSLConnection):
    """To one server, with TLS."""


class _SentinelConnection(_ReconnectOnDemotion, SentinelManagedConnection):
    """To the master that Sentinel names."""


class _RedactedCredentials(UsernamePasswordCredentialProvider):
    """Name and password, in no log and no dashboard: Celery's `inspect stats` sends a broker's options around."""

    def __repr__(self) -> str:
        return "'********'"

    def __json__(self) -> str:
        return "********"


class _Sentinels(Sentinel):
    """redis-py's, with answers that say what is wrong, and safe for threads.

    Its own `discover_master` swaps two entries of a list that all threads share; two threads that do so at once can
    write one sentinel twice and lose the other for good.
    """

    def __init__(self, place: SentinelPlace) -> None:
        super().__init__(place.sentinels, sentinel_kwargs=sentinel_options(place))  # type: ignore[no-untyped-call]  # redis-py's class is untyped

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the master; a sentinel that knew it is asked first from then on.

        Raises:
            MasterNotFoundError: none is known now; a redis.ConnectionError.
        """
        problem = ""
        nodes: list[Any] = self.sentinels
        for node in nodes:
            try:
                known = node.sentinel_masters()
            except redis.RedisError as error:
                problem = problem or f"no sentinel can say where the master of {service_name!r} is: {error}"
                continue
            state = known.get(service_name)
            if state is None:
                problem = f"the sentinels watch no service {service_name!r}, but {', '.join(sorted(known)) or 'none'}"
            elif not state["is_master"] or state["is_sdown"] or state["is_odown"]:
                problem = f"the master of {service_name!r} is down, and the sentinels have not elected a new one yet"
            else:
                self.sentinels = [node, *(other for other in nodes if other is not node)]
                return state["ip"], state["port"]
        raise MasterNotFoundError(problem)


class _Pool(SentinelConnectionPool):
    """redis-py's, which would leave the connections to the sentinels open."""

    def close(self) -> None:
        """Disconnect from the master and from the sentinels."""
        super().close()
        self.sentinel_manager.close()
