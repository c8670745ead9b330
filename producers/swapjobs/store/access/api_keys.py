"""Keys of the HTTP gateway: who may ask, and for which tenant. Only their digests are kept.

A key is `sj_<key id>_<secret>`. The id is shown in lists and logs; the secret is 256 random bits, told once.
What is kept is the SHA-256 of the whole key. A slow password hash would gain nothing: it makes guesses dear where
people choose from few words, and nobody can guess at 2^256 keys, while every request would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from swapjobs.contract.errors import InvalidRequest, JobNotFound
from swapjobs.contract.frozen import DEFERRED, FrozenModel
from swapjobs.contract.job import Name, checked, explain
from swapjobs.contract.scope import ALL_TENANTS, OF_ALL_TENANTS, SCOPES, TENANT_SCOPES, Scope
from swapjobs.contract.wrong_values import must_be_one_of
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

_FORM: Final = re.compile(r"sj_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")
_ID_BYTES: Final = 6
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name, config=DEFERRED)
# A key that leaked is to be revoked also while Redis is full, which refuses HSET itself.
_SET: Final = "#!lua flags=allow-oom\nreturn redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])"


class KeyNotFound(JobNotFound):
    """No key has this id."""

    code = "key_not_found"


class ApiKey(FrozenModel):
    """A key as lists show it. Times are UTC."""

    id: str
    tenant: Name | Literal["*"] = Field(description="whose; `*`: nobody's alone, for who looks after all tenants")
    name: str = Field(default="", max_length=100)
    scopes: tuple[Scope, ...] = Field(default=TENANT_SCOPES, min_length=1)
    created_at: datetime
    revoked_at: datetime | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tenant == ALL_TENANTS and not OF_ALL_TENANTS.issuperset(self.scopes):
            raise ValueError("scopes: a key for all tenants may read, metrics, operate; jobs are one tenant's")
        return self


class NewApiKey(ApiKey):
    """A key that was just made, with what its user sends as `Authorization: Bearer <key>`: told this once."""

    key: str = Field(repr=False)


class ApiKeys:
    """The keys in Redis. A revoked one stays in the list: while there is any, no request is served without a key."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def create(self, tenant: str = "default", *, name: str = "", scopes: Sequence[str] = TENANT_SCOPES) -> NewApiKey:
        """Make a key for one tenant, or for `ALL_TENANTS`, with which these scopes may be used.

        Raises:
            InvalidRequest: the tenant's name or a scope is not valid, or `name` is longer than 100 characters.
        """
        id_ = secrets.token_hex(_ID_BYTES)
        key = f"sj_{id_}_{secrets.token_urlsafe(32)}"
        checked(_NAME, "tenant", tenant if tenant != ALL_TENANTS else "default")
        for scope in scopes:
            if scope not in SCOPES:
                raise InvalidRequest(f"scopes: {must_be_one_of(scope, SCOPES)}", field="scopes")
        try:
            made = ApiKey.model_validate(
                {
                    "id": id_,
                    "tenant": tenant,
                    "name": name,
                    "scopes": tuple(dict.fromkeys(scopes)),
                    "created_at": datetime.now(UTC),
                }
            )
        except ValidationError as error:
            raise InvalidRequest(explain(error)) from None
        self._redis.hset(keys.gateway_keys(), id_, _packed(made, digest(key)))
        return NewApiKey(**made.model_dump(), key=key)

    def list(self) -> list[ApiKey]:
        """Return all keys, oldest first, revoked ones too."""
        stored = cast("dict[str, str]", self._redis.hgetall(keys.gateway_keys()))
        return sorted((_unpacked(text)[0] for text in stored.values()), key=lambda key: (key.created_at, key.id))

    def revoke(self, id_: str) -> ApiKey:
        """Make a key useless, at all gateways within 5 s; one that was revoked before stays as it is.

        Raises:
            KeyNotFound: there is no such key.
        """
        text = self._redis.hget(keys.gateway_keys(), id_)
        if text is None:
            raise KeyNotFound(f"no key has the id {id_!a}; swapjobs keys list shows all")
        key, kept_digest = _unpacked(cast("str", text))
        if key.revoked_at is None:
            key = key.model_copy(update={"revoked_at": datetime.now(UTC)})
            self._redis.eval(_SET, 1, keys.gateway_keys(), id_, _packed(key, kept_digest))
        return key

    def any(self) -> bool:
        """Whether a key was ever made here."""
        return bool(self._redis.exists(keys.gateway_keys()))

    def find(self, key: str) -> ApiKey | None:
        """Return what is known of a key that somebody sent; None when it is unknown, wrong or revoked."""
        id_ = id_of(key)
        return self.find_by_digest(id_, digest(key)) if id_ else None

    def find_by_digest(self, id_: str, sent: str) -> ApiKey | None:
        """Return the same of a key of which only the id and the digest are known."""
        text = self._redis.hget(keys.gateway_keys(), id_)
        if text is None:
            return None
        stored, stored_digest = _unpacked(cast("str", text))
        is_right = hmac.compare_digest(stored_digest, sent)
        return stored if is_right and stored.revoked_at is None else None


def id_of(key: str) -> str | None:
    """Return the id within a key; None where it is not one of ours."""
    match = _FORM.fullmatch(key)
    return match[1] if match else None


def digest(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _packed(key: ApiKey, key_digest: str) -> str:
    return json.dumps({**key.model_dump(mode="json", exclude_defaults=True), "sha256": key_digest})


def _unpacked(text: str) -> tuple[ApiKey, str]:
    fields: dict[str, Any] = json.loads(text)
    key_digest = fields.pop("sha256")
    return ApiKey.model_validate(fields), key_digest
