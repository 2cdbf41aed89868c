import time

import pytest

from sayso.sources.markup import to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain &amp; simple", "plain & simple"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("<style>p{}</style><script>if (a<b) x()</script>seen", "seen"),
        ("<title>hidden</title><h1>shown</h1>", "shown"),
        ("a<!-- <p>no</p> -->b", "ab"),
        ("<?xml version='1'?><!DOCTYPE html>a", "a"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ('<a title="x > y">link</a>', "link"),
        ("<a title=it's>link</a> it's", "link it's"),
        ("\ufeff&#xD800;", "\ufeff\ufffd"),
        ("", ""),
    ],
)
def test_text(source: str, text: str) -> None:
    assert to_text(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "mine<blockquote><p>theirs</p></blockquote>",
        "mine<BLOCKQUOTE class='spoiler'>theirs<blockquote>theirs</blockquote>theirs</BLOCKQUOTE>",
        "mine<blockquote>theirs",
        "mine<blockquote/>theirs",
        'mine<blockquote cite="a<b>c">theirs</blockquote>',
        'mine<blockquote cite="unclosed>theirs</blockquote>',
        "mine<q>theirs</q>",
        "mine<blockquote cite=it's>theirs</blockquote>",
        "mine<script>theirs</blockquote>",
        "mine<a href='theirs",
    ],
)
def test_quotations_and_broken_ends_are_left_out(source: str) -> None:
    assert to_text(source) == "mine"


def test_what_follows_a_quotation_stands() -> None:
    assert to_text("a<blockquote>b</blockquote>c</blockquote>d") == "a\n\nc\n\nd"


def test_a_reference_of_thousands_of_digits_is_text() -> None:
    source = "&#" + "9" * 5000 + ";"
    assert to_text(source) == source


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<a ", '<a a="', "<a a=", "<![CDATA[", "</", "<", "<script>", "&#", "<a '>", '="<'],
)
def test_time_is_linear(piece: str) -> None:
    source = piece * (400_000 // len(piece))
    begun = time.process_time()  # of this process: the machine may have other work
    to_text(source)
    assert time.process_time() - begun < 10  # the standard library's parser takes minutes
