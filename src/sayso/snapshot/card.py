"""What people and machines read about a snapshot: a card, a chart, Croissant metadata.

Promises: pure functions of the manifest and the rulebook; equal inputs, equal bytes. Never
says that an admission is lawful: a record is "admitted under" rules, no more.

Source: the dataset card of Hugging Face (YAML front matter); MLCommons Croissant 1.0.
"""

from xml.sax.saxutils import escape

from sayso.model import Rulebook
from sayso.snapshot.manifest import Manifest, canonical_json

BAR_PIXELS = 420
ROW_PIXELS = 26
LABEL_PIXELS = 190


def describe(manifest: Manifest, book: Rulebook) -> dict[str, bytes]:
    """Return the descriptive files of a snapshot, by name."""
    return {
        "README.md": card(manifest, book).encode(),
        "croissant.json": canonical_json(croissant(manifest)),
        "refusals.svg": refusals_svg(manifest).encode(),
    }


def card(manifest: Manifest, book: Rulebook) -> str:
    """Return the dataset card in Markdown."""
    front = [
        "---",
        f"pretty_name: {manifest.purpose} as of {manifest.at}",
        "configs:",
        "- config_name: default",
        "  data_files: records/*.parquet",
        "---",
    ]
    parts = [
        front,
        _summary(manifest, book),
        _refusals(manifest),
        _countries(manifest),
        _made_from(manifest),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _summary(manifest: Manifest, book: Rulebook) -> list[str]:
    counts, purpose = manifest.counts, book.purposes.get(manifest.purpose)
    share = 100 * counts.admitted / counts.records_in if counts.records_in else 0
    return [
        f"# Training set: {purpose.title if purpose else manifest.purpose}",
        "",
        (
            f"**{counts.admitted:,} of {counts.records_in:,} records ({share:.1f} %) are "
            "admitted** "
            f"under the rulebook published as entry {manifest.rulebook.entry} "
            f"(`{manifest.rulebook.digest[:16]}`), as of {manifest.at}, knowing the first "
            f"{manifest.known} entries of the ledger."
        ),
        "",
        (
            "Admitted means that a published rule admits the record and that neither its member "
            "nor an authority stands against it. It does not mean lawful, approved or consented."
        ),
    ]


def _refusals(manifest: Manifest) -> list[str]:
    counts = manifest.counts
    return [
        "## Why the others are not here",
        "",
        "![Refused records by reason](refusals.svg)",
        "",
        "A record has every reason that stands against it, and counts as refused under the first.",
        "",
        "| reason | first reason | among the reasons |",
        "|---|---:|---:|",
        *(
            f"| `{reason}` | {counts.refused.get(reason, 0):,} | {rows:,} |"
            for reason, rows in counts.reasons.items()
        ),
        f"| **refused** | **{counts.records_in - counts.admitted:,}** | |",
    ]


def _countries(manifest: Manifest) -> list[str]:
    return [
        "## By country",
        "",
        "| country | in | admitted | refused |",
        "|---|---:|---:|---:|",
        *(
            f"| {country} | {part.records_in:,} | {part.admitted:,} | "
            f"{part.records_in - part.admitted:,} |"
            for country, part in manifest.by_country.items()
        ),
    ]


def _made_from(manifest: Manifest) -> list[str]:
    versions = manifest.versions
    return [
        "## What it was made from",
        "",
        "| input | rows | SHA-256 |",
        "|---|---:|---|",
        *(f"| {name} | {one.rows:,} | `{one.sha256}` |" for name, one in manifest.inputs.items()),
        "",
        (
            f"Semantics version {versions.semantics}, tz database {versions.tzdata}. "
            f"Root of the records: `{manifest.root}`."
        ),
        "",
        (
            "The same inputs, instant, known entries, rulebook and member keys give the same bytes "
            "in `records/`. Refused text is not in this folder."
        ),
    ]


def refusals_svg(manifest: Manifest) -> str:
    """Return a bar chart of refused records by first reason, admitted on top."""
    counts = manifest.counts
    rows = [("admitted", counts.admitted), *counts.refused.items()]
    most = max([rows_ for _, rows_ in rows] + [1])
    height = 74 + ROW_PIXELS * len(rows)
    width = LABEL_PIXELS + BAR_PIXELS + 130
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d" '
            'font-family="system-ui, sans-serif" font-size="13">'
        ),
        '<title id="t">Records by first reason of refusal</title>',
        (
            f'<desc id="d">{counts.admitted} of {counts.records_in} records admitted as of '
            f"{escape(manifest.at)}</desc>"
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        (
            '<text x="16" y="28" font-size="16" font-weight="600" fill="#1b1f24">'
            "Records by first reason of refusal</text>"
        ),
        (
            f'<text x="16" y="47" fill="#57606a">as of {escape(manifest.at)}, '
            f"{counts.records_in:,} records in</text>"
        ),
    ]
    for place, (name, number) in enumerate(rows):
        y = 62 + place * ROW_PIXELS
        bar = max(1.0, BAR_PIXELS * number / most) if number else 0
        colour = "#1a7f5a" if name == "admitted" else "#b35900"
        share = 100 * number / counts.records_in if counts.records_in else 0
        parts += [
            (
                f'<text x="{LABEL_PIXELS - 8}" y="{y + 15}" text-anchor="end" fill="#1b1f24">'
                f"{escape(name)}</text>"
            ),
            (
                f'<rect x="{LABEL_PIXELS}" y="{y + 3}" width="{bar:.1f}" height="{ROW_PIXELS - 9}" '
                f'rx="2" fill="{colour}"/>'
            ),
            (
                f'<text x="{LABEL_PIXELS + bar + 6:.1f}" y="{y + 15}" fill="#1b1f24">{number:,}'
                f'<tspan dx="5" fill="#57606a">({share:.1f} %)</tspan></text>'
            ),
        ]
    return "\n".join([*parts, "</svg>", ""])


