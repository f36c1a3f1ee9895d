"""`flask sotto …`: what an operator does at the shell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from pymongo import MongoClient
from pymongo_migrate.mongo_migrate import MongoMigrate

from chat import accounts, settings, uploads

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

commands = AppGroup("sotto", help="Migrations, invitations and settings.")


def migrate(uri: str) -> None:
    """Bring a database to the newest migration; doing it twice, or twice at once, changes nothing."""
    # A client of its own, without the application's time-outs: an index on a large collection takes what it takes.
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        name = client.get_default_database().name
        MongoMigrate(client=client, database=name, migrations_dir=str(MIGRATIONS)).upgrade()


def migrate_if_embedded(values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """The embedded database has no operator: it is migrated at every start."""
    if not environ.get("MONGODB_URI") and values["SOTTO_ENV"] == "development":
        migrate(values["MONGODB_URI"])


@commands.command("migrate")
def migrate_command() -> None:
    """Make the indexes and apply what is new in migrations/."""
    migrate(current_app.config["MONGODB_URI"])
    click.echo("The database is up to date.")


@commands.command("invite")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 100), help="How many codes.")
def invite_command(count: int) -> None:
    """Print new one-time invite codes, each good for one account."""
    for _ in range(count):
        click.echo(accounts.make_invite())


@commands.command("sweep")
def sweep_command() -> None:
    """Delete uploads that no message refers to; the server does it every hour by itself."""
    click.echo(f"{uploads.sweep()} uploads deleted.")


@commands.command("settings")
def settings_command() -> None:
    """Print every setting as the table of docs/settings.md."""
    click.echo(settings.as_table())


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(commands)
