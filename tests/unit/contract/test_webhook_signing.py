"""Signatures and derived keys: as Standard Webhooks 1.0 and RFC 5869 have them, checked with other people's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import SecretStr
from standardwebhooks import Webhook

from swapjobs.contract.webhook_signing import (
    PrivateKeySigner,
    SharedSecretSigner,
    endpoint_keys,
    endpoint_secret,
    endpoint_signers,
    key_bytes,
)
from swapjobs.settings.core import check_secret

MASTER = SecretStr("whsec_" + base64.b64encode(bytes(range(32))).decode())
BODY = '{"type": "test", "data": "Łódź 换脸"}'


def test_v1a_gives_the_known_answer_of_the_reference_library() -> None:
    """Key, message and signature are those of the test of Standard Webhooks' own Go library."""
    signer = PrivateKeySigner("whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
    signature = signer.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), '{"test": 2432232314}'
    )
    assert signature == ("v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==")


def hkdf(info: bytes) -> bytes:
    """RFC 5869 for one block of output, with the standard library."""
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def test_the_keys_are_hkdf_of_the_master_secret() -> None:
    """What is derived here is stored nowhere: a change would break every receiver's verification."""
    secret = endpoint_secret(MASTER, "ep_1", 3)
    assert secret == "whsec_" + base64.b64encode(hkdf(b"swapjobs webhook endpoint v1 3 ep_1")).decode()
    private, _ = endpoint_keys(MASTER, "ep_1", 3)
    assert private == "whsk_" + base64.b64encode(hkdf(b"swapjobs webhook endpoint v1a 3 ep_1")).decode()


def test_the_derived_secret_is_one_that_the_settings_would_take() -> None:
    check_secret(SecretStr(endpoint_secret(MASTER, "ep_1", 1)))


def test_every_endpoint_version_and_scheme_has_its_own_key() -> None:
    keys = {
        key_bytes(written, written.partition("_")[0] + "_")
        for endpoint in ("a", "b", "1 a", "11")
        for version in (1, 2, 11)
        for written in (endpoint_secret(MASTER, endpoint, version), *endpoint_keys(MASTER, endpoint, version))
    }
    assert len(keys) == 4 * 3 * 3
    other = SecretStr("whsec_" + base64.b64encode(bytes(32)).decode())
    assert endpoint_secret(other, "a", 1) != endpoint_secret(MASTER, "a", 1)


@pytest.mark.parametrize("hours", [-11, 0, 8])
def test_both_signatures_hold_for_who_has_the_told_key(hours: int) -> None:
    at = datetime.now(timezone(timedelta(hours=hours)))
    v1, v1a = (signer.sign("msg_1", at, BODY) for signer in endpoint_signers(MASTER, "ep_1", 1))
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"{v1a} {v1}"}
    assert Webhook(endpoint_secret(MASTER, "ep_1", 1)).verify(BODY, headers) == json.loads(BODY)

    public = Ed25519PublicKey.from_public_bytes(key_bytes(endpoint_keys(MASTER, "ep_1", 1).public, "whpk_"))
    scheme, _, signature = v1a.partition(",")
    assert scheme == "v1a"
    public.verify(base64.b64decode(signature), f"msg_1.{stamp}.{BODY}".encode())
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature), f"msg_2.{stamp}.{BODY}".encode())


@pytest.mark.parametrize("written", ["", "whsec_", "whpk_AAAA", "whsk_****", "VEVTVFNJR05JTkdLRVk="])
def test_a_key_that_is_none_is_refused_without_being_quoted(written: str) -> None:
    with pytest.raises(ValueError, match=r"^(not a key: it must be whsk_ and base64|An Ed25519 private key is 32 .*)$"):
        PrivateKeySigner(written)


def test_the_signers_show_no_secret() -> None:
    for signer in (SharedSecretSigner(MASTER.get_secret_value()), *endpoint_signers(MASTER, "ep_1", 1)):
        shown = repr(signer) + repr(vars(signer))
        assert endpoint_secret(MASTER, "ep_1", 1)[6:] not in shown
        assert MASTER.get_secret_value()[6:] not in shown


MISSING = """
import sys
sys.modules.update({"standardwebhooks": None, "cryptography": None})
from pydantic import SecretStr
from swapjobs.contract import webhook_signing as signing
assert "celery" not in sys.modules
from swapjobs.contract.errors import SettingsError
master = SecretStr("whsec_" + "QUFB" * 8)
for call in (
    lambda: signing.endpoint_secret(master, "a", 1),
    lambda: signing.endpoint_keys(master, "a", 1),
    lambda: signing.SharedSecretSigner(master.get_secret_value()),
    lambda: signing.PrivateKeySigner("whsk_" + "QUFB" * 8),
):
    try:
        call()
    except SettingsError as error:
        print(error)
"""


def test_without_its_packages_signing_says_what_to_install() -> None:
    """A producer has neither; the module can be imported all the same."""
    output = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == [
        "webhook signatures need the package cryptography: pip install 'swapjobs[gateway]'",
        "webhook signatures need the package cryptography: pip install 'swapjobs[gateway]'",
        "webhook signatures need the package standardwebhooks: pip install 'swapjobs[worker]'",
        "webhook signatures need the package cryptography: pip install 'swapjobs[worker]'",
    ]
