"""The public summary of training content, in the shape of Article 53(1)(d) of the EU AI Act.

Promises: sections and questions of the Commission's template, in its order and by its names;
what we add to them stands under "additional comments" or "other information". Sizes are its
bands, counts powers of ten, and no country or category of which fewer than ten records were
admitted; what Sayso cannot know stands open, for the provider to fill in, and is never
guessed. Says nothing of the base that a model was made from, but that it needs a summary of
its own.

Example:
    >>> size_band(4_000_000_000).words
    '1 billion to 10 trillion tokens'

Source: European Commission, "Explanatory notice and template for the public summary of
training content for general-purpose AI models", C(2025) 5235 of 24 July 2025; adopted as
C(2025) 8311 of 5 December 2025. Sections and questions were compared with a summary that a
provider published in the form: Swiss National AI Institute, Apertus, V1, 1 September 2025.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import Enum

from sayso.canonical import canonical_json
from sayso.evidence.report import templates
from sayso.evidence.report_parts import instant, purpose_title
from sayso.evidence.suppress import FEW
from sayso.model import Authorship, Category, Mode, Reason, Rule, Rulebook
from sayso.rulebook.civil import COUNTRY_NAMES
from sayso.rulebook.in_force import in_force
from sayso.snapshot.manifest import Manifest

OPEN = "For the provider to fill in"
# A token of a subword vocabulary is about four characters of European text; a band of three
# orders of magnitude does not need better.
CHARACTERS_PER_TOKEN = 4
# What the template leaves to the provider's own words.
ADDITIONAL = "Additional comments"
NONE = "No: none in this training set."
NOTES = (
    (
        "This summary speaks of one training set. A model that was made from a base needs the "
        "summary of that base beside it."
    ),
    (
        "Counts are bands, and a refused record counts under the first reason. Countries and "
        "kinds of record of which fewer than ten were admitted are not named."
    ),
    (
        "“Admitted under a rule” means that a published rule of the platform admits a record. It "
        "does not mean that the use is lawful."
    ),
)


class SizeBand(Enum):
    """The template's bands for text, with the tokens below which each ends."""

    SMALL = ("Less than 1 billion tokens", 10**9)
    MIDDLE = ("1 billion to 10 trillion tokens", 10**13)
    LARGE = ("More than 10 trillion tokens", None)

    @property
    def words(self) -> str:
        """How the band is called."""
        return str(self.value[0])


