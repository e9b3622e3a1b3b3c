"""Files as people have them: PEM in every dress, and things that are no request at all."""

from __future__ import annotations

import base64

from tests.vectors.requests import testkeys
from tests.vectors.requests.build import GOOD, name, request, rsa_keys, sign, spki
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import (
    bit_string,
    context,
    ia5,
    integer,
    octet_string,
    oid,
    pem,
    seq,
    set_,
    tlv,
)

LABEL = "CERTIFICATE REQUEST"
NEW = "NEW CERTIFICATE REQUEST"


def cases() -> list[Case]:
    area = Area("files")
    _dresses(area)
    _damaged(area)
    _something_else(area)
    _private_keys(area)
    return area.cases


def _dresses(area: Area) -> None:
    der = request(parts=[GOOD])
    text = pem(LABEL, der)
    new = pem(NEW, der, end="\r\n")
    files = {
        "der": (der, "DER", "der"),
        "new-label": (pem(NEW, der), "the label certreq writes", "req"),
        "crlf": (pem(LABEL, der, end="\r\n"), "CRLF line ends", "csr"),
        "cr": (pem(LABEL, der, end="\r"), "CR line ends, as old Macs", "csr"),
        "one-line": (pem(LABEL, der, width=9999), "the base64 in one line", "csr"),
        "width-76": (pem(LABEL, der, width=76), "76 columns, as MIME", "csr"),
        "width-48": (pem(LABEL, der, width=48), "48 columns", "csr"),
        "bom": (b"\xef\xbb\xbf" + text, "a UTF-8 BOM, as Notepad writes", "csr"),
        "utf16le-bom": (
            b"\xff\xfe" + new.decode().encode("utf-16-le"),
            "UTF-16 LE with BOM",
            "req",
        ),
        "utf16be-bom": (
            b"\xfe\xff" + new.decode().encode("utf-16-be"),
            "UTF-16 BE with BOM",
            "req",
        ),
        "utf16le": (new.decode().encode("utf-16-le"), "UTF-16 LE without BOM", "req"),
        "utf16be": (new.decode().encode("utf-16-be"), "UTF-16 BE without BOM", "req"),
        "text-before": (b"Certificate Request:\n    Data:\n" + text, "openssl req -text", "csr"),
        "text-around": (b"Dear CA,\n\n" + text + b"\nregards\n", "pasted from a mail", "csr"),
        "umlauts-before": ("Größe: 3\n".encode("latin-1") + text, "Latin-1 text before", "csr"),
        "indented": (b"\n".join(b"    " + line for line in text.splitlines()), "indented", "csr"),
        "blank-lines": (text.replace(b"\n", b"\n\n"), "blank lines between", "csr"),
        "no-final-newline": (text.rstrip(), "no newline at the end", "csr"),
        "space-at-ends": (text.replace(b"\n", b"  \n"), "spaces at the line ends", "csr"),
        "bare-base64": (base64.b64encode(der), "base64 without labels", "b64"),
        "bare-base64-lines": (base64.encodebytes(der), "base64 in lines without labels", "b64"),
        "bare-base64-utf16": (
            base64.encodebytes(der).decode().encode("utf-16"),
            "base64 without labels in UTF-16",
            "b64",
        ),
        "with-parameters": (
            pem("EC PARAMETERS", oid("1.2.840.10045.3.1.7")) + text,
            "EC PARAMETERS before it",
            "csr",
        ),
        "with-certificate": (
            pem("CERTIFICATE", certificate()) + text,
            "a certificate beside",
            "csr",
        ),
    }
    for kind, (octets, why, suffix) in files.items():
        area.take_file(f"file-{kind}", octets, why, suffix=suffix, subject="CN=nas.home.arpa")


