"""An issuer as its ceremony left it, and what comes next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ca.cli.opening import mention_custody
from ca.cli.output import day, document, fields, good, result, say, strong, warn, when
from ca.interfaces.custody import Custody
from ca.interfaces.issuing import IssuerRecord, IssuerState, Role
from ca.names.constraints import NameConstraints
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.services.ceremony.plan import Plan
    from ca.services.facility import Facility


def warn_of_addresses(constraints: NameConstraints) -> None:
    """Before a root is made that some programs cannot load, for ever (rule SS5 of `ca.lint`)."""
    if constraints.permitted_ip:
        warn(
            "strongSwan 5.9.8 (Debian 12) cannot load a CA that permits addresses: 'parsing X509 "
            "certificate failed'; if any device is to use it, make the root without --permit-ip"
        )


def warn_of_no_pin(plan: Plan, found: Facility, pin_file: Path | None) -> None:
    """Before an intermediate is made that anybody at this TPM can use, although its root is not,
    or although a PIN was given.
    """
    from ca.services.standing.scheduling import keys_with_pin

    roots = {one.key_file for one in found.store.issuers() if one.role is Role.ROOT}
    if plan.pin is not None:
        return
    if not roots.isdisjoint(keys_with_pin(found.home, found.store)):
        warn("the new key has no PIN, although the root's has one; --pin gives it one")
    elif pin_file is not None:
        warn("the new key has no PIN: --pin-file is that of the root's key; --pin gives it one")


def show_issuer(
    issuer: IssuerRecord, found: Facility, *, as_json: bool, constraints: NameConstraints | None
) -> None:
    """Its fingerprint, key and addresses. A software TPM is never used in silence (invariant 6)."""
    from ca.encoding.containers import fingerprint

    der = issuer.certificate or b""
    custody = found.store.custody()
    pem_path = found.home.certs / f"{issuer.slug}.pem"
    if as_json:
        document(
            issuer=issuer.slug,
            subject=issuer.subject,
            role=issuer.role.value,
            key=issuer.key_kind,
            fingerprint_sha256=fingerprint(der),
            not_before=when(issuer.not_before) if issuer.not_before else None,
            not_after=when(issuer.not_after) if issuer.not_after else None,
            custody=custody.kind.value if custody and issuer.has_key else None,
            key_file=str(found.home.path / issuer.key_file) if issuer.has_key else None,
            certificate=str(pem_path),
            crl_url=issuer.crl_url,
        )
    else:
        made = good("active") if issuer.state is IssuerState.ACTIVE else issuer.state.value
        result(f"{strong(visible(issuer.subject))} is {made}")
        lines: list[tuple[str, str | list[str]]] = [
            ("fingerprint", f"SHA-256 {fingerprint(der)}"),
            ("valid until", day(issuer.not_after) if issuer.not_after else "unknown"),
            ("certificate", str(pem_path)),
        ]
        if issuer.has_key:
            lines.append(("key", f"{issuer.key_kind}, in the {_place(custody)}"))
            lines.append(("key blob", str(found.home.path / issuer.key_file)))
        if constraints is not None and not constraints.is_empty:
            permitted = [*constraints.permitted_dns, *map(str, constraints.permitted_ip)]
            lines.append(("permits only", ", ".join(permitted)))
        if issuer.crl_url:
            lines.append(("CRL", issuer.crl_url))
        result(fields(lines))
    sys.stdout.flush()
    if custody is not None and issuer.has_key:
        mention_custody(custody.kind)


def _place(custody: Custody | None) -> str:
    if custody is None:
        return "TPM"
    name = " ".join(f"{custody.manufacturer} {custody.model}".split())
    return f"{custody.kind.value.replace('-', ' ').replace('tpm', 'TPM')} ({visible(name)})"


def say_next_after_root(plan: Plan, issuer: IssuerRecord) -> None:
    """What was left out and cannot be made good later, and the next command."""
    if plan.constraints.is_empty:
        say(
            "note: this root may certify any name in the world; --permit-dns and --permit-ip at "
            "init-root would have constrained it"
        )
    if issuer.crl_url is None:
        say(
            "note: without --base-url, certificates carry no address for CRLs; give the CRL to "
            "your servers as a file"
        )
    say("next: `homeca init-intermediate`, then keep the fingerprint where you can compare it")


def say_next_after_intermediate(found: Facility) -> None:
    """The next command; where servers have lists already, those must know the new issuer first."""
    if any(found.store.last_crl(issuer.id) is not None for issuer in found.store.issuers()):
        say(
            "next: `homeca crl`, and bring the lists to your servers before it signs anything: one "
            "that asks for a list of every issuer refuses its certificates until it has them"
        )
    else:
        say("next: sign a request: `homeca sign request.csr --profile vpn-client`")
