import base64
from dataclasses import replace

import pytest

from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import KeyType, SignerKey, parse_signer_key, parse_verifier_key
from sayso.log.notes import (
    MAX_NOTE_BYTES,
    Note,
    Signature,
    cosign,
    parse_note,
    parse_signatures,
    sign,
    verify_note,
)
from tests.unit.log.signers import AT, LOG, ORIGIN, W1, W2, W3, signed, signer

# Source: the documentation of golang.org/x/mod/sumdb/note.
PETER_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZ"
    "b6KE6RyyBwJnAM=\n"
)
PETERS_NOTE = f"{TEXT}\n{BY_PETER}".encode()
# Source: c2sp.org/signed-note, its example of a verifier key.
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOOS_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmR"
    "KuwHjG1Yu72IneyaQM=\n"
).encode()
# Source: c2sp.org/tlog-cosignature; its keys are not given, so that it can only be read.
SOFA_NOTE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzG\
ku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n\
PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()

HEAD = Checkpoint(ORIGIN, 5, bytes(range(32)))
BODY = HEAD.to_text()


@pytest.mark.parametrize(("data", "key"), [(PETERS_NOTE, PETER), (FOOS_NOTE, FOO)])
def test_published_notes_verify(data: bytes, key: str) -> None:
    note = parse_note(data)
    (verified,) = verify_note(note, [parse_verifier_key(key)])
    assert verified.key.to_text() == key
    assert verified.unix_seconds is None
    assert note.to_bytes() == data


def test_the_published_key_signs_the_published_note() -> None:
    key = parse_signer_key(PETER_SECRET)
    assert key.to_text() == PETER_SECRET
    assert key.verifier().to_text() == PETER
    assert Note(TEXT, (sign(TEXT, key),)).to_bytes() == PETERS_NOTE


def test_a_published_cosigned_checkpoint_is_read() -> None:
    note = parse_note(SOFA_NOTE)
    assert [one.name for one in note.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert int.from_bytes(note.signatures[1].blob[:8]) == 1_679_315_147
    assert note.to_bytes() == SOFA_NOTE


def test_the_last_empty_line_separates() -> None:
    text = "a\n\nb\n\n"
    data = Note(text, (sign(text, LOG),)).to_bytes()
    assert parse_note(data).text == text
    verify_note(parse_note(data), [LOG.verifier()])


LINE = sign(BODY, LOG).to_line()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        LINE.encode(),
        f"text\n{LINE}".encode(),
        f"text\n\n{LINE[:-1]}".encode(),
        f"text\n\n{LINE}\n".encode(),
        f"text\n\n{LINE}x".encode(),
        f"text\r\n\r\n{LINE}".encode(),
        f"so\0me\n\n{LINE}".encode(),
        f"so\tme\n\n{LINE}".encode(),
        b"so\xffme\n\n" + LINE.encode(),
        b"so\xed\xa0\x80me\n\n" + LINE.encode(),
        f"text\n\n {LINE}".encode(),
        f"text\n\n-{LINE[1:]}".encode(),
        f"text\n\n\u2013{LINE[1:]}".encode(),
        f"text\n\n{LINE}not a signature\n".encode(),
        "text\n\n— name\n".encode(),
        "text\n\n— name \n".encode(),
        "text\n\n—  AAAAAAE=\n".encode(),
        "text\n\n— a+b AAAAAAE=\n".encode(),
        "text\n\n— a b AAAAAAE=\n".encode(),
        "text\n\n— a\u00a0b AAAAAAE=\n".encode(),
        "text\n\n— a\u2003b AAAAAAE=\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),  # no signature behind the key id
        "text\n\n— name AAAAAAE\n".encode(),
        "text\n\n— name AAAAAAF=\n".encode(),  # bits that no encoder sets
        "text\n\n— name AAAA AAE=\n".encode(),
        "text\n\n— name AAAAAAE=A\n".encode(),
        "text\n\n— name AAAAAA-_\n".encode(),
        ("text\n\n" + "— name AAAAAAE=\n" * 101).encode(),
        b"x" * MAX_NOTE_BYTES + b"\n\n" + LINE.encode(),
    ],
)
def test_other_notes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_note(data)


def test_a_note_of_a_million_bytes_is_read_and_no_longer_one() -> None:
    rest = f"\n\n{LINE}".encode()
    longest = b"x" * (MAX_NOTE_BYTES - len(rest)) + rest
    assert parse_note(longest).to_bytes() == longest
    with pytest.raises(InputError, match="at most 1000000 go"):
        parse_note(b"x" + longest)


def test_a_hundred_signatures_are_read() -> None:
    data = ("text\n\n" + "— name AAAAAAE=\n" * 100).encode()
    assert len(parse_note(data).signatures) == 100
    assert parse_note(data).to_bytes() == data


@pytest.mark.parametrize("lines", ["", "\n", "— name AAAAAAE=", "— name AAAAAAE=\n\n"])
def test_other_signature_lines_are_refused(lines: str) -> None:
    with pytest.raises(InputError):
        parse_signatures(lines)


@pytest.mark.parametrize("text", ["", "no newline", "a\rb\n", "\0\n", "\ud800\n"])
def test_what_no_note_holds_is_not_signed(text: str) -> None:
    with pytest.raises(InputError):
        sign(text, LOG)
    with pytest.raises(InputError):
        cosign(text, W1, AT)


