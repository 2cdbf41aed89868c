"""Text preparation: one record in, one text out."""

import pytest

from sayso.training.text import mask_contacts, prepare


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.b+c@mail.example.org!", "Write to [e-mail]!"),
        ("a@b.co and c@d.co", "[e-mail] and [e-mail]"),
        ("Call +44 20 7946 0958.", "Call [phone]."),
        ("Call (020) 7946-0958 now", "Call [phone] now"),
        ("852 2827 2827", "[phone]"),
        ("In 2019 we were 12, on 2025-11-03 we were 1,400", None),
        ("3.11.2025 and 03/11/2025", None),
        ("ISBN 12345678901234567890", None),
        ("a@b is no address", None),
        ("", None),
    ],
)
def test_contacts_are_masked_and_nothing_else(text: str, masked: str | None) -> None:
    assert mask_contacts(text) == (text if masked is None else masked)


@pytest.mark.parametrize(
    ("category", "begins"),
    [
        ("profile", "Write a biography."),
        ("resume", "Write a biography."),
        ("post", "Write a post."),
        ("article", "Write an article."),
        ("activity", "Write a post."),
        (None, "Write a post."),
    ],
)
def test_a_category_has_its_template(category: str | None, begins: str) -> None:
    assert prepare(category, " {words} ") == f"{begins}\n\n{{words}}"


def test_a_record_without_words_gives_none() -> None:
    assert prepare("post", None) == prepare("post", "  ") == ""


def test_it_keeps_no_count_of_what_it_saw() -> None:
    before = prepare("post", "b@c.de")
    for number in range(100):
        prepare("post", f"{number}@example.org")

    assert prepare("post", "b@c.de") == before
