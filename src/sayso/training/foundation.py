"""The base: the frozen model that every adapter stands on.

Promises: any folder in Hugging Face's format that holds a causal language model, recorded as
of unknown exposure to members' data; where none is given, a small model of the project's own,
trained on invented text alone (`sayso.training.invented`) and kept under the digest of what
it was made from. Forgetting reaches neither of them, and every statement says which it was.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from sayso.snapshot.folder import clear
from sayso.tables import flush, sha256_of
from sayso.training.environment import digest_of, fingerprint, need_torch, prepare_torch
from sayso.training.invented import invented_texts
from sayso.training.learn import Loaded, cut, fit, tokens_of
from sayso.training.runs import BasePin, Recipe

OWN_NAME = "sayso-small"
END = "<|end|>"


class Size(BaseModel):
    """How large the project's own base is, and how long it learns."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    width: int = 96
    layers: int = 2
    heads: int = 4
    texts: int = 1500
    seed: int = 1


def files_digest(files: Mapping[str, str]) -> str:
    """Return one digest (hex) over the digests of named files."""
    return hashlib.sha256(canonical_json(dict(files))).hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """Return path -> SHA-256 of every file below a folder, hidden ones apart."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    inside = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: sha256_of((inside[name],))
        for name in sorted(inside)
        if not any(part.startswith(".") for part in name.split("/"))
    }


def pin_base(path: Path) -> BasePin:
    """Return the pin of a base that the caller brings.

    Raises:
        InputError: It is no model's folder.
    """
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise InputError(
            f"'{path}' is no model's folder",
            hint="give one with config.json, a tokenizer and *.safetensors",
        )
    name = path.resolve().name
    return BasePin(name=name, sha256=files_digest(digests_of(path)), exposure="unknown")


def verify_base(path: Path, pin: BasePin) -> Path:
    """Return the folder of a base after comparing its digest.

    Raises:
        IntegrityError: It is another.
    """
    if files_digest(digests_of(path)) != pin.sha256:
        raise IntegrityError(
            f"the base in '{path}' is not the one that the run stands on",
            hint="bring back the base as it was",
        )
    return path


def find_base(cache: Path, pin: BasePin, given: Path | None) -> Path:
    """Return the folder of the base that something was learned on.

    Args:
        cache: Folder of the project's own bases.
        pin: Which one it is.
        given: Where it stands; None: in the cache.

    Raises:
        InputError: It is not in the cache.
        IntegrityError: What was given is another.
    """
    if given is not None:
        return verify_base(given, pin)
    for place in sorted(cache.glob("[0-9a-f]*")):
        if files_digest(digests_of(place)) == pin.sha256:
            return place
    raise InputError(f"the base '{pin.name}' is not in the workspace", hint="add --base")


def own_base(
    cache: Path, size: Size | None = None, progress: Callable[[str, int], None] | None = None
) -> tuple[Path, BasePin]:
    """Return the project's own base, training it first where the cache does not hold it.

    Args:
        cache: Folder of bases, each under the digest of what it was made from.
        size: Default: some 250,000 weights.
        progress: Told of the stage.

    Raises:
        UnavailableError: The extra `train` is not installed.
    """
    device, size = prepare_torch("cpu"), size or Size()
    recipe = Recipe(shards=1, seed=size.seed, learning_rate="0.003", batch_blocks=2)
    made_from = {
        "size": size.model_dump(), "recipe": recipe.model_dump(),
        "environment": digest_of(fingerprint(device)),
    }  # fmt: skip
    key = hashlib.sha256(canonical_json(made_from)).hexdigest()
    place = cache / key[:16]
    if not place.is_dir():
        if progress:
            progress("training the base on invented text", 0)
        made = cache / f".{key[:16]}.partial"
        made.mkdir(parents=True, exist_ok=True)
        clear(made)
        _make(made, size, recipe, device)
        for path in made.iterdir():
            flush(path)
        made.rename(place)
    pin = BasePin(name=OWN_NAME, sha256=files_digest(digests_of(place)), exposure="none")
    return place, pin


def _make(place: Path, size: Size, recipe: Recipe, device: str) -> None:
    torch = need_torch()
    import transformers  # noqa: PLC0415

    tokenizer = _tokenizer()
    torch.manual_seed(size.seed)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=len(tokenizer), n_positions=recipe.block_tokens, n_embd=size.width,
            n_layer=size.layers, n_head=size.heads, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id, attn_implementation="eager",
            initializer_range=size.width**-0.5,
        )
    ).to(device)  # fmt: skip
    base = Loaded(model, tokenizer, device)
    texts = invented_texts(size.texts, seed=size.seed)
    blocks = cut(tokens_of(tokenizer, texts), recipe.block_tokens)
    weights = list(model.parameters())
    fit(base, model, weights, blocks, recipe, lambda _step: None, lambda *_told: None)
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)


def _tokenizer() -> Any:
    """Return a tokenizer of bytes: nothing was learned from anybody to make it."""
    import tokenizers  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    signs = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {END: 0} | {sign: place for place, sign in enumerate(signs, 1)}
    plain = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=False
    )
    plain.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token=END, pad_token=END, bos_token=END
    )
