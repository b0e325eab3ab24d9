"""`sunriza keys`: API keys of the service, and the key that signs marks."""

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Add, list and revoke API keys of the service; show and replace the key that signs marks."""


@keys.command()
@click.argument("owner", metavar="USER")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["render", "jobs", "metrics", "admin"]),
    default=("render", "jobs"),
    show_default=True,
    help="What the key may do; may be repeated.",
)
@click.option("--name", default="key", show_default=True, help="What the key is called in lists.")
@as_json
def add(owner: str, scopes: tuple[str, ...], name: str, as_json: bool) -> None:
    """Make a key with which requests act for USER. It is shown this once."""
    from resources.orders.open import open_orders
    from sunriza_assets.service.auth.keys import make_key

    text, key = make_key(owner, scopes, name)
    open_orders().add_key(key)
    if as_json:
        print_json({"key": text, "id": key.key_id, "owner": owner, "scopes": sorted(key.scopes)})
    else:
        click.echo(text)


@keys.command(name="list")
@click.option("--owner", metavar="USER", help="Keys of one user.")
@as_json
def list_keys(owner: str | None, as_json: bool) -> None:
    """List keys, the newest first; their secrets are stored nowhere."""
    from resources.orders.open import open_orders

    rows = [
        {
            "id": key.key_id,
            "owner": key.owner,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created": key.created_at.isoformat(),
            "last_used": key.last_used_at.isoformat() if key.last_used_at else None,
            "revoked": key.revoked_at.isoformat() if key.revoked_at else None,
        }
        for key in open_orders().keys(owner)
    ]
    if as_json:
        print_json({"keys": rows})
        return
    for row in rows:
        state = "revoked" if row["revoked"] else "valid"
        scopes = ",".join(row["scopes"] or ())
        click.echo(f"{row['id']}  {state:<7}  {row['owner']}  {scopes}  {row['name']}")


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke a key by its id, or by the whole key. Exit code 1 if there is none that is valid."""
    from resources.orders.open import open_orders
    from sunriza_assets.service.auth.keys import key_id_of

    if not open_orders().revoke_key(key_id_of(key_id) or key_id):
        click.echo("There is no valid key with this id.", err=True)
        raise click.exceptions.Exit(1)
    click.echo("revoked")


@keys.command()
@click.option("--rotate", is_flag=True, help="Make a new key; what it replaces stays known.")
@click.option("--certificates", is_flag=True, help="Print the certificates as PEM, for verifiers.")
@as_json
def signing(rotate: bool, certificates: bool, as_json: bool) -> None:
    """Show the key that signs marks (C2PA) in published files; it is made where there is none."""
    from resources.home import Home
    from resources.marking import given_key, signing_key
    from resources.settings import current_settings
    from sunriza_assets.errors import ParameterError
    from sunriza_assets.studio.marks.key import KEY_NAME, rotate_key

    settings, home, given = current_settings(), Home.from_environment(), given_key()
    if rotate and given is not None:
        raise ParameterError(
            "The key is set by SUNRIZA_SIGNING_KEY or SUNRIZA_SIGNING_KEY_FILE",
            remedy="Without them, `sunriza keys signing --rotate` makes a new one in"
            " SUNRIZA_HOME/keys; then set it anew.",
            code="setting",
        )
    place = settings.signing_key_file if given is not None else home.keys / KEY_NAME
    if rotate:
        home.make()
    key = rotate_key(home.keys) if rotate else signing_key()
    if certificates:
        click.echo(key.chain_pem.decode(), nl=False)
        return
    facts = {
        "name": key.name,
        "fingerprint": key.fingerprint,
        "expires": key.expires.isoformat(),
        "file": "SUNRIZA_SIGNING_KEY" if settings.signing_key is not None else str(place),
        "marks": settings.marks,
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
