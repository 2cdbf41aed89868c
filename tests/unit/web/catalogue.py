"""Every English text that a page may show, found where it is written.

A text reaches a page in one of three ways: a template translates it, a page module translates
it, or a page module names it and a template translates the name. The last are texts that are
not seen to be translated where they stand, so they are looked for by what they look like.

Run `python -m tests.unit.web.catalogue` for what the Chinese catalogue lacks and what it holds
for nothing.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import sayso.web
from sayso.attest.issue import WITHDRAWAL_MEANS
from sayso.attest.naming import STATES
from sayso.attest.page import APPLICATION, MEANINGS, NOBODY, SAID, TELLERS, TOLD
from sayso.decision.explain import SENTENCES
from sayso.web.people import PEOPLE

WEB = Path(sayso.web.__file__).parent
PO = WEB / "locales" / "zh_Hant.po"
# A text, or a text and its plural.
Text = str | tuple[str, str]

_OPTIONS = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
# A sentence or a title, as no code, address or name of a field looks.
_LOOKS_LIKE_TEXT = re.compile(
    r"[A-Z][a-z]+(?:[ ,:].*)?|On|Off|[a-z][a-z']*[,:]? .*[a-z]", re.DOTALL
)
# What looks like a text and is none that a page translates: what errors say stands in English,
# files and forms of the world outside have words of their own.
_NO_TEXTS = frozenset({
    "there is no such setting", "see /settings", "there is no such receipt",
    "see what you have said so far",
    "this service was not told where profiles stand", "ask for a post",
    "there is no such purpose",
    "there is no such table", "see /transparency/datapackage.json",
    "the log has no checkpoint yet", "try again in a second",
    "When the ledger began; rules of earlier days are told as the rulebook dates them.",
    "accept-language, cookie, authorization", "legitimate interest",
})  # fmt: skip
# Words in tables of the pages that are too short to look like texts.
_WORDS = (("public_words", "DISPOSITIONS", "kept"), ("public_words", "DISPOSITIONS", "sealed"))


@lru_cache
def collected() -> dict[Text, str]:
    """Return every text, and where it was found first; in the order of a catalogue."""
    found: dict[Text, str] = {}
    for where, text in (*_of_templates(), *_of_modules(), *_of_constants()):
        found.setdefault(text, where)
    return found


def _of_templates() -> Iterator[tuple[str, Text]]:
    for path in sorted((WEB / "templates").glob("*.html")):
        with path.open("rb") as file:
            found = list(babel_extract(file, ("_", "gettext", "ngettext"), (), _OPTIONS))
        for _, function, messages, _ in found:
            texts = [one for one in _as_tuple(messages) if isinstance(one, str)]
            if function == "ngettext" and len(texts) > 1:
                yield path.name, (texts[0], texts[1])
            elif texts:  # none where a template translates a name
                yield path.name, texts[0]


def _as_tuple(messages: object) -> tuple[object, ...]:
    return tuple(messages) if isinstance(messages, list | tuple) else (messages,)


def _of_modules() -> Iterator[tuple[str, str]]:
    for path in (*sorted((WEB / "pages").glob("*.py")), WEB / "rendering.py"):
        tree = ast.parse(path.read_text("utf-8"))
        translated = _translated(tree)
        for text in translated:
            yield path.name, text
        if path.parent.name == "pages":
            for text in _looking_like_texts(tree):
                yield path.name, text


def _translated(tree: ast.Module) -> Iterator[str]:
    """Yield the literal texts that a module translates itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name.endswith("gettext"):
                yield from _strings(node.args)


def _strings(nodes: list[ast.expr]) -> Iterator[str]:
    """Yield what stands there to be chosen from, and not what is compared or looked up."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from _strings([node.body, node.orelse])


def _looking_like_texts(tree: ast.Module) -> Iterator[str]:
    passed = set()
    for node in ast.walk(tree):
        # Docstrings and pieces of composed texts are none.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            passed.update(one for one in node.values if isinstance(one, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            text = node.value
            if _LOOKS_LIKE_TEXT.fullmatch(text) and text not in _NO_TEXTS:
                yield text


def _of_constants() -> Iterator[tuple[str, str]]:
    yield from (("decision/explain.py", text) for text in SENTENCES.values())
    yield from (("attest/page.py", text) for text in MEANINGS.values())
    said = (*SAID.values(), *TOLD.values(), *TELLERS.values(), APPLICATION, NOBODY)
    yield from (("attest/page.py", text) for text in said)
    yield from (("attest/naming.py", text) for text in STATES)
    yield from (("attest/issue.py", text) for text in WITHDRAWAL_MEANS.values())
    yield from (("people.py", one.title) for one in PEOPLE)
    for module, table, key in _WORDS:
        yield f"{module}.py", getattr(import_module(f"sayso.web.pages.{module}"), table)[key]


def catalogue() -> Catalog:
    """Return the Chinese catalogue as it stands."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh_Hant")


def held() -> dict[Text, str]:
    """Return every text of the Chinese catalogue with its translation."""
    found: dict[Text, str] = {}
    for message in catalogue():
        forms = message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
        told = _as_tuple(message.string)[0]
        if forms:
            found[forms] = str(told)
    return found


def main() -> None:
    """Print what is missing and what is held for nothing."""
    texts, translations = collected(), held()
    lines = [f"missing ({where}): {text!r}" for text, where in texts.items()
             if text not in translations]  # fmt: skip
    lines += [f"for nothing: {text!r}" for text in translations if text not in texts]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
