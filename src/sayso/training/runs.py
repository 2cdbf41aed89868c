"""The run file: what adapters learned from, on what, how, and under which environment.

Promises: canonical JSON, and in it only what the bytes of the adapters depend on, so that a
run that forgot a member and a run that never had them are equal bytes. What is true of one
run alone (its snapshot, its instants, its signature) stands in `evidence/`.

    run.json                            this
    adapters/<shard>/adapter.safetensors  the weights
    adapters/<shard>/adapter.json         their settings
    adapters/<shard>/leaves.bin           tag and digest of every record, in order
    evidence/                           source.json, statement.json, attest.pem, and since a
                                        forgetting dropped.json, deleted.json
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.tables import flush, sha256_of
from sayso.training.text import TEXT_VERSION

FORMAT: Literal["sayso/run/v1"] = "sayso/run/v1"
NAME = "run.json"
ADAPTERS, EVIDENCE = "adapters", "evidence"
WEIGHTS, SETTINGS, LEAVES = "adapter.safetensors", "adapter.json", "leaves.bin"
SHARD_FILES = (WEIGHTS, SETTINGS, LEAVES)
SOURCE, DROPPED = f"{EVIDENCE}/source.json", f"{EVIDENCE}/dropped.json"
DELETED = f"{EVIDENCE}/deleted.json"
STATEMENT, PUBLIC_KEY = f"{EVIDENCE}/statement.json", f"{EVIDENCE}/attest.pem"
# What a run writes first, and takes away when it is whole; and what it leaves when it is stopped.
STARTED, SEALED = "begun.json", "SEALED"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Recipe(_Strict):
    """Every setting of a training.

    Attributes:
        shards: Of each country; a power of two.
        seed: What the half A of every adapter is drawn from.
        half_a: `frozen`, and so the same in every adapter, whose mean is then exact at the
            rank of one; or `free` to learn, and then only a concatenation is their mean.
        epochs: How often a shard is read.
        steps: At most so many steps for a shard; 0: no bound.
        rank, alpha: Of the adapters.
        learning_rate: As text, since canonical JSON holds no fractions; falls to 0 evenly
            over the shard's own steps.
        block_tokens: Tokens that are read in one piece.
        batch_blocks: Blocks in a step.
        text: Version of the text preparation.
    """

    shards: Positive = 4
    seed: Number = 0
    half_a: Literal["frozen", "free"] = "frozen"
    epochs: Positive = 1
    steps: Number = 0
    rank: Positive = 8
    alpha: Positive = 16
    learning_rate: str = "0.01"
    block_tokens: Positive = 128
    batch_blocks: Positive = 8
    text: Positive = TEXT_VERSION

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(canonical_json(self.model_dump())).hexdigest()


class BasePin(_Strict):
    """The model that the adapters stand on; `exposure` to members' data is none or unknown."""

    name: str
    sha256: Sha256
    exposure: Literal["none", "unknown"]


class Learned(_Strict):
    """One shard: what was read, and what came of it.

    Attributes:
        root: Merkle root over the shard's records.
        adapter: SHA-256 of the weights.
        environment: Digest of the environment that they were made in.
    """

    country: str
    number: Number
    rows: Number
    tokens: Number
    steps: Number
    root: Sha256
    adapter: Sha256
    environment: Sha256


class Run(_Strict):
    """All of it."""

    format: Literal["sayso/run/v1"] = FORMAT
    purpose: str
    base: BasePin
    recipe: Recipe
    environments: dict[Sha256, dict[str, str]]
    shards: dict[str, Learned]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(self.model_dump())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


class Origin(_Strict):
    """Where a run came from: `evidence/source.json`.

    Attributes:
        snapshot: The folder, as it was named.
        manifest: Digest of its manifest.
        at: When the permit was asked for.
        known: The ledger's size then.
        left_out: Tags (hex) of records of the snapshot that were not learned from.
        without: Countries of the snapshot of which nothing was learned.
        planted: How many records of nobody an audit put among those of the snapshot.
        before: Digest of the run that this one took the place of; empty for the first.
    """

    snapshot: str
    manifest: Sha256
    at: str
    known: Number
    left_out: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    planted: Number = 0
    before: str = ""


def load_run(folder: Path) -> Run:
    """Return the run in a folder.

    Raises:
        InputError: There is no finished run, or its file is malformed.
        IntegrityError: The file is not in canonical form.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"no finished run in '{folder}'", hint="run 'sayso train' to its end")
    try:
        return Run.model_validate(parse_canonical(path.read_bytes()))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"the run is malformed at '{where}'", hint="train again") from None


def load_origin(folder: Path) -> Origin:
    """Return where the run in a folder came from.

    Raises:
        InputError: The file is missing or malformed.
    """
    try:
        value = json.loads((folder / SOURCE).read_bytes())
        lists = {key: tuple(value.get(key, ())) for key in ("left_out", "without")}
        return Origin.model_validate({**value, **lists})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(f"'{folder / SOURCE}' cannot be read", hint="train again") from None


def load_note(path: Path) -> dict[str, Any]:
    """Return the object of JSON that a workspace or a run noted for itself; empty for no file.

    Raises:
        IntegrityError: It cannot be read. Whoever went on as if nothing were noted would leave
            behind what the note names.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise IntegrityError(f"'{path}' cannot be read", hint="restore it from backup")
    return value


def verify_adapter(folder: Path, run: Run, name: str) -> Path:
    """Return the weights of a shard after comparing their digest.

    Raises:
        IntegrityError: They are missing or differ.
    """
    path = folder / ADAPTERS / name / WEIGHTS
    if not path.is_file() or sha256_of((path,)) != run.shards[name].adapter:
        raise IntegrityError(
            f"the adapter of '{name}' is not the one that {NAME} lists",
            hint="train again; do not release it",
        )
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, durably: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.tmp")
    made.write_bytes(data)
    flush(made)
    made.replace(path)
    flush(path.parent)