def _damaged(area: Area) -> None:
    der = request(parts=[GOOD])
    text = pem(LABEL, der)
    lines = text.splitlines(keepends=True)
    files = {
        "empty": (b"", "nothing", "is empty"),
        "blank": (b" \r\n\t\n", "white space", "is empty"),
        "zeros": (bytes(300), "zero octets, as after a crash", "is empty"),
        "text": (b"This is not a request.\n", "prose", "neither PEM nor DER"),
        "binary": (bytes(range(256)), "binary rubbish", "no certificate request"),
        "html": (b"<html><body>404</body></html>", "an error page", "neither PEM nor DER"),
        "no-end": (b"".join(lines[:-1]), "the END line is missing", "does not end"),
        "no-begin": (b"".join(lines[1:]), "the BEGIN line is missing", "neither PEM nor DER"),
        "other-end": (text.replace(b"END CERT", b"END NEW CERT"), "labels differ", "does not end"),
        "lost-line": (b"".join(lines[:2] + lines[3:]), "a line is missing", "cannot be read"),
        "bad-base64": (text.replace(b"M", b"\xa7", 2), "characters that are not base64", "damaged"),
        "short-base64": (text[:-40] + text[-39:], "a character is missing", ""),
        "empty-block": (
            f"-----BEGIN {LABEL}-----\n-----END {LABEL}-----\n".encode(),
            "no base64",
            "",
        ),
        "two": (
            text + pem(LABEL, request(parts=[GOOD], key="ec-p384")),
            "two requests",
            "2 requests",
        ),
        "same-twice": (text + text, "the same request twice", "2 requests"),
        "der-cut": (der[:-5], "DER, cut off", "cannot be read"),
        "der-trailing-newline": (der + b"\n", "DER with a newline after it", "follow the end"),
        "too-large": (text + b"\n" * 65536, "more than 64 KiB", "at most 65536"),
    }
    for kind, (octets, why, says) in files.items():
        area.refuse_file(f"file-{kind}", octets, why, says=says)


def _something_else(area: Area) -> None:
    der = request(parts=[GOOD])
    signed_data = seq(
        oid("1.2.840.113549.1.7.2"),
        context(
            0,
            seq(
                integer(3),
                set_(),
                seq(oid("1.3.6.1.5.5.7.12.2"), context(0, octet_string(seq(seq(), seq(), seq())))),
                set_(),
            ),
        ),
    )
    spkac_info = seq(spki("ec-p256"), ia5("challenge"))
    algorithm, signature = sign("ec-p256", spkac_info, "sha256")
    spkac = seq(spkac_info, algorithm, bit_string(signature))
    crl = seq(
        seq(
            integer(1),
            seq(oid("1.2.840.10045.4.3.2")),
            name(("CN", "Home")),
            tlv(0x17, b"260101000000Z"),
        ),
        algorithm,
        bit_string(signature),
    )
    crmf = seq(seq(seq(integer(1), seq(context(5, name(("CN", "nas")))))))
    things = {
        "certificate": (certificate(), "CERTIFICATE", "is a certificate"),
        "certificate-v1": (certificate(v1=True), "CERTIFICATE", "is a certificate"),
        "crl": (crl, "X509 CRL", "revocation list"),
        "cmc": (signed_data, "PKCS7", "PKCS#7 or CMC"),
        "spkac": (spkac, "SPKAC", "SPKAC"),
        "crmf": (crmf, "CRMF", "CRMF"),
        "public-key": (spki("ec-p256"), "PUBLIC KEY", "bare public key"),
    }
    for kind, (octets, label, says) in things.items():
        area.refuse_file(f"is-{kind}-der", octets, f"a {kind} in DER", says=says, suffix="der")
        area.refuse_file(
            f"is-{kind}-labelled-request",
            pem(LABEL, octets),
            f"a {kind} under the label of a request",
            says=says,
        )
        if label not in ("SPKAC", "CRMF"):
            area.refuse_file(f"is-{kind}-pem", pem(label, octets), f"a {kind} in PEM", says=says)
    area.refuse_file(
        "is-spkac-file",
        b"SPKAC=" + base64.b64encode(spkac) + b"\nCN=nas\n",
        "a file for openssl ca -spkac",
        says="SPKAC",
    )
    area.refuse_file(
        "is-spkac-base64", base64.b64encode(spkac), "what a browser sends", says="SPKAC"
    )
    area.refuse_file(
        "is-other-pem",
        pem("DH PARAMETERS", seq(integer(23), integer(5))),
        "Diffie-Hellman parameters",
        says="no certificate request",
    )
    area.refuse_file(
        "is-wrong-label", pem("CERTIFICATE", der), "a request labelled CERTIFICATE", says=""
    )
    area.refuse_file(
        "is-ssh",
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq me@nas\n",
        "an SSH public key",
        says="neither PEM nor DER",
    )


