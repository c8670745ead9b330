"""Verify a webhook by its `v1a` signature (Ed25519): the receiver keeps no secret, only the endpoint's public key.

pip install cryptography
The library standardwebhooks verifies `v1` only; `verify` stands where the other examples call `webhook.verify`.
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE_S = 300  # an old request may be somebody's recording


def verify(public_key: str, headers: Mapping[str, str], body: bytes) -> None:
    """Check a request against `public_key` (`whpk_...`); `body` as it was sent, names of `headers` in lower case.

    Raises:
        ValueError: it is not from us, was changed on its way, or is too old.
    """
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    id_, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id_ or not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        raise ValueError("no id, or no timestamp of the last five minutes")
    signed = f"{id_}.{timestamp}.".encode() + body
    for item in headers.get("webhook-signature", "").split(" "):  # several while a secret is being rotated
        scheme, _, signature = item.partition(",")
        if scheme == "v1a":
            try:
                key.verify(base64.b64decode(signature), signed)
            except (InvalidSignature, ValueError):  # ValueError: not base64
                continue
            return
    raise ValueError("no signature of this key")