@pytest.mark.parametrize("by", [W1, W3])
def test_a_cosignature_says_when(by: SignerKey) -> None:
    note = parse_note(Note(BODY, (cosign(BODY, by, AT),)).to_bytes())
    (verified,) = verify_note(note, [by.verifier()])
    assert verified.unix_seconds == AT
    (one,) = note.signatures
    later = replace(one, blob=(AT + 1).to_bytes(8) + one.blob[8:])
    with pytest.raises(IntegrityError, match=f"by '{by.name}' does not verify"):
        verify_note(Note(BODY, (later,)), [by.verifier()])
    beyond = replace(one, blob=(2**63).to_bytes(8) + one.blob[8:])
    with pytest.raises(IntegrityError, match="does not verify"):
        verify_note(Note(BODY, (beyond,)), [by.verifier()])


@pytest.mark.parametrize("by", [LOG, W1, W3])
def test_a_checkpoint_but_for_one_character_is_another(by: SignerKey) -> None:
    one = sign(BODY, by) if by is LOG else cosign(BODY, by, AT)
    other = replace(HEAD, size=6).to_text()
    with pytest.raises(IntegrityError):
        verify_note(Note(other, (one,)), [by.verifier()])


def test_an_mldsa_cosignature_covers_no_extension_line_and_the_others_do() -> None:
    extended = BODY + "more\n"
    verify_note(Note(extended, (cosign(BODY, W3, AT),)), [W3.verifier()])
    with pytest.raises(IntegrityError):
        verify_note(Note(extended, (cosign(BODY, W1, AT),)), [W1.verifier()])


def test_only_a_checkpoint_is_cosigned() -> None:
    with pytest.raises(InputError, match="the checkpoint is"):
        cosign("text\n", W1, AT)
    with pytest.raises(InputError, match="the checkpoint is"):
        verify_note(Note("text\n", (cosign(BODY, W3, AT),)), [W3.verifier()])


def test_a_key_does_what_its_type_does() -> None:
    with pytest.raises(InputError, match="states no time"):
        cosign(BODY, LOG, AT)
    with pytest.raises(InputError, match="states a time"):
        sign(BODY, W1)
    for time in (0, 2**63 - 1):
        assert W1.verifier().verify(BODY, cosign(BODY, W1, time).blob) == time
    for time in (-1, 2**63):
        with pytest.raises(InputError, match="the time of a cosignature"):
            cosign(BODY, W1, time)


def test_unknown_keys_count_for_nothing() -> None:
    note = parse_note(signed(HEAD, LOG, W1, W2))
    assert [one.key.name for one in verify_note(note, [W2.verifier()])] == [W2.name]
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        verify_note(note, [W3.verifier()])
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        verify_note(note, [])
    # The same name with another key, and the same key with another name, are unknown too.
    other = signer(ORIGIN, KeyType.ED25519_COSIGNATURE).verifier()
    renamed = replace(LOG, name="example.org/other").verifier()
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        verify_note(note, [other, renamed])


def test_one_known_key_that_fails_condemns_the_note() -> None:
    note = parse_note(signed(HEAD, LOG, W1))
    log, witness = note.signatures
    blob = bytearray(witness.blob)
    blob[-1] ^= 1
    broken = Note(note.text, (log, replace(witness, blob=bytes(blob))))
    verify_note(broken, [LOG.verifier()])
    with pytest.raises(IntegrityError, match=f"by '{W1.name}' does not verify"):
        verify_note(broken, [LOG.verifier(), W1.verifier()])


@pytest.mark.parametrize("blob", [b"x", b"x" * 7, b"x" * 63, b"x" * 65, b"x" * 3000])
@pytest.mark.parametrize("by", [LOG, W1, W3])
def test_a_signature_of_another_length_fails(blob: bytes, by: SignerKey) -> None:
    key = by.verifier()
    with pytest.raises(IntegrityError, match="does not verify"):
        verify_note(Note(BODY, (Signature(key.name, key.key_id, blob),)), [key])


def test_of_several_signatures_by_one_key_all_must_verify_and_the_first_counts() -> None:
    first, second = cosign(BODY, W1, AT), cosign(BODY, W1, AT + 1)
    (verified,) = verify_note(Note(BODY, (first, second, first)), [W1.verifier()])
    assert verified.unix_seconds == AT
    broken = replace(second, blob=first.blob[:8] + second.blob[8:])
    with pytest.raises(IntegrityError):
        verify_note(Note(BODY, (first, broken)), [W1.verifier()])


def test_the_same_key_given_twice_is_one_key() -> None:
    note = parse_note(signed(HEAD))
    assert len(verify_note(note, [LOG.verifier(), LOG.verifier()])) == 1


def test_every_flipped_bit_of_a_signed_note_is_noticed() -> None:
    data = signed(HEAD)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((InputError, IntegrityError)):
            verify_note(parse_note(bytes(changed)), [LOG.verifier()])


def test_a_line_is_base64_of_id_and_signature() -> None:
    line = Signature("name", b"\0\1\2\3", b"\4").to_line()
    assert line == f"— name {base64.b64encode(bytes(range(5))).decode()}\n"
