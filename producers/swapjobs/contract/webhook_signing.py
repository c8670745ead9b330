"""Signatures of webhooks (Standard Webhooks 1.0), and the keys of registered endpoints, derived instead of stored.

A key is HKDF-SHA256 (RFC 5869) of the master secret's bytes; its `info` names the scheme, the version and the endpoint,
so that no key says anything about another. Deriving needs cryptography, a package of the extras [worker] and [gateway];
signing with `v1` needs standardwebhooks, one of [worker]. Both are imported when they are used.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from swapjobs.contract.errors import SettingsError

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import SecretStr

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - no secret yet
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
_KEY_BYTES: Final = 32  # of a shared secret (24 to 64 are allowed) and of an Ed25519 seed


class Signer(Protocol):
    """Makes one of the signatures that stand side by side in the `webhook-signature` header."""

    def sign(self, message_id: str, at: datetime, body: str) -> str:
        """Return the signature of `body`, sent as `message_id` at the (aware) time `at`, with its scheme: `v1,...`."""


class SharedSecretSigner:
    """Scheme `v1`: HMAC-SHA256 with a secret (`whsec_...`) that the receiver has too."""

    def __init__(self, secret: str) -> None:
        try:
            from standardwebhooks import Webhook  # noqa: PLC0415 - a package of the worker's extra
        except ImportError:
            raise _missing("standardwebhooks", "worker") from None
        self._webhook = Webhook(secret)

    def sign(self, message_id: str, at: datetime, body: str) -> str:
        """See `Signer`."""
        # the library relabels a time zone instead of converting it
        return str(self._webhook.sign(message_id, at.astimezone(UTC), body))


class PrivateKeySigner:
    """Scheme `v1a`: Ed25519 with a private key (`whsk_...`); the receiver has the public one, which signs nothing."""

    def __init__(self, private_key: str) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - a package of extras
        except ImportError:
            raise _missing("cryptography", "worker") from None
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(key_bytes(private_key, PRIVATE_PREFIX))

    def sign(self, message_id: str, at: datetime, body: str) -> str:
        """See `Signer`."""
        signature = self._key.sign(f"{message_id}.{int(at.timestamp())}.{body}".encode())
        return f"v1a,{base64.b64encode(signature).decode('ascii')}"


class KeyPair(NamedTuple):
    """An Ed25519 key pair as Standard Webhooks 1.0 writes it: prefix and base64 of 32 bytes."""

    private: str
    public: str


def endpoint_secret(master: SecretStr, endpoint_id: str, version: int) -> str:
    """Return the shared secret (`whsec_...`) of an endpoint: always the same for the same arguments.

    Raises:
        SettingsError: cryptography is not installed.
    """
    return _written(SECRET_PREFIX, _derived(master, "v1", endpoint_id, version))


def endpoint_keys(master: SecretStr, endpoint_id: str, version: int) -> KeyPair:
    """Return the Ed25519 keys (`whsk_...`, `whpk_...`) of an endpoint: always the same for the same arguments.

    The private one is the seed of RFC 8032, as the reference libraries take it.

    Raises:
        SettingsError: cryptography is not installed.
    """
    seed = _derived(master, "v1a", endpoint_id, version)
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - `_derived` has found it

    public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return KeyPair(_written(PRIVATE_PREFIX, seed), _written(PUBLIC_PREFIX, public))


def endpoint_signers(master: SecretStr, endpoint_id: str, version: int) -> tuple[Signer, Signer]:
    """Return what signs for an endpoint with one version of its secret: `v1` and `v1a`.

    Raises:
        SettingsError: standardwebhooks or cryptography is not installed.
    """
    private_key = endpoint_keys(master, endpoint_id, version).private
    return SharedSecretSigner(endpoint_secret(master, endpoint_id, version)), PrivateKeySigner(private_key)


def key_bytes(written: str, prefix: str) -> bytes:
    """Return the bytes of a key that begins with `prefix`.

    Raises:
        ValueError: it is not that; the text does not repeat it.
    """
    problem = f"not a key: it must be {prefix} and base64"
    if not written.startswith(prefix):
        raise ValueError(problem)
    try:
        return base64.b64decode(written.removeprefix(prefix), validate=True)
    except binascii.Error:
        raise ValueError(problem) from None


def _derived(master: SecretStr, scheme: str, endpoint_id: str, version: int) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - a package of extras
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
    except ImportError:
        raise _missing("cryptography", "gateway") from None
    info = f"swapjobs webhook endpoint {scheme} {version} {endpoint_id}"  # the id last: only it may hold a space
    derive = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info.encode())
    return derive.derive(key_bytes(master.get_secret_value(), SECRET_PREFIX))


def _written(prefix: str, key: bytes) -> str:
    return prefix + base64.b64encode(key).decode("ascii")


def _missing(package: str, extra: str) -> SettingsError:
    return SettingsError(f"webhook signatures need the package {package}: pip install 'swapjobs[{extra}]'")
