import base64

import pytest

from sayso.errors import InputError
from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text

ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
# Source: c2sp.org/tlog-checkpoint.
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_the_published_checkpoint() -> None:
    head = Checkpoint("example.com/behind-the-sofa", 20_852_163, ROOT)
    assert parse_checkpoint_text(SOFA) == head
    assert head.to_text() == SOFA


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint("x", 0, ROOT),
        Checkpoint("an origin with spaces + plus", 2**63 - 1, ROOT),
        Checkpoint("é", 1, ROOT, ("one", "two")),
    ],
)
def test_checkpoints_are_read_back(head: Checkpoint) -> None:
    assert parse_checkpoint_text(head.to_text()) == head


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        SOFA[:-1],
        SOFA + "\n",
        "\n" + SOFA,
        SOFA + "extension",
        SOFA + "one\n\ntwo\n",
        "example.com\n20852163\n",
        SOFA.replace("20852163", "020852163"),
        SOFA.replace("20852163", "00"),
        SOFA.replace("20852163", "-1"),
        SOFA.replace("20852163", "+1"),
        SOFA.replace("20852163", "1_0"),
        SOFA.replace("20852163", " 1"),
        SOFA.replace("20852163", "1.0"),
        SOFA.replace("20852163", "\u0661"),
        SOFA.replace("20852163", str(2**63)),
        SOFA.replace("20852163", "9" * 5000),
        SOFA.replace("20852163", ""),
        SOFA.replace("q2I=", "q2I"),
        SOFA.replace("q2I=", "q2J="),
        SOFA.replace("q2I=", "q2=="),
        SOFA.replace("CsU", "Cs U"),
        SOFA.replace("/", "_"),
        SOFA.replace("CsUY", ""),
        SOFA.replace("CsUY", "CsUYCsUY"),
    ],
)
def test_other_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_checkpoint_text(text)


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint(f"a\n5\n{base64.b64encode(ROOT).decode()}", 1, ROOT),
        Checkpoint("a", -1, ROOT),
        Checkpoint("a", 2**63, ROOT),
        Checkpoint("a", 1, b""),
        Checkpoint("a", 1, ROOT, ("",)),
        Checkpoint("a", 1, ROOT, ("one\ntwo",)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(head: Checkpoint) -> None:
    with pytest.raises(InputError):
        head.to_text()