@dataclass(frozen=True, slots=True)
class Provider:
    """What only the provider knows; empty where it was not told."""

    name: str = ""
    representative: str = ""
    models: str = ""
    dependencies: str = ""
    placed_on_market: str = ""
    signatory: str = ""
    illegal_content: str = ""
    services: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the template.

    Attributes:
        text: Empty where it is for the provider to fill in.
        bands: All bands of which `text` is one, where it is one of several.
    """

    label: str
    text: str
    bands: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the provider has to fill it in."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part of the template; `number` is the template's own."""

    number: str
    title: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Summary:
    """The summary: general information, sources, processing."""

    title: str
    version: str
    updated: str
    parts: tuple[tuple[str, str, tuple[Section, ...]], ...]
    notes: tuple[str, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """Return the summary as canonical JSON; what is open is null."""
        value = {
            "title": self.title,
            "version": self.version,
            "updated": self.updated,
            "sections": [
                {
                    "number": section.number,
                    "title": section.title,
                    "answers": [
                        asdict(one) | {"bands": list(one.bands), "text": one.text or None}
                        for one in section.answers
                    ],
                }
                for _, _, sections in self.parts
                for section in sections
            ],
            "notes": list(self.notes),
        }
        return canonical_json(value)


def size_band(characters: int) -> SizeBand:
    """Return the band of a text, estimated from its characters."""
    tokens = characters // CHARACTERS_PER_TOKEN
    return next(band for band in SizeBand if band.value[1] is None or tokens < int(band.value[1]))


def count_band(count: int) -> str:
    """Return a count as a power of ten: `10 to 99`."""
    if count == 0:
        return "none"
    if count < FEW:
        return f"fewer than {FEW}"
    low: int = 10 ** (len(str(count)) - 1)
    return f"{low:,} to {10 * low - 1:,}"


def render_summary(summary: Summary) -> bytes:
    """Return a summary as HTML."""
    return templates().get_template("article53.html").render(summary=summary, open=OPEN).encode()


def summary_of(
    manifest: Manifest,
    book: Rulebook,
    *,
    characters: int,
    categories: Mapping[str, int],
    updated: date,
    provider: Provider | None = None,
    version: str = "1",
) -> Summary:
    """Return the summary of what a snapshot brings to a model.

    Args:
        manifest: Of the snapshot.
        book: The rulebook that decided.
        characters: Of all admitted texts together.
        categories: Admitted records by category.
        updated: The day that the summary bears.
        provider: What the provider told.
        version: Of the summary.
    """
    told = provider or Provider()
    rules = tuple(_rules(manifest, book))
    general = (
        _provider(told),
        _model(told),
        _modalities(manifest, characters, categories),
    )
    return Summary(
        title=f"Public summary of training content: {purpose_title(book, manifest.purpose)}",
        version=version,
        updated=updated.isoformat(),
        parts=(
            ("1", "General information", general),
            ("2", "List of data sources", tuple(_sources(told, categories, rules))),
            ("3", "Data processing aspects", tuple(_processing(manifest, told, rules))),
        ),
        notes=NOTES,
    )


def _rules(manifest: Manifest, book: Rulebook) -> Iterable[Rule]:
    """Yield the rules under which records were admitted, each once."""
    current = in_force(book, manifest.purpose, manifest.at_instant)
    seen: set[str] = set()
    for country, counts in manifest.by_country.items():
        law = current.jurisdiction(country) if counts.admitted else None
        for held in law.rules if law else ():
            if str(held.rule.place) not in seen:
                seen.add(str(held.rule.place))
                yield held.rule


# ---- section 1 --------------------------------------------------------------------------


def _provider(told: Provider) -> Section:
    return Section(
        "1.1",
        "Provider identification",
        (
            Answer("Provider name and contact details", told.name),
            Answer("Authorised representative name and contact details", told.representative),
        ),
    )


def _model(told: Provider) -> Section:
    return Section(
        "1.2",
        "Model identification",
        (
            Answer("Versioned model name(s)", told.models),
            Answer("Model dependencies", told.dependencies),
            Answer("Date of placement of the model on the Union market", told.placed_on_market),
        ),
    )


def _modalities(manifest: Manifest, characters: int, categories: Mapping[str, int]) -> Section:
    kinds = ", ".join(_shown_categories(categories)) or "none with ten records or more"
    places = [
        COUNTRY_NAMES.get(country, country)
        for country, counts in manifest.by_country.items()
        if counts.admitted >= FEW and country in COUNTRY_NAMES
    ]
    return Section(
        "1.3",
        "Modalities, overall training data size and other characteristics",
        (
            Answer("Modality", "Text"),
            Answer(
                "Training data size",
                size_band(characters).words,
                tuple(band.words for band in SizeBand),
            ),
            Answer("Types of content", f"What members wrote on the platform: {kinds}"),
            Answer(
                "Latest date of data acquisition/collection for model training",
                f"{manifest.at_instant:%m/%Y}; nothing in it was written after "
                f"{instant(manifest.at_instant)}. Not trained on new data after that: a training "
                "set does not change; new data make another one, with a summary of its own.",
            ),
            Answer("Linguistic characteristics of the overall training data", ""),
            Answer(
                "Other relevant characteristics of the overall training data",
                "Members live, as the platform counts it, in: "
                f"{', '.join(sorted(places)) or 'no country with ten records or more'}.",
            ),
            Answer(
                ADDITIONAL,
                f"Size in records: {count_band(manifest.counts.admitted)}. Tokens are estimated at "
                f"{CHARACTERS_PER_TOKEN} characters each.",
            ),
        ),
    )


def _shown_categories(categories: Mapping[str, int]) -> list[str]:
    return [
        f"{category} ({count_band(categories[category])})"
        for category in (str(one) for one in Category)
        if categories.get(category, 0) >= FEW
    ]


# ---- section 2 --------------------------------------------------------------------------


def _sources(
    told: Provider, categories: Mapping[str, int], rules: tuple[Rule, ...]
) -> Iterable[Section]:
    yield Section(
        "2.1",
        "Publicly available datasets",
        (Answer("Publicly available datasets used to train the model", NONE),),
    )
    yield Section(
        "2.2",
        "Private non-publicly available datasets obtained from third parties",
        (
            Answer(
                "2.2.1 Datasets commercially licensed by rightsholders or their representatives",
                NONE,
            ),
            Answer("2.2.2 Private datasets obtained from other third parties", NONE),
        ),
    )
    yield Section(
        "2.3",
        "Data crawled and scraped from online sources",
        (Answer("Crawlers used by the provider or on its behalf", NONE),),
    )
    yield _user_data(told, categories, rules)
    generated = any(Authorship.GENERATED in rule.authorship for rule in rules)
    yield Section(
        "2.5",
        "Synthetic data",
        (
            Answer(
                "Synthetic data created by the provider or on its behalf to train the model",
                NONE,
            ),
            Answer(
                ADDITIONAL,
                "A rule admits records that are marked as generated." if generated else
                "No rule admits records that are marked as generated.",
            ),
        ),
    )  # fmt: skip
    yield Section(
        "2.6",
        "Other sources of data",
        (Answer("Sources other than those of sections 2.1 to 2.5", NONE),),
    )


def _user_data(told: Provider, categories: Mapping[str, int], rules: tuple[Rule, ...]) -> Section:
    prompts = categories.get(str(Category.PROMPT), 0) + categories.get(str(Category.FEEDBACK), 0)
    shown = ", ".join(_shown_categories(categories)) or "no kind with ten records or more"
    return Section(
        "2.4",
        "User data",
        (
            Answer(
                "Data from user interactions with the AI model",
                f"Yes: {count_band(prompts)} records of prompts and feedback."
                if prompts
                else "No.",
            ),
            Answer(
                "Data from user interactions with the provider's other services or products",
                f"Yes: {shown}.",
            ),
            Answer("Services or products that were used to collect the user data", told.services),
            Answer("Modality of the content", "Text"),
            Answer(ADDITIONAL, _say(rules)),
        ),
    )


def _say(rules: tuple[Rule, ...]) -> str:
    modes = {rule.mode for rule in rules}
    parts = []
    if Mode.OPT_OUT in modes:
        parts.append("where a rule says opt-out, nothing is used of members who chose off")
    if Mode.OPT_IN in modes:
        parts.append("where a rule says opt-in, only of members who chose on")
    told = "; ".join(parts) or "no rule admitted anything"
    return f"{told[0].upper()}{told[1:]}. An “off” for every purpose bars all later training sets."


# ---- section 3 --------------------------------------------------------------------------


def _processing(manifest: Manifest, told: Provider, rules: tuple[Rule, ...]) -> Iterable[Section]:
    band = _bands(manifest)
    yield Section(
        "3.1",
        "Respect of reservation of rights from text and data mining exception or limitation",
        (
            Answer(
                "Signatory to the Code of Practice for general-purpose AI models", told.signatory
            ),
            Answer(
                "Measures implemented before model training",
                "Every record was looked at under the published rules as of the instant named. "
                f"Refused because the member chose off, or had not chosen where a choice is "
                f"asked: {band(Reason.CHOSEN_OFF, Reason.NOT_CHOSEN)} records. Refused because "
                f"a hold stopped the use: {band(Reason.ON_HOLD)} records. Refused because the "
                f"words are not the member's own: {band(Reason.NOT_OWN_WORDS)} records.",
            ),
            Answer(
                ADDITIONAL,
                "Licences of records are carried along with each record and not decided on.",
            ),
        ),
    )
    yield Section(
        "3.2",
        "Removal of illegal content",
        (
            Answer("General description of measures taken", told.illegal_content),
            Answer(
                ADDITIONAL,
                f"Records that were deleted: {band(Reason.RECORD_DELETED)}. Nobody looked at what "
                "the others say.",
            ),
        ),
    )
    yield _other(manifest, rules)


def _bands(manifest: Manifest) -> Callable[..., str]:
    """Return what tells how many records were refused for some first reasons, in a band."""
    first = manifest.counts.refused

    def band(*names: Reason) -> str:
        return count_band(sum(first.get(str(name), 0) for name in names))

    return band


def _other(manifest: Manifest, rules: tuple[Rule, ...]) -> Section:
    band = _bands(manifest)
    ages = sorted({rule.minimum_age for rule in rules if rule.minimum_age})
    kept_out = ", ".join(f"under {age}" for age in ages) or "no age"
    return Section(
        "3.3",
        "Other information",
        (
            Answer(
                "Minors",
                f"Left out by the rules in force: {kept_out}, and whoever's age is not known. "
                f"Refused for that: "
                f"{band(Reason.UNDER_AGE, Reason.AGE_UNKNOWN, Reason.WRITTEN_AS_MINOR)} records.",
            ),
            Answer(
                "Private messages and the like",
                "Admitted are only the categories and visibilities that a rule lists. Refused "
                f"for that: {band(Reason.CATEGORY_EXCLUDED, Reason.NOT_VISIBLE_ENOUGH)} records.",
            ),
            Answer(
                "Evidence",
                f"Manifest {manifest.digest}, under rulebook {manifest.rulebook.digest}, with the "
                f"log {manifest.log.origin} at {manifest.log.size} entries.",
            ),
        ),
    )
