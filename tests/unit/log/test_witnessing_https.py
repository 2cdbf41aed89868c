"""A witness behind HTTPS: asked only where its certificate leads to a trusted authority."""

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sayso.errors import UnavailableError
from sayso.log.keys import VerifierKey
from sayso.log.witness import open_server
from sayso.log.witnessing import ask_witness, obtain_cosignatures
from tests.unit.log.signers import AT, W1, W3, signed
from tests.unit.log.test_witness import TREE, head, new_witness

KEYS: list[VerifierKey] = [W1.verifier(), W3.verifier()]
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
# Valid whenever the tests run.
FROM, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def name_of(who: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])


def certificate(who: str, issuer: Pair | None, names: list[x509.GeneralName]) -> Pair:
    """A certificate and its key; without an issuer it is an authority's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    by, signer = (issuer[0].subject, issuer[1]) if issuer else (name_of(who), key)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=issuer is None,
        crl_sign=issuer is None, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name_of(who))
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(1 if issuer is None else 2)
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(signer, hashes.SHA256()), key


def pem(path: Path, found: Pair, *, with_key: bool) -> Path:
    data = found[0].public_bytes(serialization.Encoding.PEM)
    if with_key:
        data += found[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    path.write_bytes(data)
    return path


@contextmanager
def served(folder: Path, own: Pair) -> Iterator[int]:
    """The port of a witness on the loopback that answers by TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem(folder / "own.pem", own, with_key=True))
    with open_server(new_witness(folder / "witness"), "127.0.0.1", 0) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """An authority that this process trusts, and no other one."""
    found = certificate("authority", None, [])
    monkeypatch.setenv("SSL_CERT_FILE", str(pem(tmp_path / "ca.pem", found, with_key=False)))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return found


def test_a_witness_is_asked_by_https(tmp_path: Path, authority: Pair) -> None:
    with served(tmp_path, certificate("witness", authority, [LOOPBACK])) as port:
        url = f"https://127.0.0.1:{port}"
        found = obtain_cosignatures(url, KEYS, signed(head(5)), lambda _: [], timeout_seconds=5)
        assert [one.unix_seconds for one in found] == [AT, AT]
        proof = TREE.proof(5, 9)
        assert ask_witness(f"{url}/", signed(head(9)), 5, proof, timeout_seconds=5)


@pytest.mark.parametrize("why", ["nobody's authority", "another name", "itself"])
def test_a_witness_whose_certificate_is_not_trusted_is_not_asked(
    why: str, tmp_path: Path, authority: Pair
) -> None:
    issuer, names = authority, list[x509.GeneralName]([LOOPBACK])
    if why == "nobody's authority":
        issuer = certificate("authority", None, [])
    if why == "another name":
        names = [x509.DNSName("witness.example.org")]
    own = certificate("witness", None if why == "itself" else issuer, names)
    with (
        served(tmp_path, own) as port,
        pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        ask_witness(f"https://127.0.0.1:{port}", signed(head(5)), 0, [], timeout_seconds=5)
    assert [one for one in (tmp_path / "witness" / "state").iterdir() if not one.suffix] == []


def test_a_witness_that_answers_by_https_is_not_asked_without(
    tmp_path: Path, authority: Pair
) -> None:
    with (
        served(tmp_path, certificate("witness", authority, [LOOPBACK])) as port,
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        ask_witness(f"http://127.0.0.1:{port}", signed(head(5)), 0, [], timeout_seconds=5)
