"""Law 12: any bytes into any parser give a value or an `InputError`.

An `IntegrityError` is the other refusal, of bytes that were right once. What is fuzzed for long
(`tests/fuzz/targets.py`) is here with its corpus; beside it stand the parsers of what a
workspace keeps for itself and of what people write by hand. Sources and rulebooks have
examples of their own in `test_parsers_sources.py` and `test_parsers_rulebook.py`.
"""

import ast
import gzip
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sayso
from sayso.attest.keys import SigningKey, parse_public_key, parse_signing_key
from sayso.attest.trust import read_handovers
from sayso.canonical import canonical_json
from sayso.cli.shared import parse_bound, parse_instant
from sayso.errors import InputError, IntegrityError
from sayso.ledger.tombstones import NAME as TOMBSTONES
from sayso.ledger.tombstones import read_tags
from sayso.publishing import template_files
from sayso.rulebook.parse import load_rulebook
from sayso.settings import CONFIG_NAME, load_settings, settings_text
from sayso.snapshot.load import circumstances
from sayso.sources.dialects import parse_day
from sayso.sources.dialects import parse_instant as parse_foreign_instant
from sayso.tables import connect, open_table, reading
from sayso.training.places import NAME as PLACES
from sayso.training.places import places
from sayso.training.plan import load_measured
from sayso.training.runs import DROPPED, SOURCE, load_origin, load_run
from sayso.training.runs import NAME as RUN
from sayso.training.servable import load_dropped
from sayso.training.shards import parse_tags
from sayso.transparency.state import parse_when
from sayso.writing.exchange import Exchange, parse_exchange
from tests.fuzz.broken import SEEDS, broken
from tests.fuzz.targets import TARGETS
from tests.property.test_parsers_sources import table_bytes

Parser = Callable[[bytes], object]


# ---- parsers that no target has ---------------------------------------------------------