# The context that the specification gives; readers of Croissant warn of any other.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "excludes", "extract", "field",
            "fileObject", "fileProperty", "fileSet", "format", "includes", "isLiveDataset",
            "jsonPath", "key", "md5", "parentField", "path", "readLines", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
            "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
# The name that readers of Croissant know Parquet by, which is not the registered one.
_PARQUET = "application/x-parquet"

_FIELDS = (
    ("record_id", "sc:Text"), ("member_id", "sc:Text"), ("country", "sc:Text"),
    ("category", "sc:Text"), ("visibility", "sc:Text"), ("authorship", "sc:Text"),
    ("context", "sc:Text"), ("written_at", "sc:DateTime"), ("licence", "sc:Text"),
    ("text", "sc:Text"),
)  # fmt: skip


def croissant(manifest: Manifest) -> dict[str, object]:
    """Return Croissant 1.0 metadata.

    Source: https://docs.mlcommons.org/croissant/
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{manifest.purpose}-{manifest.at}",
        "description": f"{manifest.counts.admitted} records admitted for {manifest.purpose} "
        f"as of {manifest.at} under rulebook {manifest.rulebook.digest}",
        "version": "1.0.0",
        "datePublished": manifest.at,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": bucket.file,
                "name": bucket.file,
                "contentUrl": bucket.file,
                "encodingFormat": _PARQUET,
                "sha256": bucket.sha256,
            }
            for bucket in manifest.buckets.values()
        ]
        + [
            {
                "@type": "cr:FileSet",
                "@id": "records",
                "name": "records",
                "encodingFormat": _PARQUET,
                "includes": "records/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "record",
                "name": "record",
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"record/{name}",
                        "name": name,
                        "dataType": kind,
                        "source": {"fileSet": {"@id": "records"}, "extract": {"column": name}},
                    }
                    for name, kind in _FIELDS
                ],
            }
        ],
    }
