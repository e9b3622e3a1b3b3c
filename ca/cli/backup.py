"""`homeca backup`, `homeca restore`, `homeca drill`: a way back when the machine dies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.opening import facility, opening, owner_above
from ca.cli.options import HomeOption, JsonOption, TpmOption, chosen_home, read_passphrase
from ca.cli.output import document, good, result, say, warn, when
from ca.cli.progress import Progress
from ca.cli.reading import read_lists
from ca.errors import UsageError
from ca.home import Home, refuse_as_output
from ca.names.showing import shell_word, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ca.encoding.age_keys import Identity, Passphrase, Recipient
    from ca.services.backup.file import Manifest

KEYS_LEFT_OUT = (
    "the software TPM with the keys is not in this backup: if this disk dies nothing can be signed "
    "again; --include-software-tpm takes it along"
)

_FILE_LIMIT = 65536

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Read the passphrase from a file of mode 0600 instead of asking for it.",
    ),
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        "-i",
        metavar="FILE",
        help="The age identity it was made for, as `age-keygen` wrote it.",
    ),
]
BackupArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What `homeca backup` wrote.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("drill")(drill)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a .age file.")],
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            "-r",
            metavar="age1…",
            help="Encrypt to this age recipient instead of a passphrase (repeatable): nothing "
            "secret is needed on this machine, so a timer can do it.",
        ),
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    include_software_tpm: Annotated[
        bool,
        typer.Option(
            "--include-software-tpm",
            help="Take the software TPM's state along. Whoever opens the backup then has the CA's "
            "keys; without it a dead disk is the end of them.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the whole CA into one encrypted file, while it goes on working.

    The record, certificates, CRLs, profiles, settings and key blobs. It holds no usable private
    key: the blobs are nothing without this TPM. When the machine dies, the list of what was issued
    and revoked comes back; the keys do not, unless they were in a software TPM that came along.
    `age --decrypt FILE | tar -t` shows it without homeca. Then try it out: `homeca drill FILE`.
    A record in PostgreSQL is not in it: the `pg_dump` to run before is printed.

    Example: homeca backup /media/usb/homeca.age
    """
    from ca.services.backup.making import has_software_tpm, make_backup

    refuse_as_output(file)
    key = _to(recipient or [], passphrase_file)
    with facility(home) as found:
        made = make_backup(file, key, found, with_software_tpm=include_software_tpm, replace=force)
        are_keys_left_out = not include_software_tpm and has_software_tpm(found)
        changed = found.store.changed_rules() if made.dump is None else ()
    if include_software_tpm:
        warn("whoever opens this backup has the keys of the CA: keep it like the keys themselves")
    if are_keys_left_out:
        warn(KEYS_LEFT_OUT)
    for fault in changed:
        warn(f"`homeca restore` will refuse this backup, for in its database {fault.text}")
        say(f"   try: {fault.remedy}; then make the backup again")
    if as_json:
        document(
            file=str(made.path),
            size=made.size,
            sha256=made.sha256.hex(),
            dump=made.dump,
            **_manifest_fields(made.manifest),
        )
        return
    result(
        f"{visible(str(made.path))}: {good(_size(made.size))}, "
        f"{made.manifest.certificates} certificates, {made.manifest.revoked} revoked"
    )
    if made.dump is not None:
        warn(
            "the record is in PostgreSQL and not in this file: keep a dump made before it beside "
            f"it: `{made.dump}`"
        )
    opened_by = " --identity FILE" if recipient else ""
    say(
        "next: keep it on another machine, and try it out: "
        f"`homeca drill {shell_word(file)}{opened_by}`"
    )