def in_file(name: str, load: Callable[[Path], object]) -> Parser:
    """A reader of a folder in which one file holds the bytes."""

    def parse(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return load(Path(folder))

    return parse


def as_table(kind: str) -> Parser:
    """A table of some kind, with every reading of every column."""

    def load(folder: Path) -> object:
        path = folder / f"t.{kind}"
        with connect(threads=2) as duck, reading(path):
            table = open_table(duck, path)
            readings = [
                table.id("member_id"), table.text("country"), table.birth("birth_date"),
                table.instant("since"), table.civil("since"), table.present("deleted_at"),
                table.mentions("mentions"), table.mention_list("mentions"),
            ]  # fmt: skip
            return duck.sql(f"SELECT {', '.join(readings)} FROM {table.sql}").fetchall()

    return in_file(f"t.{kind}", load)


def of_text(parse: Callable[[str], object]) -> Parser:
    """A parser of what stands on a command line or in a cell."""
    return lambda data: parse(data.decode(errors="surrogateescape"))


HASH = "ab" * 32
CSV = b"member_id,country,birth_date,since\n7,HK,1990,2024-01-01\n"
JSONL = b'{"member_id": 7, "mentions": ["a"], "since": "2024-01-01", "deleted_at": 5}\n'
KEY = SigningKey(bytes(32))
SETTINGS = settings_text('"sqlite:///ledger.db"', '"example.org/log"').encode()
ASSISTED = SETTINGS
for empty in ("url", "model", "recipient"):
    ASSISTED = ASSISTED.replace(f'{empty} = ""'.encode(), f'{empty} = "http://x"'.encode())
RUN_FILE = canonical_json(
    {
        "format": "sayso/run/v1", "purpose": "p", "recipe": {}, "environments": {HASH: {"a": "b"}},
        "base": {"name": "b", "sha256": HASH, "exposure": "none"},
        "shards": {
            "HK-0": {
                "country": "HK", "number": 0, "rows": 1, "tokens": 1, "steps": 1, "root": HASH,
                "adapter": HASH, "environment": HASH,
            }
        },
    }
)  # fmt: skip
ORIGIN = canonical_json(
    {"snapshot": "s", "manifest": HASH, "at": "2026-01-01", "known": 3, "left_out": [HASH]}
)
PAYLOAD = canonical_json({"payload": {}})

# What each reads, and what that looks like unbroken.
TABLES: dict[str, tuple[Parser, list[bytes]]] = {
    "csv": (as_table("csv"), [CSV, b"\xef\xbb\xbf" + CSV]),
    "tsv": (as_table("tsv"), [CSV.replace(b",", b"\t")]),
    "jsonl": (as_table("jsonl"), [JSONL, b"\xef\xbb\xbf" + JSONL * 3]),
    "csv.gz": (as_table("csv.gz"), [gzip.compress(CSV)]),
    "parquet": (as_table("parquet"), [table_bytes()]),
}
OTHERS: dict[str, tuple[Parser, list[bytes]]] = {
    "settings": (in_file(CONFIG_NAME, load_settings), [SETTINGS, ASSISTED]),
    "rulebook": (
        in_file("scopes/HK.yaml", load_rulebook),
        [template_files("linkedin-2024")["scopes/HK.yaml"].encode()],
    ),
    "public-key": (parse_public_key, [KEY.public.to_pem()]),
    "signing-key": (parse_signing_key, [KEY.to_pem()]),
    "handovers": (in_file("0.json", read_handovers), [PAYLOAD, *SEEDS["handover"]]),
    "tombstones": (in_file(f"keys/{TOMBSTONES}", read_tags), [f"{HASH}\n".encode() * 2]),
    "run": (in_file(RUN, load_run), [RUN_FILE]),
    "origin": (in_file(SOURCE, load_origin), [ORIGIN]),
    "dropped": (
        in_file(DROPPED, load_dropped),
        [canonical_json({"shards": ["HK-0"], "left_out": [HASH], "without": ["HK"]})],
    ),
    "tags": (parse_tags, [bytes(64), bytes(128)]),
    "circumstances": (
        in_file("evidence/build.json", lambda folder: circumstances(folder, "content")),
        [b'{"content": "c.parquet"}'],
    ),
    "places": (in_file(PLACES, lambda folder: places(folder, "runs")), [b'{"runs": {"a": "b"}}']),
    "measured": (in_file("m.json", lambda f: load_measured(f / "m.json")), [b'{"1": 1, "4": 0.5}']),
    "exchange": (
        parse_exchange,
        [Exchange("post", "asked", ("r1",), ("written",), "model", "").to_bytes()],
    ),
    "instant": (of_text(parse_instant), [b"2025-11-03", b"2025-11-02T16:00:00+08:00"]),
    "bound": (of_text(parse_bound), [b"2025-11-03", b"2025-11-02T16:00:00Z"]),
    "when": (of_text(parse_when), [b"2025-11-03", b"2025-11-02T16:00:00Z"]),
    "foreign-instant": (of_text(parse_foreign_instant), [b"2025-11-03 10:00:00 UTC"]),
    "foreign-day": (of_text(parse_day), [b"3 Nov 2025", b"2025-11-03"]),
}


def allowing(parse: Parser) -> Parser:
    def allowed(data: bytes) -> None:
        with suppress(InputError, IntegrityError):
            parse(data)

    return allowed


PARSERS: dict[str, tuple[Parser, list[bytes]]] = {
    **{name: (target, SEEDS[name]) for name, target in TARGETS.items()},
    **{name: (allowing(parse), seeds) for name, (parse, seeds) in OTHERS.items()},
    **{name: (allowing(parse), seeds) for name, (parse, seeds) in TABLES.items()},
}

# What breaks parsers of any kind: depth, numbers without end, and text that is none.
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "nul": b"\0",
    "no text": b"\xff\xfe",
    "half a surrogate": b'"\\ud800"',
    "a mark alone": b"\xef\xbb\xbf",
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "tables": b"a = " + b"[" * 100_000,
    "keys": b"a" + b".a" * 100_000 + b" = 1\n",
    "digits": b"9" * 10_000,
    "a huge number": b'{"1": ' + b"9" * 400 + b"}",
    "an infinity": b'{"1": 1e999, "payload": NaN}',
    "null": b"null",
    "canonical null": b"null\n",
    "an empty object": b"{}\n",
    "objects in place of texts": b'{"runs": {"a": {}}, "format": {}, "without": [7]}\n',
    "a list": b'[{"payload": 7}]\n',
    "an object of lists": b'{"payload": [], "shards": [[]], "left_out": [7], "without": {}}\n',
    "lines": b"\n" * 100_000,
}


