"""Where certificates and requests go: a file, a directory or stdout, settled before any is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ca.errors import OutputExists, UsageError
from ca.files import refuse_closed_directory
from ca.home import refuse_as_output
from ca.names.showing import visible

STANDARD_STREAM = "-"


def certificate_targets(
    sources: Sequence[str], out: Path | None, *, force: bool
) -> dict[str, Path | None]:
    """Where each certificate will go, None for stdout; checked before any key is asked.

    Raises: UsageError, OutputExists.
    """
    targets: dict[str, Path | None] = {}
    taken: set[Path] = set()
    for source in sources:
        if source in targets:
            name = "standard input" if source == STANDARD_STREAM else repr(visible(source))
            raise UsageError(f"{name} is given twice", remedy="name each request once")
        target = _certificate_target(source, out, many=len(sources) > 1)
        if target is not None:
            require_free(target, force=force)
            if target in taken:
                raise UsageError(
                    f"two requests would be written to {visible(str(target))!r}",
                    remedy="give --out DIR, or sign them one by one",
                )
            taken.add(target)
        targets[source] = target
    return targets


def _certificate_target(source: str, out: Path | None, *, many: bool) -> Path | None:
    if out is not None and str(out) == STANDARD_STREAM:
        return None
    name = "stdin.crt" if source == STANDARD_STREAM else Path(source).stem + ".crt"
    if out is not None and out.is_dir():
        return out / name
    if out is not None:
        if many:
            raise UsageError(
                f"{visible(str(out))!r} is not a directory, and there are many requests",
                remedy="give --out a directory that is there",
            )
        return out
    if source == STANDARD_STREAM or Path(source).is_fifo():
        return None  # a request from a pipe, as `<(…)` is one, goes back into the pipe
    if not Path(source).name:
        raise UsageError(f"{source!r} names no file", remedy="name the file of a request")
    return Path(source).with_name(name)


def renewal_target(path: Path | None, serial: str, out: Path | None, *, force: bool) -> Path | None:
    """Beside the old file, marked as renewed: the old one is still in use."""
    if out is not None and str(out) == STANDARD_STREAM:
        return None
    target = out or (
        path.with_name(f"{path.stem}-renewed{path.suffix}") if path else Path(f"{serial}.crt")
    )
    if target.is_dir():
        target = target / f"{serial}-renewed.crt"
    require_free(target, force=force)
    return target


def request_target(out: Path | None, inf: Path | None, name: str, *, force: bool) -> Path | None:
    """Where the request goes, None for stdout; checked before anything is made."""
    if out is not None and str(out) == STANDARD_STREAM:
        return None
    if out is None:
        out = inf.with_suffix(".csr") if inf is not None else Path(f"{name}.csr")
    elif out.is_dir():
        out = out / f"{name}.csr"
    require_free(out, force=force)
    return out


def require_free(
    target: Path,
    *,
    force: bool,
    remedy: str = "choose another name with --out, or add --force",
) -> None:
    """Raises: OutputExists; UsageError for a home's own file, or where there is no directory;
    OutputFailed where nothing can be written: a certificate would be signed for nobody.
    """
    refuse_as_output(target)
    if (target.exists() or target.is_symlink()) and not force:
        raise OutputExists(
            f"{visible(str(target))!r} exists already",
            remedy=remedy,
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"there is no directory {visible(str(target.parent))!r}", remedy="make it first"
        )
    refuse_closed_directory(target.parent)
