"""`sayso serve` and `sayso client`: pages and API, and who may use the API."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from sayso.cli.shared import FILE, Shared, emit, now, opened, shared_options
from sayso.decision.states import microseconds
from sayso.errors import UnavailableError
from sayso.settings import LOOPBACK, load_settings, parse_web

PROVIDER_PORT = 9400
# Every address of this machine -> the one that a browser on it types.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Where to listen; 0 for any that is free.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes."
)
@click.option(
    "--demonstration", is_flag=True, help="With invented members and somebody who vouches for them."
)
@click.option(
    "--out",
    type=FILE,
    default=Path("serve-out"),
    show_default=True,
    help="Where a demonstration stands.",
)
@click.option(
    "--provider-port",
    type=click.IntRange(1, 65_535),
    default=PROVIDER_PORT,
    show_default=True,
    help="Where the provider of a demonstration listens.",
)
@shared_options
def serve(
    shared: Shared, *, host: str, port: int, workers: int, demonstration: bool, out: Path,
    provider_port: int,
) -> None:  # fmt: skip
    """Answer pages and API until interrupted."""
    try:
        from sayso.web.development import make_demonstration, provider  # noqa: PLC0415
        from sayso.web.serving import check, listen  # noqa: PLC0415
        from sayso.web.serving import serve as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"the package '{error.name}' is not installed", hint="pip install 'sayso[server]'"
        ) from None
    place = Path(shared.workspace or os.environ.get("SAYSO_WORKSPACE") or ".")
    if not demonstration:
        check(place)
    with ExitStack() as stack:
        stack.enter_context(_ended_in_order())
        listening = stack.enter_context(closing(listen(host, port)))
        listens = _address(host, listening)
        if demonstration:  # which changes nothing before it has both ports
            address = parse_web({"address": listens}).address
            stack.enter_context(provider(provider_port))
            place = make_demonstration(
                out, lambda text: click.echo(text, err=True), address=address,
                issuer=f"http://127.0.0.1:{provider_port}",
            )  # fmt: skip
            check(place)
        address = load_settings(place).web.address
        emit(
            shared, {"address": address, "listens": listens, "workspace": str(place)},
            f"{_told(address, listens)}  (workspace '{place}'; interrupt to end)",
        )  # fmt: skip
        sys.stdout.flush()
        run(place, listening, workers=workers, is_demonstration=demonstration)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have whoever is told to end release what they hold, a provider among it."""

    def end(_number: int, _frame: object) -> None:
        sys.exit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _address(host: str, listening: socket.socket) -> str:
    """Return what a browser on this machine types to reach a socket."""
    name = EVERYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}"


def _told(address: str, listens: str) -> str:
    """Say what members type, and where the service listens if that is something else."""
    typed, heard = urlsplit(address), urlsplit(listens)
    if typed.scheme == "https":
        return f"{address}, through a web server that passes it on to {listens}"
    is_same = typed.hostname in LOOPBACK and heard.hostname in LOOPBACK
    if (typed.hostname == heard.hostname or is_same) and (typed.port or 80) == heard.port:
        return address
    return (
        f"listens at {listens}, but sayso.toml has the address {address}: write the one that "
        "members type into web.address, or nobody can sign in"
    )


@click.group("client")
def client() -> None:
    """Service clients: jobs of the platform that use the API."""


@client.command("add")
@click.argument("title")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; repeat.")
@shared_options
def add(shared: Shared, *, title: str, scopes: tuple[str, ...]) -> None:
    """Make a client called TITLE, and show its secret, once."""
    from sayso.web.access import Scope  # noqa: PLC0415
    from sayso.web.clients import Clients, read_scopes  # noqa: PLC0415
    from sayso.web.sealed import make_tables  # noqa: PLC0415

    wanted: frozenset[Scope] = read_scopes(" ".join(scopes))
    with opened(shared) as workspace:
        make_tables(workspace.ledger)
        who, secret = Clients(workspace.ledger).add(title, wanted, microseconds(now()))
    told = {"client_id": who, "client_secret": secret, "scopes": sorted(wanted)}
    emit(shared, told, f"client {who}\nsecret {secret}\n\nThe secret is not shown again.")


@client.command("list")
@shared_options
def list_(shared: Shared) -> None:
    """Show every client."""
    from sayso.web.clients import Clients  # noqa: PLC0415
    from sayso.web.sealed import make_tables  # noqa: PLC0415

    with opened(shared) as workspace:
        make_tables(workspace.ledger)
        found = Clients(workspace.ledger).all()
    told = [
        {
            "client_id": one.client_id, "title": one.title, "scopes": sorted(one.scopes),
            "revoked": one.revoked_us is not None,
        }
        for one in found
    ]  # fmt: skip
    lines = [
        f"{one.client_id}  {one.title}: {' '.join(sorted(one.scopes))}"
        + ("  (revoked)" if one.revoked_us is not None else "")
        for one in found
    ]
    emit(shared, {"clients": told}, "\n".join(lines) or "there are no clients")


@client.command("revoke")
@click.argument("client_id")
@shared_options
def revoke(shared: Shared, *, client_id: str) -> None:
    """End a client and its tokens, at once."""
    from sayso.web.clients import Clients  # noqa: PLC0415
    from sayso.web.sealed import make_tables  # noqa: PLC0415

    with opened(shared) as workspace:
        make_tables(workspace.ledger)
        Clients(workspace.ledger).revoke(client_id, microseconds(now()))
    emit(shared, {"revoked": client_id}, f"client {client_id} and its tokens are no more")


COMMANDS = (serve, client)