# ---- the law ----------------------------------------------------------------------------


def feed(name: str, source: st.DataObject) -> None:
    parse, seeds = PARSERS[name]
    parse(source.draw(broken(seeds) | st.binary(max_size=200)))


@pytest.mark.parametrize("name", sorted(set(PARSERS) - set(TABLES)))
@given(source=st.data())
@settings(max_examples=150)
def test_broken_seeds_and_any_bytes(name: str, source: st.DataObject) -> None:
    feed(name, source)


@pytest.mark.parametrize("name", TABLES)
@given(source=st.data())
@settings(max_examples=40)  # each opens an engine
def test_broken_tables_and_any_bytes(name: str, source: st.DataObject) -> None:
    feed(name, source)


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", PARSERS)
def test_hostile_bytes(name: str, what: str) -> None:
    PARSERS[name][0](HOSTILE[what])


# A scope needs its purposes, and a handover in a folder is an entry of a log.
@pytest.mark.parametrize("name", sorted({*OTHERS, *TABLES} - {"rulebook", "handovers"}))
def test_unbroken_bytes_give_a_value(name: str) -> None:
    """Else the law would hold for a parser that refuses everything."""
    parse, seeds = (OTHERS | TABLES)[name]
    for seed in seeds:
        assert parse(seed) is not None


# ---- no parser is forgotten -------------------------------------------------------------

# Parsers -> the name above under which they are reached, or the test that reaches them.
REACHED = {
    "attest.dsse.parse_envelope": "envelope",
    "attest.keys.parse_public_key": "public-key",
    "attest.keys.parse_signing_key": "signing-key",
    "attest.receipts.parse_receipt": "receipt",
    "attest.statements.parse_statement": "statement",
    "canonical.parse_canonical": "statement",
    "cli.shared.parse_bound": "bound",
    "cli.shared.parse_instant": "instant",
    "evidence.checks_manifest.parse_manifest": "manifest",
    "evidence.container.parse_pack": "pack",
    "evidence.merkle_proofs.parse_leaves": "leaves",
    "evidence.merkle_proofs.parse_membership": "membership",
    "log.checkpoint.parse_checkpoint_text": "checkpoint",
    "log.keys.parse_signer_key": "key",
    "log.keys.parse_verifier_key": "key",
    "log.lines.parse_base64": "note",
    "log.lines.parse_decimal": "checkpoint",
    "log.lines.parse_hash": "checkpoint",
    "log.lines.parse_text": "note",
    "log.notes.parse_note": "note",
    "log.notes.parse_signatures": "note",
    "log.policy.parse_policy": "policy",
    "log.proof_file.parse_proof": "proof",
    "log.submission.parse_submission": "submission",
    "log.tiles.parse_bundle": "bundle",
    "log.tiles.parse_path": "path",
    "retention.parse_retention": "settings",
    "rulebook.parse.parse_rulebook": "rulebook",
    "settings.parse_assistant": "settings",
    "settings.parse_web": "settings",
    "snapshot.manifest.parse_manifest": "manifest",
    "sources.dialects.parse_day": "foreign-day",
    "sources.dialects.parse_instant": "foreign-instant",
    "training.shards.parse_tags": "tags",
    "transparency.state.parse_when": "when",
    "writing.exchange.parse_exchange": "exchange",
}
# Of values that are typed already.
TYPED = {"cli.shared.parse_source", "evidence.period.parse_period"}


def parsers() -> Iterator[str]:
    """Every function of ours that is called a parser."""
    root = Path(sayso.__file__).parent
    for path in root.rglob("*.py"):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("parse_"):
                yield f"{module}.{node.name}"


def test_every_parser_is_reached() -> None:
    assert set(parsers()) == set(REACHED) | TYPED
    assert set(REACHED.values()) <= set(PARSERS)
