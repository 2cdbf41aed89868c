import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from sayso.errors import InputError, UnavailableError
from sayso.log import keys
from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import KeyType, SignerKey, VerifierKey, parse_signer_key, parse_verifier_key
from tests.unit.log.signers import AT, LOG, ORIGIN, W1, W3, signer

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
# Source: the tests of transparency-dev/formats, a witness in service.
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
HEAD = Checkpoint(ORIGIN, 300, bytes(range(32)))


@pytest.mark.parametrize(
    ("text", "name", "key_type"),
    [
        (PETER, "PeterNeumann", KeyType.ED25519),
        (REMORA, "remora.n621.de", KeyType.ED25519_COSIGNATURE),
    ],
)
def test_published_verifier_keys(text: str, name: str, key_type: KeyType) -> None:
    key = parse_verifier_key(text)
    assert (key.name, key.type) == (name, key_type)
    assert key.to_text() == text


@pytest.mark.parametrize("key", [LOG, W1, W3])
def test_keys_are_read_back(key: SignerKey) -> None:
    assert parse_signer_key(key.to_text()) == key
    assert parse_verifier_key(key.verifier().to_text()) == key.verifier()


def test_the_type_is_the_first_byte() -> None:
    for key, byte in ((LOG, 1), (W1, 4), (W3, 6)):
        encoded = key.verifier().to_text().split("+", 2)[2]
        assert base64.b64decode(encoded)[0] == byte


def test_a_key_whose_base64_holds_a_plus() -> None:
    keys = [signer(f"k{number}").verifier().to_text() for number in range(200)]
    held = [key for key in keys if key.count("+") > 2]
    assert held
    assert all(parse_verifier_key(key).to_text() == key for key in held)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "++",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        PETER.replace("c7", "C7"),
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("c74f20a3", "0c74f20a3"),
        PETER.replace("Peter", "peter"),
        PETER.replace("Peter", "Peter "),
        PETER[:-1],
        PETER + "A",
        PETER + "\n",
        PETER.removeprefix("PeterNeumann"),
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # of no known type
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "\ud800+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_other_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_verifier_key(text)


def test_one_character_more_or_less_is_another_key() -> None:
    for place in range(len(PETER)):
        for changed in (PETER[:place] + PETER[place + 1 :], PETER[:place] + "x" + PETER[place:]):
            with pytest.raises(InputError):
                parse_verifier_key(changed)


def test_a_secret_is_neither_shown_nor_quoted() -> None:
    secret = LOG.to_text()
    encoded = secret.rsplit("+", 1)[1]
    assert LOG.seed.hex() not in repr(LOG)
    assert repr(LOG.seed) not in repr(LOG)
    for broken in (
        secret[:-1],
        secret[4:],
        secret.removeprefix("PRIVATE+KEY+"),
        secret + "=",
        secret.replace("+KEY+", "+KEY+x"),
        "x",
    ):
        with pytest.raises(InputError) as caught:
            parse_signer_key(broken)
        assert encoded[:8] not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\tb", "a\u2028b", "\udc80"])
def test_names_that_no_note_can_hold(name: str) -> None:
    with pytest.raises(InputError, match="the key name is"):
        SignerKey.from_seed(name, bytes(32))
    with pytest.raises(InputError, match="the key name is"):
        VerifierKey(name, KeyType.ED25519, bytes(32))


def test_seeds_and_public_keys_have_their_length() -> None:
    with pytest.raises(InputError, match="32 bytes, not 31"):
        SignerKey.from_seed("name", bytes(31))
    with pytest.raises(InputError, match="has 1311 bytes"):
        VerifierKey("name", KeyType.MLDSA44_COSIGNATURE, bytes(1311))


def test_the_bytes_that_an_ed25519_cosignature_signs() -> None:
    blob = W1.sign(HEAD.to_text(), AT)
    assert blob[:8] == struct.pack(">Q", AT)
    message = f"cosignature/v1\ntime {AT}\n{HEAD.to_text()}".encode()
    Ed25519PublicKey.from_public_bytes(W1.verifier().public).verify(blob[8:], message)


def test_the_bytes_that_an_mldsa_cosignature_signs() -> None:
    blob = W3.sign(HEAD.to_text(), AT)
    assert len(blob) == 8 + 2420
    message = b"".join(
        [
            b"subtree/v1\n\x00",
            bytes([len(W3.name)]) + W3.name.encode(),
            struct.pack(">Q", AT),
            bytes([len(ORIGIN)]) + ORIGIN.encode(),
            struct.pack(">QQ", 0, 300),
            bytes(range(32)),
        ]
    )
    MLDSA44PublicKey.from_public_bytes(W3.verifier().public).verify(blob[8:], message)


def test_mldsa_names_up_to_255_bytes() -> None:
    long = Checkpoint("x" * 256, 1, bytes(32)).to_text()
    with pytest.raises(InputError, match="up to 255 bytes"):
        W3.sign(long, AT)
    with pytest.raises(InputError, match="up to 255 bytes"):
        signer("é" * 128, KeyType.MLDSA44_COSIGNATURE).sign(HEAD.to_text(), AT)


def test_without_mldsa_the_other_keys_work(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = W3.sign(HEAD.to_text(), AT)
    public = W3.verifier()
    monkeypatch.setattr(keys, "mldsa", None)
    keys._check_mldsa.cache_clear()
    with pytest.raises(UnavailableError, match="no ML-DSA-44"):
        public.verify(HEAD.to_text(), blob)
    with pytest.raises(UnavailableError, match="no ML-DSA-44"):
        W3.sign(HEAD.to_text(), AT)
    assert parse_verifier_key(public.to_text()) == public
    assert W1.verifier().verify(HEAD.to_text(), W1.sign(HEAD.to_text(), AT)) == AT
