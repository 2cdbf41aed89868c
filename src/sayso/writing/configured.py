"""The remote model that `sayso.toml` names, and the key that it is asked with."""

from pathlib import Path

from sayso.errors import InputError
from sayso.settings import RemoteModel
from sayso.writing.provider import Recipient
from sayso.writing.remote import Endpoint, Remote


def configured_remote(workspace: Path, configured: RemoteModel, key: str) -> Remote:
    """Return the model that the settings name.

    Args:
        workspace: The folder that a relative key file stands in.
        configured: What `[assistant]` says.
        key: Counts where the settings name no file.

    Raises:
        InputError: The key file cannot be read, or holds what no header can.
    """
    if configured.key_file:
        key = read_key(workspace / configured.key_file)
    where = Recipient(configured.recipient, configured.url)
    return Remote(Endpoint(where, configured.model, configured.api_version, need_key(key)))


def read_key(file: Path) -> str:
    """Return the key in a file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"the key file '{file}' cannot be read", hint="check the file") from None


def need_key(key: str) -> str:
    """Return a key without the white space around it.

    Raises:
        InputError: It holds what no header can.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError("the key holds signs that no header can", hint="check the key")
    return key
