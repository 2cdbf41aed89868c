"""How public pages and files are answered: kept by others for a minute, asked again by ETag.

Promises: nothing that was made for somebody who is signed in, or that sets a cookie, is kept by
anybody else; what has not changed is not sent again. Source: RFC 9110, 13.1.2; RFC 9111.
"""

import hashlib
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.rendering import Page, render
from sayso.web.request import caller_of

KEPT_SECONDS = 60


def public_page(request: Request, template: str, page: Page, status: int = 200) -> Response:
    """Return a page that anybody may see."""
    answer = render(request, template, page, status)
    return _kept(request, answer, "accept-language, cookie, authorization")


def public_file(
    request: Request, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a file that anybody may have; the same for all."""
    answer = Response(body, media_type=media_type, headers=dict(headers or {}))
    # Others may show and read it: there is nothing in it that is not for everybody.
    answer.headers["cross-origin-resource-policy"] = "cross-origin"
    answer.headers["access-control-allow-origin"] = "*"
    return _kept(request, answer, "")


def _kept(request: Request, answer: Response, vary: str) -> Response:
    """Say how long an answer may be kept, or that it has not changed."""
    if vary:
        answer.headers["vary"] = vary
    is_private = caller_of(request).is_known or "set-cookie" in answer.headers
    if answer.status_code != 200 or (vary and is_private):
        return answer
    tag = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:32]}"'
    answer.headers["etag"] = tag
    answer.headers["cache-control"] = f"public, max-age={KEPT_SECONDS}"
    if tag in _tags(request.headers.get("if-none-match", "")):
        kept = {
            name: answer.headers[name]
            for name in ("etag", "cache-control", "vary")
            if name in answer.headers
        }
        return Response(status_code=304, headers=kept)
    return answer


def _tags(header: str) -> set[str]:
    return {one.strip().removeprefix("W/") for one in header[:2000].split(",")}
