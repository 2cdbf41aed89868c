"""The command of the verifier that stands alone: arguments in, lines out, an exit code.

Promises: what `sayso verify` takes, without the libraries of the command line. Exit codes: 0
sound, 1 a check failed, 2 bad input, 4 a file cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sayso.errors import InputError, SaysoError
from sayso.evidence.verify import load_given, told, verify_path

SOUND, FAILED, BAD_INPUT, UNAVAILABLE = 0, 1, 2, 4


def main(arguments: Sequence[str]) -> int:
    """Verify what the arguments name, print what was checked, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="sayso-verify",
        description="Check a snapshot, a pack or a receipt of Sayso without Sayso.",
    )
    parser.add_argument("path", type=Path, help="a snapshot's folder, a pack or a receipt")
    parser.add_argument(
        "--key", type=Path, action="append", default=[], help="a public key (PEM); may be repeated"
    )
    parser.add_argument("--policy", type=Path, help="which logs and witnesses you believe")
    parser.add_argument("--known-checkpoint", type=Path, help="one that you have seen before")
    parser.add_argument("--consistency", type=Path, help="proof that the log grew from it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    try:
        given = load_given(asked.key, asked.policy, asked.known_checkpoint, asked.consistency)
        report = verify_path(asked.path, given)
    except SaysoError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT if isinstance(error, InputError) else UNAVAILABLE
    text = json.dumps(report.to_json(), indent=2) if asked.json else told(report)
    sys.stdout.write(f"{text}\n")
    return SOUND if report.is_sound else FAILED
