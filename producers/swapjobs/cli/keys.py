"""The commands of API keys: keys create, list and revoke."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.contract.scope import ALL_TENANTS, MEANINGS, TENANT_SCOPES
from swapjobs.settings import CoreSettings, load_settings
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.access.api_keys import ApiKey


def register(app: typer.Typer) -> None:
    """Add these commands."""
    keys = typer.Typer(help="Keys of the HTTP gateway: make, list, revoke.", no_args_is_help=True)
    keys.command()(create)
    keys.command(name="list")(list_keys)
    keys.command()(revoke)
    app.add_typer(keys, name="keys")


def create(
    *,
    tenant: Annotated[str, typer.Option(help="whose jobs it may submit and see")] = "default",
    all_tenants: Annotated[
        bool,
        typer.Option("--all-tenants", help="for the console: nobody's alone; with --scope read, metrics, operate"),
    ] = False,
    name: Annotated[str, typer.Option(help="what it is for; shown in the list")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="what it allows, may be repeated: " + "; ".join(map(": ".join, MEANINGS.items())),
            show_default=", ".join(TENANT_SCOPES),
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key and print it: this once, only its digest is kept."""
    scopes = scope or (["read"] if all_tenants else TENANT_SCOPES)
    with _store() as store:
        made = store.api_keys.create(ALL_TENANTS if all_tenants else tenant, name=name, scopes=scopes)
        store.audit.note("key.create", tenant=tenant, target=made.id, detail={"scopes": made.scopes})
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print_fields(out, ("key", 6, "dim"), (made.key, 0, "bold"))
        print_fields(out, ("id", 6, "dim"), (made.id, 0, ""))
        print_fields(out, ("tenant", 6, "dim"), (_whose(made.tenant), 0, ""))
        print_fields(out, ("scopes", 6, "dim"), (", ".join(made.scopes), 0, ""))


def list_keys(*, as_json: JsonFlag = False) -> None:
    """List the keys, without their secrets."""
    with _store() as store:
        result = store.api_keys.list()
    if as_json:
        print_json({"keys": [key.model_dump(mode="json") for key in result]})
    elif not result:
        print_fields(out, ("there are no keys; swapjobs keys create --help", 0, ""))
    for key in [] if as_json else result:
        _print(key)


def revoke(key_id: str, *, as_json: JsonFlag = False) -> None:
    """Make a key useless, at every gateway within 5 s. KEY_ID stands in the list, and in the key after `sj_`."""
    with _store() as store:
        key = store.api_keys.revoke(key_id)
        store.audit.note("key.revoke", tenant=key.tenant, target=key.id)
    if as_json:
        print_json(key.model_dump(mode="json"))
    else:
        _print(key)


def _print(key: ApiKey) -> None:
    state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else "valid"
    made = f"made {key.created_at:%Y-%m-%d %H:%M} UTC"
    style = "" if key.revoked_at else "green"
    scopes = ",".join(key.scopes)
    row = ((_whose(key.tenant), 0, ""), (state, 0, style), (scopes, 0, ""), (made, 0, "dim"), (key.name, 0, ""))
    print_fields(out, (key.id, 12, "bold"), *row)


def _whose(tenant: str) -> str:
    return "all" if tenant == ALL_TENANTS else tenant


@contextmanager
def _store() -> Iterator[Store]:
    settings = load_settings(CoreSettings)
    with connect(settings) as client, queue_errors():
        yield Store(client, settings)
