"""Who is at work: what is changed by hand is written down with it (`swapjobs audit`)."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Way = Literal["cli", "http", "console", "python", "celery"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who, and on which way: `user@host` of a program, the id of a gateway's key."""

    who: str
    via: Way


_actor: Final[ContextVar[Actor | None]] = ContextVar("swapjobs_actor", default=None)
_default_way: list[Way] = ["python"]


def current() -> Actor:
    """Return who is at work here and now: whom `acting_as` named, else the user of this program."""
    return _actor.get() or Actor(_user(), _default_way[0])


def act(actor: Actor) -> None:
    """Let this be who is at work, for as long as the surrounding context lasts: one request."""
    _actor.set(actor)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Let this be who is at work inside."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def come_by(way: Way) -> None:
    """Say on which way this whole program's user comes."""
    _default_way[0] = way


def _user() -> str:
    import getpass  # noqa: PLC0415 - few who are asked for their name: what is changed by hand
    import os  # noqa: PLC0415 - as above
    import socket  # noqa: PLC0415 - as above

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user often has no name
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
