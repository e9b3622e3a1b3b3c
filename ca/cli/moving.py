"""`homeca move`: the record goes to the database server that homeca.toml names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ca.cli.options import HomeOption, JsonOption, chosen_home
from ca.cli.output import document, good, result, say
from ca.cli.progress import Progress
from ca.home import Home
from ca.names.showing import many, visible
from ca.wiring.record import move_record


def register(app: typer.Typer) -> None:
    """Put the command on the program."""
    app.command("move")(move)


def move(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The SQLite file with the record; without it the home's own homeca.db.",
        ),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take the record along to PostgreSQL, when a home has outgrown its file.

    Write its URL into homeca.toml first, as an empty database's. Every row goes there in one
    commit, is read back and compared; keys and TPM stay as they are. This home is then the first
    node of that record, and others can join. homeca.db stays where it is and takes nothing more.

    Example: homeca move
    """
    place = Home(chosen_home(home))
    old = source if source is not None else place.database
    with Progress(None, "moving") as progress:
        count, database = move_record(place, old, on_certificates=progress.advance)
    if as_json:
        document(database=database, certificates=count, left=str(old))
        return
    result(good(f"{many(count, 'certificate')} and all that is known of them are in {database}"))
    say(f"left: {visible(str(old))}, which takes nothing more; keep it until the next backup")
    say("next: `homeca audit verify`, then `homeca backup` and the `pg_dump` that it names")