def _private_keys(area: Area) -> None:
    """Each with a good request beside it: it is burnt all the same (threat T23)."""
    text = pem(LABEL, request(parts=[GOOD]))
    ed25519 = seq(integer(0), seq(oid("1.3.101.112")), octet_string(octet_string(bytes(32))))
    sec1 = seq(integer(1), octet_string(bytes(31) + b"\1"), context(0, oid("1.2.840.10045.3.1.7")))
    rsa = rsa_keys()["rsa-2048"]
    pkcs1 = seq(*(integer(n) for n in (0, rsa.n, rsa.e, rsa.d, 3, 5, 7, 11, 13)))
    encrypted = seq(seq(oid("1.2.840.113549.1.5.13"), seq()), octet_string(bytes(64)))
    keys = {
        "PRIVATE KEY": ed25519,
        "EC PRIVATE KEY": sec1,
        "RSA PRIVATE KEY": pkcs1,
        "ENCRYPTED PRIVATE KEY": encrypted,
        "OPENSSH PRIVATE KEY": b"openssh-key-v1\0",
    }
    for label, key in keys.items():
        slug = label.lower().replace(" ", "-")
        area.refuse_file(
            f"burnt-{slug}", pem(label, key) + text, f"{label} before the request", says="burnt"
        )
        if label != "OPENSSH PRIVATE KEY":
            area.refuse_file(
                f"burnt-{slug}-der", key, f"{label} alone, in DER", says="burnt", suffix="der"
            )
    area.refuse_file(
        "burnt-after", text + pem("PRIVATE KEY", ed25519), "the key after it", says="burnt"
    )
    area.refuse_file(
        "burnt-utf16",
        (text + pem("PRIVATE KEY", ed25519)).decode().encode("utf-16"),
        "key and request in UTF-16",
        says="burnt",
    )
    area.refuse_file(
        "burnt-cut",
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n" + text,
        "a key whose END line is missing",
        says="burnt",
    )
    area.refuse_file(
        "burnt-labelled-request",
        pem(LABEL, ed25519),
        "a key under the label of a request",
        says="burnt",
    )
    area.refuse_file(
        "burnt-base64", base64.b64encode(ed25519), "a key in bare base64", says="burnt"
    )
    pkcs12 = seq(integer(3), seq(oid("1.2.840.113549.1.7.1"), context(0, octet_string(b"x"))))
    area.refuse_file("burnt-pkcs12", pkcs12, "a PKCS#12 file", says="PKCS#12", suffix="p12")
    blob = seq(oid("2.23.133.10.1.3"), octet_string(b"public"), octet_string(b"private"))
    area.refuse_file(
        "tpm-blob-der", blob, "a TPM key blob in DER", says="TPM key blob", suffix="der"
    )
    area.refuse_file(
        "tpm-blob",
        pem("TSS2 PRIVATE KEY", blob) + text,
        "a TPM key blob beside the request",
        says="TPM key blob",
    )


def certificate(*, v1: bool = False) -> bytes:
    algorithm = seq(oid("1.2.840.10045.4.3.2"))
    who = name(("CN", "nas.home.arpa"))
    dates = seq(tlv(0x17, b"260101000000Z"), tlv(0x17, b"270101000000Z"))
    version = b"" if v1 else context(0, integer(2))
    tbs = seq(version, integer(4711), algorithm, who, dates, who, spki("ec-p256"))
    return seq(tbs, algorithm, bit_string(testkeys.ecdsa_signature("ec-p256", tbs, "sha256")))
