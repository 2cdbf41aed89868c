import pytest

from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import KeyType, SignerKey
from sayso.log.policy import Group, parse_policy
from tests.unit.log.signers import AT, LOG, ORIGIN, W1, W2, W3, signed, signer

HEAD = Checkpoint(ORIGIN, 5, bytes(range(32)))
X = [signer(f"example.org/x{n}", KeyType.ED25519_COSIGNATURE) for n in range(3)]
Y = [signer(f"example.org/y{n}", KeyType.ED25519_COSIGNATURE) for n in range(3)]


def vkey(key: SignerKey) -> str:
    return key.verifier().to_text()


LOG_LINE = f"log {vkey(LOG)}\n"
W1_LINE = f"witness w1 {vkey(W1)}\n"

# The shape of the example in c2sp.org/tlog-policy.
TWO_LEVELS = "\n".join(
    [
        f"log {vkey(LOG)}",
        "",
        *(f"witness X{n} {vkey(key)}" for n, key in enumerate(X, 1)),
        "group X-witnesses 2 X1 X2 X3",
        "",
        *(f"witness Y{n} {vkey(key)}" for n, key in enumerate(Y, 1)),
        "group Y-witnesses any Y1 Y2 Y3",
        "",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
).encode()


@pytest.mark.parametrize(
    ("cosigned", "enough"),
    [
        ([X[0], X[1], Y[0]], True),
        ([X[0], X[2], Y[2]], True),
        ([*X, *Y], True),
        ([*X], False),
        ([*Y], False),
        ([X[0], *Y], False),
        ([], False),
        ([X[0], X[0], Y[0]], False),
    ],
)
def test_a_quorum_of_two_levels(cosigned: list[SignerKey], enough: bool) -> None:
    policy, note = parse_policy(TWO_LEVELS), signed(HEAD, LOG, *cosigned)
    if enough:
        verified = policy.check(note)
        assert verified.checkpoint == HEAD
        assert verified.log_name == ORIGIN
        named = {key.name.removeprefix("example.org/") for key in cosigned}
        want = {f"{name[0].upper()}{int(name[1]) + 1}": AT for name in named}
        assert verified.witnesses == want
    else:
        with pytest.raises(IntegrityError, match="lacks its quorum"):
            policy.check(note)


def test_no_quorum_asks_for_none_and_says_who_saw() -> None:
    policy = parse_policy((LOG_LINE + W1_LINE + "quorum none\n").encode())
    assert policy.check(signed(HEAD)).witnesses == {}
    assert policy.check(signed(HEAD, LOG, W1, W2)).witnesses == {"w1": AT}


@pytest.mark.parametrize("witness", [W1, W3])
def test_a_single_witness_is_a_quorum(witness: SignerKey) -> None:
    policy = parse_policy((LOG_LINE + f"witness w {vkey(witness)}\nquorum w\n").encode())
    assert policy.check(signed(HEAD, LOG, witness)).witnesses == {"w": AT}
    with pytest.raises(IntegrityError, match=r"lacks its quorum; .* 'w', and cosigned have \[\]"):
        policy.check(signed(HEAD, LOG, W2))


def test_a_log_may_sign_with_mldsa() -> None:
    log = signer(ORIGIN, KeyType.MLDSA44_COSIGNATURE)
    policy = parse_policy(f"log {vkey(log)}\nquorum none\n".encode())
    assert policy.check(signed(HEAD, log)).checkpoint == HEAD


def test_only_a_listed_log_under_its_own_name() -> None:
    policy = parse_policy((LOG_LINE + W1_LINE + "quorum none\n").encode())
    with pytest.raises(IntegrityError, match=r"'example\.org/other' is not in the policy"):
        policy.check(signed(Checkpoint("example.org/other", 5, HEAD.root)))
    stranger = SignerKey.from_seed(ORIGIN, bytes(32))
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        policy.check(signed(HEAD, stranger))
    with pytest.raises(IntegrityError, match="did not sign"):
        policy.check(signed(HEAD, stranger, W1))


def test_one_of_a_logs_keys_is_enough_and_one_that_fails_is_too_much() -> None:
    new = SignerKey.from_seed(ORIGIN, bytes(32))
    policy = parse_policy((LOG_LINE + f"log {vkey(new)}\nquorum none\n").encode())
    assert policy.check(signed(HEAD, new)).log_name == ORIGIN
    assert policy.check(signed(HEAD)).log_name == ORIGIN
    line = signed(Checkpoint(ORIGIN, 6, HEAD.root), new).split(b"\n\n")[1]
    with pytest.raises(IntegrityError, match="does not verify"):
        policy.check(signed(HEAD) + line)


def test_a_log_key_is_no_witness() -> None:
    policy = parse_policy((LOG_LINE + W1_LINE + "quorum w1\n").encode())
    cosigning = SignerKey.from_seed(W1.name, LOG.seed, KeyType.ED25519_COSIGNATURE)
    with pytest.raises(IntegrityError, match="lacks its quorum"):
        policy.check(signed(HEAD, LOG, cosigning))


def test_what_holds_no_checkpoint_is_bad_input() -> None:
    with pytest.raises(InputError):
        parse_policy((LOG_LINE + "quorum none\n").encode()).check(b"nothing")


def test_white_space_comments_and_addresses() -> None:
    text = (
        f"\t# a comment \xff\n\n  \t\nlog\t{vkey(LOG)} \thttps://example.org/log  \n"
        f" witness  w1 {vkey(W1)}\thttps://example.org/w1\n#\nquorum w1 \n"
    )
    policy = parse_policy(text.encode("latin-1"))
    assert policy.logs[0].url == "https://example.org/log"
    assert policy.witnesses["w1"].url == "https://example.org/w1"
    assert policy.quorum == "w1"


def test_names_are_octets() -> None:
    kelvin, opaque = "\u212a".encode(), b"\xff\xfe"
    lines = [
        b"witness K " + vkey(W1).encode(),
        b"witness " + kelvin + b" " + vkey(W2).encode(),
        b"witness " + opaque + b" " + vkey(W3).encode(),
        b"group g 1 K " + kelvin + b" " + opaque,
        b"quorum " + kelvin,
        b"",
    ]
    policy = parse_policy(LOG_LINE.encode() + b"\n".join(lines))
    assert len(policy.witnesses) == 3
    with pytest.raises(IntegrityError, match="asks for '\u212a'"):
        policy.check(signed(HEAD, LOG, W1))
    policy.check(signed(HEAD, LOG, W2))


def test_a_threshold_is_kept() -> None:
    lines = "".join(f"witness {n} {vkey(key)}\n" for n, key in enumerate(X))
    for word, want in (("any", 1), ("all", 3), ("1", 1), ("2", 2), ("3", 3)):
        policy = parse_policy((lines + f"group g {word} 0 1 2\nquorum g\n").encode())
        assert policy.groups == {"g": Group(want, ("0", "1", "2"))}


def test_a_deep_policy_is_read() -> None:
    lines = [W1_LINE, "group g0 1 w1\n"]
    lines += [f"group g{n} 1 g{n - 1}\n" for n in range(1, 5000)]
    policy = parse_policy("".join([LOG_LINE, *lines, "quorum g4999\n"]).encode())
    policy.check(signed(HEAD, LOG, W1))
    with pytest.raises(IntegrityError):
        policy.check(signed(HEAD, LOG, W2))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no quorum"),
        (LOG_LINE, "no quorum"),
        ("quorum none", "does not end in a newline"),
        ("quorum none\r\n", "octet 0x0d"),
        ("quorum none\x7f\n", "octet 0x7f"),
        ("quorum none\0\n", "octet 0x00"),
        ("quorum none\nquorum none\n", "line 2 of the policy: there is a quorum already"),
        ("quorum w1\n" + W1_LINE, "line 1 of the policy: 'w1' is not defined above"),
        ("quorum\n", "no line of a policy"),
        ("quorum none none\n", "no line of a policy"),
        ("quorum\xa0none\n", "no line of a policy"),
        ("Quorum none\n", "no line of a policy"),
        ("log\n", "no line of a policy"),
        (f"log {vkey(LOG)} url more\n", "no line of a policy"),
        ("log abc\n", "the verifier key is"),
        (LOG_LINE + LOG_LINE, "line 2 of the policy: the same public key"),
        (f"log {vkey(W1)}\n", "type 0x04 cannot stand here"),
        (f"witness w {vkey(LOG)}\n", "type 0x01 cannot stand here"),
        (f"witness none {vkey(W1)}\n", "'none' is taken"),
        (W1_LINE + f"witness w1 {vkey(W2)}\n", "'w1' is taken"),
        (W1_LINE + f"witness w2 {vkey(W1)}\n", "the same public key"),
        (W1_LINE + "group g all\n", "no line of a policy"),
        (W1_LINE + "group g all none\n", "'none' is not defined"),
        (W1_LINE + "group g all g\n", "'g' is not defined"),
        (W1_LINE + "group w1 all w1\n", "'w1' is taken"),
        (W1_LINE + "group none all w1\n", "'none' is taken"),
        (W1_LINE + "group g all w1 w1\n", "'w1' is a member already"),
        (W1_LINE + "group g all w1\ngroup h all w1\n", "line 3 .* 'w1' is a member already"),
        (W1_LINE + "group g 0 w1\n", "the threshold is '0'"),
        (W1_LINE + "group g 2 w1\n", "the threshold is '2'"),
        (W1_LINE + "group g 01 w1\n", "the threshold is '01'"),
        (W1_LINE + "group g +1 w1\n", "the threshold is"),
        (W1_LINE + "group g most w1\n", "the threshold is 'most'"),
        (W1_LINE + f"group g {'9' * 5000} w1\n", "the threshold is"),
        ("#" * 1_000_000 + "\n", "the policy has"),
    ],
)
def test_other_policies_are_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_policy(text.encode("latin-1"))


def test_the_same_public_key_under_another_name_is_a_duplicate() -> None:
    renamed = SignerKey.from_seed("example.org/else", W1.seed, W1.type)
    with pytest.raises(InputError, match="the same public key"):
        parse_policy((W1_LINE + f"witness w2 {vkey(renamed)}\nquorum none\n").encode())
