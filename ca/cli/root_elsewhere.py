"""An intermediate whose root is in another home: what is carried there, and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ca.cli.output import document, result, say
from ca.cli.reading import read_named
from ca.files import PUBLIC_FILE, write_whole
from ca.interfaces.issuing import IssuerRecord

if TYPE_CHECKING:
    from ca.services.ceremony.plan import Plan
    from ca.services.facility import Facility

_CERTIFICATE_LIMIT = 1 << 20


def write_request(path: Path, request: bytes, issuer: IssuerRecord, *, as_json: bool) -> None:
    """On the intermediate's machine: what the root is to sign."""
    from ca.encoding.containers import pem

    write_whole(path, pem("CERTIFICATE REQUEST", request), mode=PUBLIC_FILE)
    if as_json:
        document(issuer=issuer.slug, subject=issuer.subject, request=str(path))
        return
    result(str(path))
    say(f"{issuer.subject} waits for its certificate.")
    say(
        "next: have the request signed where the root lives "
        f"(`homeca init-intermediate --sign-request {path.name}` there), append the root's "
        "certificate to the answer, then run `homeca init-intermediate --certificate FILE` here"
    )


def certify_foreign(path: Path, plan: Plan, found: Facility) -> IssuerRecord:
    """On the root's machine: the certificate, and the root's, in a file beside the request."""
    from ca.encoding.containers import pem, read_request
    from ca.encoding.requests import parse_request
    from ca.services.ceremony.intermediate import certify_foreign_intermediate
    from ca.services.facility import authorities, root_of

    request = parse_request(read_request(read_named(path, _CERTIFICATE_LIMIT, "a certificate")))
    issuer = certify_foreign_intermediate(request, plan, found)
    root = root_of(authorities(found.store))
    answer = path.with_suffix(".crt")
    chain = [issuer.certificate or b"", root.issuer.certificate or b""]
    write_whole(answer, b"".join(pem("CERTIFICATE", der) for der in chain), mode=PUBLIC_FILE)
    say(f"wrote {answer}: carry it back, and run `homeca init-intermediate --certificate` there")
    return issuer


def read_answer(path: Path) -> tuple[bytes, ...]:
    """On the intermediate's machine: the certificates that came back, in DER."""
    from ca.encoding.containers import read_certificates

    return read_certificates(read_named(path, _CERTIFICATE_LIMIT, "a certificate"))