def restore(
    file: BackupArgument,
    identity: IdentityOption = None,
    passphrase_file: PassphraseFileOption = None,
    crl: Annotated[
        list[Path] | None,
        typer.Option(
            "--crl",
            metavar="FILE",
            help="CRLs that are still out there, on a server or the web (repeatable): what they "
            "know and the backup does not is listed, and revoked again.",
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A checkpoint of the ledger kept elsewhere (repeatable): the same.",
        ),
    ] = None,
    accept_older: Annotated[
        bool,
        typer.Option(
            "--accept-older",
            help="Restore although the backup is older than what is known; what is forgotten is "
            "listed all the same.",
        ),
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help="For a record in PostgreSQL: the URL in the backup's homeca.toml, without any "
            "password, so that no backup leads to a server that you did not name.",
        ),
    ] = None,
    tpm: TpmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an empty home from a backup, whole or not at all.

    The TPM's anchor of the ledger is asked whether the backup is of the newest state, where the
    TPM is still there; an older one would forget revocations and is refused with all that is known
    of what would be lost. CRL numbers go on far above those of the backup.

    Example: homeca restore /media/usb/homeca.age --home /var/lib/homeca --crl crl.pem
    """
    from ca.services.backup.restoring import restore as restore_home
    from ca.wiring.facility import open_unpacked
    from ca.wiring.ledger import ledger_remembers
    from ca.wiring.opening import system_clock
    from ca.wiring.record import spelled

    place = Home(chosen_home(home))
    remembered = ledger_remembers(
        opening(home, tpm, None),
        checkpoints=tuple(_text(path, _FILE_LIMIT) for path in checkpoint or []),
    )
    given_back = owner_above(place.path)
    made = restore_home(
        file,
        _with(file, identity, passphrase_file),
        place,
        opened=open_unpacked,
        spelled=spelled,
        lists=[facts for path in crl or [] for facts in read_lists(path)],
        witnesses=[remembered],
        accept_older=accept_older,
        tpm=tpm,
        database=database,
        at=system_clock(),
    )
    if given_back is not None:
        warn(given_back)
    if as_json:
        document(
            home=str(place.path),
            forgotten=[{"rule": one.rule, "text": one.text} for one in made.forgotten],
            **_manifest_fields(made.manifest),
        )
        return
    result(
        f"{visible(str(place.path))}: {good('restored')} as of {when(made.manifest.made_at)}, "
        f"{made.manifest.certificates} certificates, {made.manifest.revoked} revoked"
    )
    for one in made.forgotten:
        again = one.rule == "backup.revocation"
        warn(f"{'revoked again' if again else 'forgotten'}: {visible(one.text)}")
        if one.remedy:
            say(f"   try: {visible(one.remedy)}")
    if not made.manifest.has_record:
        warn("the record is not in this backup: it is in the database that its homeca.toml names")
        say(
            "next: if that is lost too, bring its dump into an empty database: `pg_restore "
            "--dbname=URL homeca.pgdump`; then `homeca audit verify`, with any --checkpoint, says "
            "whether the record is the newest"
        )
    if any(one.rule.startswith("ledger.") for one in made.forgotten):
        say("next: `homeca audit accept`, so that the ledger takes this older record for true")
    if made.manifest.software_tpm:
        say("next: `homeca check --load-keys`, then `homeca crl`")
    else:
        say(
            "next: `homeca check --load-keys`: the keys work where their TPM is, and nowhere else; "
            "then `homeca crl`"
        )


def drill(
    file: BackupArgument,
    identity: IdentityOption = None,
    passphrase_file: PassphraseFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a backup out: restore it aside, check everything that can be checked, note the date.

    The restored home is audited as `homeca check` does and thrown away. Only whether the TPM still
    takes the keys cannot be tried. `homeca status` reminds you when the newest backup that was
    tried out is 90 days old.

    Example: homeca drill /media/usb/homeca.age
    """
    from ca.services.backup.making import has_software_tpm
    from ca.services.backup.restoring import drill as try_out
    from ca.wiring.facility import open_unpacked
    from ca.wiring.opening import system_clock

    key = _with(file, identity, passphrase_file)
    with facility(home) as live, Progress(None, "checking") as progress:
        done = try_out(
            file,
            key,
            place=live.home.path,
            opened=open_unpacked,
            live=live,
            at=system_clock(),
            on_row=progress.advance,
        )
        are_keys_left_out = not done.manifest.software_tpm and has_software_tpm(live)
    if as_json:
        document(
            file=str(file),
            checked=done.certificates,
            behind=done.behind,
            warnings=[{"rule": one.rule, "text": one.text} for one in done.findings],
            **_manifest_fields(done.manifest),
        )
        return
    if done.manifest.has_record:
        back, seen = "this CA would come back", f"{done.certificates} certificates checked"
    else:
        back, seen = "this home would come back", f"{len(done.manifest.members)} files checked"
    result(f"{visible(str(file))}: {good(back)} as of {when(done.manifest.made_at)}: {seen}")
    if not done.manifest.has_record:
        say("not tried: the dump of the record, which is in PostgreSQL and not in this file")
    if done.behind:
        say(f"{done.behind} entries of the ledger are newer than this backup: make a new one")
    if are_keys_left_out:
        say(f"not tried: whether the TPM takes the keys; {KEYS_LEFT_OUT}")
    elif not done.manifest.software_tpm:
        say("not tried: whether the TPM takes the keys; `homeca check --load-keys` asks this one")


# ---------------------------------------------------------------- options


def _to(recipients: Sequence[str], passphrase_file: Path | None) -> Passphrase | list[Recipient]:
    from ca.encoding.age_keys import Passphrase, Recipient

    if recipients and passphrase_file is not None:
        raise UsageError(
            "--recipient and --passphrase-file exclude each other", remedy="choose one"
        )
    if recipients:
        return [Recipient.parse(one) for one in recipients]
    return Passphrase(read_passphrase(passphrase_file, is_new=True))


def _with(
    file: Path, identity: Path | None, passphrase_file: Path | None
) -> Passphrase | tuple[Identity, ...]:
    from ca.encoding.age_keys import Identity, Passphrase
    from ca.services.backup.file import check_takes_passphrase

    if identity is not None and passphrase_file is not None:
        raise UsageError("--identity and --passphrase-file exclude each other", remedy="choose one")
    if identity is not None:
        return Identity.parse_file(_text(identity, _FILE_LIMIT))
    check_takes_passphrase(file)  # nobody is asked for one that there is not
    return Passphrase(read_passphrase(passphrase_file, is_new=False))


def _text(path: Path, limit: int) -> str:
    return _octets(path, limit).decode("utf-8", "replace")


def _octets(path: Path, limit: int) -> bytes:
    from ca.files import read_bounded

    try:
        return read_bounded(path, limit)
    except ValueError as error:
        raise UsageError(
            f"{visible(str(path))!r} is too long", remedy="check which file you named"
        ) from error


# ---------------------------------------------------------------- showing


def _size(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB" if octets >= 1e5 else f"{octets / 1e3:.0f} kB"


def _manifest_fields(manifest: Manifest) -> dict[str, object]:
    return {
        "made_at": manifest.made_at,
        "certificates": manifest.certificates,
        "revoked": manifest.revoked,
        "entries": manifest.entries,
        "software_tpm": manifest.software_tpm,
        "issuers": [one.subject for one in manifest.issuers],
        "files": [one.path for one in manifest.members],
    }
