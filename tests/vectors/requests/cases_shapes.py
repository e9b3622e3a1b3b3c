"""What the programs of this world send, rebuilt field by field; those that run here lie in real/.

An old key or hash in such a shape is refused by name; the shape itself never is.
"""

from __future__ import annotations

from tests.vectors.requests.build import (
    ECDSA,
    asked,
    dns,
    extension,
    ip,
    name,
    request,
    san,
    upn,
)
from tests.vectors.requests.case import Area, Case
from tests.vectors.requests.octets import (
    NULL,
    bit_string,
    bmp,
    ia5,
    integer,
    octet_string,
    oid,
    pem,
    printable,
    seq,
    set_,
    tlv,
    utf8,
)

OS, CLIENT, CSP = (
    "1.3.6.1.4.1.311.13.2.3",
    "1.3.6.1.4.1.311.21.20",
    "1.3.6.1.4.1.311.13.2.2",
)
MS_EXTENSIONS = "1.3.6.1.4.1.311.2.1.14"
SMIME = extension(
    "1.2.840.113549.1.9.15",
    seq(
        seq(oid("1.2.840.113549.3.2"), integer(128)),
        seq(oid("1.2.840.113549.3.4"), integer(128)),
        seq(oid("1.3.14.3.2.7")),
        seq(oid("1.2.840.113549.3.7")),
    ),
)
SERVER_AUTH = extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.1")))
USAGE = extension("2.5.29.15", b"\x03\x02\x04\xf0", critical=True)
SKI = extension("2.5.29.14", octet_string(bytes(range(20))))
HOSTS = ("DNS:nas.home.arpa", "DNS:nas.lan")
SAN = san(dns("nas.home.arpa"), dns("nas.lan"))


def cases() -> list[Case]:
    area = Area("shapes of programs")
    _windows(area)
    _others(area)
    return area.cases


def _ms(version: str, provider: str, *, client: bool = True, keyspec: int = 1) -> list[bytes]:
    blob = bytes(137) if keyspec == 1 else b""
    parts = [
        seq(oid(OS), set_(ia5(version))),
        seq(oid(CSP), set_(seq(integer(keyspec), bmp(provider), bit_string(blob)))),
    ]
    if client:
        parts.append(
            seq(
                oid(CLIENT),
                set_(seq(integer(5), utf8("pc.home.arpa"), utf8("HOME\\me"), utf8("certreq"))),
            )
        )
    return parts


