"""Local: addresses of pages of ours, made from what a request says.

Promises: no browser takes one for an address of another site.
"""

from urllib.parse import quote, urlsplit


def local_path(target: str | None) -> str:
    r"""Return a path of this site to go to; the start page for anything else.

    A browser takes `//host`, `/\host` and what hides behind control signs for another host.
    """
    if not target or not target.startswith("/") or target[1:2] in {"/", "\\"}:
        return "/"
    if "\\" in target or any(ord(sign) < 33 or ord(sign) == 127 for sign in target):
        return "/"
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else "/"


def sign_in_path(path: str) -> str:
    """Return where to sign in and come back to a path from."""
    return f"/sign-in?to={quote(path, safe='/')}"
