"""Keys: the published vectors, PEM, and ids that other tools compute alike."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from sayso.attest.keys import PublicKey, SigningKey, parse_public_key, parse_signing_key
from sayso.errors import InputError, IntegrityError
from tests.unit.attest.builders import KEY, OTHER

# RFC 8032 s7.1, TEST 1 to 3: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
            "cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
            "0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
            "84dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_published_signatures(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public == PublicKey(bytes.fromhex(public))
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public.verify(bytes.fromhex(signature), bytes.fromhex(message))


def test_the_id_is_that_of_securesystemslib() -> None:
    # What SSlibKey.from_crypto of securesystemslib 1.6.0 gives the first public key above. Its
    # dsse.Envelope.verify took an envelope of ours with that key on 2026-11-22.
    assert PublicKey(bytes.fromhex(VECTORS[0][1])).keyid == (
        "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916"
    )


def test_a_signature_of_something_else_does_not_hold() -> None:
    signature = KEY.sign(b"said")
    for key, wrong, message in (
        (KEY, signature, b"sait"), (OTHER, signature, b"said"), (KEY, signature[:-1], b"said"),
        (KEY, b"", b"said"), (KEY, signature + b"\x00", b"said"), (KEY, bytes(64), b"said"),
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match=f"key {key.public.keyid} does not hold"):
            key.public.verify(wrong, message)


def test_pem_there_and_back() -> None:
    assert parse_public_key(KEY.public.to_pem()) == KEY.public
    assert parse_signing_key(KEY.to_pem()) == KEY
    assert KEY.to_pem().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert KEY.public.to_pem().startswith(b"-----BEGIN PUBLIC KEY-----")


P256 = ec.generate_private_key(ec.SECP256R1())
X25519 = x25519.X25519PrivateKey.generate()
SUBJECT = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
LOCKED = serialization.BestAvailableEncryption(b"x")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00", b"key", KEY.to_pem(), KEY.public.to_pem()[:40], KEY.public.raw,
        P256.public_key().public_bytes(*SUBJECT), X25519.public_key().public_bytes(*SUBJECT),
        b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
    ],
)  # fmt: skip
def test_what_is_no_public_key(raw: bytes) -> None:
    with pytest.raises(InputError, match="no public key"):
        parse_public_key(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"key", KEY.public.to_pem(), KEY.to_pem()[:50], KEY.seed,
        P256.private_bytes(*PKCS8, serialization.NoEncryption()),
        KEY._private.private_bytes(*PKCS8, LOCKED),
    ],
)  # fmt: skip
def test_what_is_no_signing_key(raw: bytes) -> None:
    with pytest.raises(InputError, match="no signing key") as caught:
        parse_signing_key(raw)
    assert KEY.seed.hex() not in str(caught.value)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    for kind in (PublicKey, SigningKey):
        with pytest.raises(InputError, match=f"a key of {length} bytes"):
            kind(bytes(length))


def test_a_seed_is_not_printed() -> None:
    shown = f"{KEY!r} {KEY!s}"
    assert KEY.seed.hex() not in shown
    assert repr(KEY.seed) not in shown