def _windows(area: Area) -> None:
    subject = name(
        ("C", printable("DE")),
        ("ST", bmp("Bayern")),
        ("L", bmp("München")),
        ("O", bmp("Zuhause")),
        ("OU", bmp("Keller")),
        ("CN", bmp("nas.home.arpa")),
    )
    rsa_csp = "Microsoft RSA SChannel Cryptographic Provider"
    systems = {
        "2000": "5.0.2195.2",
        "xp": "5.1.2600.2",
        "2003": "5.2.3790.2",
        "vista": "6.0.6002.2",
        "7": "6.1.7601.2",
        "8": "6.2.9200.2",
        "2012r2": "6.3.9600.2",
        "10": "10.0.19045.2",
        "2016": "10.0.14393.2",
        "2019": "10.0.17763.2",
        "2022": "10.0.20348.2",
    }
    for system, version in systems.items():
        old = system in ("2000", "xp", "2003")
        wanted = asked(
            USAGE, SERVER_AUTH, SMIME, SKI, kind=MS_EXTENSIONS if old else "1.2.840.113549.1.9.14"
        )
        parts = [*_ms(version, rsa_csp, client=not old), wanted]
        octets = pem("NEW CERTIFICATE REQUEST", request(subject, parts, key="rsa-2048"), end="\r\n")
        area.take_file(
            f"windows-{system}-iis",
            octets,
            f"IIS on Windows {system}, re-signed with SHA-256",
            suffix="req",
            profile="server",
            names=("DNS:nas.home.arpa",),
        )
    for system in ("xp", "2003"):
        parts = [
            *_ms(systems[system], rsa_csp, client=False),
            asked(USAGE, SMIME, kind=MS_EXTENSIONS),
        ]
        octets = pem(
            "NEW CERTIFICATE REQUEST",
            request(subject, parts, key="rsa-1024", digest="sha1"),
            end="\r\n",
        )
        area.refuse_file(
            f"windows-{system}-as-sent",
            octets,
            "RSA-1024 and SHA-1, both by name",
            suffix="req",
            rules=("key.rsa-too-small", "signature.broken-algorithm", "key.not-in-profile"),
        )
    mmc = asked(
        SAN,
        SERVER_AUTH,
        extension("2.5.29.15", b"\x03\x02\x05\xa0", critical=True),
        SKI,
        extension(
            "1.3.6.1.4.1.311.21.7", seq(oid("1.3.6.1.4.1.311.21.8.1.2"), integer(100), integer(3))
        ),
        extension("1.3.6.1.4.1.311.21.10", seq(seq(oid("1.3.6.1.5.5.7.3.1")))),
    )
    ksp = "Microsoft Software Key Storage Provider"
    area.take_file(
        "windows-mmc-san",
        pem(
            "NEW CERTIFICATE REQUEST",
            request(
                name(("CN", "nas.home.arpa")),
                [*_ms("10.0.20348.2", ksp, keyspec=0), mmc],
                key="rsa-2048",
            ),
            end="\r\n",
        ),
        "the MMC snap-in with SAN, template and application policies",
        suffix="req",
        names=HOSTS,
    )
    area.take_file(
        "windows-utf16",
        pem(
            "NEW CERTIFICATE REQUEST",
            request(
                name(("CN", "nas.home.arpa")),
                [*_ms("10.0.22621.2", ksp, keyspec=0), mmc],
                key="ec-p384",
                digest="sha256",
            ),
            end="\r\n",
        )
        .decode()
        .encode("utf-16"),
        "certreq output redirected by PowerShell",
        suffix="req",
        names=HOSTS,
    )
    area.take(
        "windows-smartcard",
        request(
            name(("CN", "alice")),
            [
                *_ms("10.0.22621.2", "Microsoft Smart Card Key Storage Provider", keyspec=0),
                asked(san(upn("alice@home.arpa"))),
            ],
            key="rsa-2048",
        ),
        "a smart card with a UPN",
        names=("UPN:alice@home.arpa",),
    )


def _others(area: Area) -> None:
    dn = name(
        ("C", printable("DE")),
        ("ST", utf8("Some-State")),
        ("O", utf8("Zuhause")),
        ("CN", utf8("nas.home.arpa")),
    )
    old = name(
        ("C", printable("DE")),
        ("ST", printable("Some-State")),
        ("O", tlv(0x14, "Höhle".encode("latin-1"))),
        ("CN", printable("nas.home.arpa")),
        ("email", ia5("me@home.arpa")),
    )
    area.take(
        "openssl-0.9.8",
        request(old, key="rsa-2048"),
        "PrintableString and TeletexString, no extensions",
    )
    area.refuse(
        "openssl-0.9.8-as-sent",
        request(old, key="rsa-1024", digest="sha1"),
        "its key and hash, by name",
        "key.rsa-too-small",
        "signature.broken-algorithm",
        "key.not-in-profile",
    )
    challenge = seq(oid("1.2.840.113549.1.9.7"), set_(utf8("hunter22")))
    company = seq(oid("1.2.840.113549.1.9.2"), set_(utf8("Zuhause")))
    area.take(
        "openssl-1.0-interactive",
        request(dn, [challenge, company], key="rsa-2048"),
        "every question of openssl req answered",
    )
    v3_req = asked(extension("2.5.29.19", seq()), extension("2.5.29.15", b"\x03\x02\x05\xe0"), SAN)
    area.take(
        "openssl-1.1-v3-req",
        request(dn, [v3_req], key="rsa-3072"),
        "the v3_req section of the stock openssl.cnf",
        names=HOSTS,
    )
    area.take(
        "openssl-3-addext",
        request(name(("CN", "nas.home.arpa")), [asked(SAN)]),
        "-addext subjectAltName",
        names=HOSTS,
    )
    area.take(
        "openssl-3-ed25519",
        request(name(("CN", "nas.home.arpa")), [asked(SAN)], key="ed25519"),
        "an Ed25519 key",
        names=HOSTS,
    )
    area.take(
        "tpm2-openssl-1.1",
        request(
            name(("CN", "nas.home.arpa")), [asked(SAN)], algorithm=seq(oid(ECDSA["sha256"]), NULL)
        ),
        "NULL in the ECDSA algorithm",
        names=HOSTS,
        says="tpm2-openssl",
    )
    gnutls = asked(
        SAN,
        extension("2.5.29.19", seq(), critical=True),
        extension("2.5.29.15", b"\x03\x02\x05\xa0", critical=True),
        SERVER_AUTH,
    )
    area.take(
        "gnutls", request(dn, [gnutls], key="rsa-3072"), "certtool with a template", names=HOSTS
    )
    area.take(
        "nss",
        request(
            name(("CN", printable("nas.home.arpa")), ("O", printable("Home"))),
            [asked(SAN)],
            key="rsa-2048",
        ),
        "certutil -R: CN first, PrintableString",
        names=HOSTS,
        subject="O=Home,CN=nas.home.arpa",
    )
    java = name(
        ("C", printable("DE")),
        ("ST", printable("Unknown")),
        ("L", printable("Unknown")),
        ("O", printable("Unknown")),
        ("OU", printable("Unknown")),
        ("CN", printable("nas.home.arpa")),
    )
    area.take(
        "java-keytool",
        request(java, [asked(SAN, SKI)], key="rsa-2048"),
        "keytool -certreq with its Unknown fields",
        names=HOSTS,
    )
    area.take(
        "go",
        request(name(("CN", "nas.home.arpa")), [asked(san(dns("nas.home.arpa"), ip("c0a80103")))]),
        "x509.CreateCertificateRequest",
        names=("DNS:nas.home.arpa", "IP:192.168.1.3"),
    )
    area.take(
        "go-empty-subject", request(seq(), [asked(SAN)]), "lego and other ACME clients", names=HOSTS
    )
    area.take(
        "certbot",
        request(seq(), [asked(SAN)], key="rsa-2048"),
        "certbot: empty subject, SAN only",
        names=HOSTS,
        profile="server",
        subject="CN=nas.home.arpa",
    )
    area.take(
        "mbedtls",
        request(
            name(("CN", utf8("esp32")), ("O", utf8("Home"))),
            [
                asked(
                    extension("2.5.29.15", b"\x03\x02\x07\x80"),
                    extension("2.16.840.1.113730.1.1", b"\x03\x02\x07\x80"),
                )
            ],
        ),
        "gen cert_req with key usage and nsCertType",
    )
    area.take(
        "mbedtls-no-attributes",
        request(name(("CN", "esp32")), attribute_field=b""),
        "a small device that leaves the attributes out",
        says="left out",
    )
    area.take(
        "bouncycastle",
        request(name(("CN", "nas.home.arpa")), [], key="ec-p521", digest="sha512"),
        "P-521 with SHA-512",
    )
    cisco = [
        seq(oid("1.2.840.113549.1.9.2"), set_(printable("router.home.arpa"))),
        asked(extension("2.5.29.15", b"\x03\x02\x05\xa0", critical=True)),
    ]
    area.take(
        "cisco-ios",
        request(name(("1.2.840.113549.1.9.2", ia5("router.home.arpa"))), cisco, key="rsa-2048"),
        "unstructuredName in subject and attributes",
        subject="",
    )
    area.take(
        "fritzbox",
        request(
            name(("CN", "fritz.lan")),
            [asked(san(dns("fritz.lan"), ip("c0a8b201")))],
            key="rsa-2048",
        ),
        "a router",
        profile="server",
        names=("DNS:fritz.lan", "IP:192.168.178.1"),
    )
    area.take(
        "ios-scep",
        request(
            name(("CN", "iPhone")),
            [seq(oid("1.2.840.113549.1.9.7"), set_(printable("one-time")))],
            key="rsa-2048",
        ),
        "a SCEP client with its challenge",
    )
