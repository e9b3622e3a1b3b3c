"""Which database: a path or a URL, read strictly, and written without what is secret in it.

What stands behind the `?` of a PostgreSQL URL goes to libpq, SQLAlchemy and psycopg, and some of
it has them write files, load libraries or commit on their own. So only what is known passes.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ca.errors import SettingsMalformed
from ca.names.showing import visible

#: Of libpq's parameters (PostgreSQL 18, "Parameter Key Words") those that say where the server is
#: and how to talk to it: the ones that messages show.
_HARMLESS = frozenset(
    {
        "host", "hostaddr", "port", "dbname", "user", "connect_timeout", "client_encoding",
        "application_name", "fallback_application_name", "keepalives", "keepalives_idle",
        "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslmode",
        "sslnegotiation", "sslcompression", "sslcertmode", "sslsni", "ssl_min_protocol_version",
        "ssl_max_protocol_version", "min_protocol_version", "max_protocol_version",
        "channel_binding", "require_auth", "requirepeer", "gssencmode", "gssdelegation",
        "krbsrvname", "target_session_attrs", "load_balance_hosts",
    }
)  # fmt: skip

#: Those that name files, other settings or other servers.
_LEADING_ON = frozenset(
    {
        "service", "passfile", "options", "sslcert", "sslkey", "sslrootcert", "sslcrl",
        "sslcrldir", "gsslib", "oauth_issuer", "oauth_client_id", "oauth_scope",
    }
)  # fmt: skip

#: Those that are secrets.
_SECRET = frozenset(
    {
        "password", "sslpassword", "oauth_client_secret", "scram_client_key",
        "scram_server_key",
    }
)  # fmt: skip


def read_url(place: Path | str) -> URL:
    """A path of an SQLite file, "sqlite:///…" or "postgresql://…". Raises: SettingsMalformed."""
    if isinstance(place, Path):
        # not a string: a path may hold % and ?, which a URL would decode
        return URL.create("sqlite", database=str(place.absolute()))
    url = _parsed(place)
    if url.drivername not in ("sqlite", "postgresql", "postgresql+psycopg"):
        raise SettingsMalformed(
            f"the database is of an unknown kind: {visible(url.drivername)[:50]!r}",
            remedy="use an sqlite:// or a postgresql:// URL",
        )
    if url.drivername == "sqlite":
        _check_plain(url)
    else:
        _check_parameters(url)
    return url


def shown(url: URL) -> str:
    """For a message: no password, and of the parameters the harmless ones."""
    return url.difference_update_query(set(url.query) - _HARMLESS).render_as_string()


def bare(url: URL) -> URL:
    """The same without its secrets; the rest is what a program needs to get there."""
    named = url.set(drivername=url.get_backend_name()).difference_update_query(_SECRET)
    return named._replace(password=None)


def sqlite_file(place: str) -> Path | None:
    """The file of an SQLite URL; None for a server. Raises: SettingsMalformed."""
    url = read_url(place)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def spelled(place: Path | str) -> str:
    """A place in full but for its secrets, always in the same words.

    Raises: SettingsMalformed, also for a URL that would be read as another when written so.
    """
    url = bare(read_url(place))
    text = url.render_as_string()
    if isinstance(place, str) and _parsed(text) != url:
        raise SettingsMalformed(
            "the database is given as a URL that can be read in two ways",
            remedy="write `@`, `/` and `?` in its names as %40, %2F and %3F",
        )
    return text


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise SettingsMalformed(
            "the database is not given as a URL",
            remedy="write sqlite:////path/homeca.db or postgresql://user@host/homeca",
        ) from error


def _check_plain(url: URL) -> None:
    if url.query or str(url.database).startswith("file:"):
        raise SettingsMalformed(
            f"the database {url.database!r} is given with options",
            remedy="give the path alone: homeca sets what makes SQLite durable itself",
        )
    if url.database not in (None, "", ":memory:") and not Path(str(url.database)).is_absolute():
        raise SettingsMalformed(
            f"where the database {url.database!r} is depends on where homeca is started: a timer "
            "or another directory would find none, or begin a second one",
            remedy="write its whole path, with four slashes: sqlite:////path/homeca.db",
        )


def _check_parameters(url: URL) -> None:
    """Nothing that loads code, writes files or goes past libpq."""
    unknown = sorted(set(url.query) - _HARMLESS - _LEADING_ON - _SECRET)
    if unknown:
        raise SettingsMalformed(
            f"the database {shown(url)!r} is given with {visible(unknown[0])[:50]!r}, which "
            "homeca does not pass on",
            remedy="leave that out of `database` in homeca.toml",
        )
    # libpq takes whatever holds a colon for ENGINE:KEY and loads that engine, a shared library
    if any(":" in key for key in url.normalized_query.get("sslkey", ())):
        raise SettingsMalformed(
            f"the database {shown(url)!r} is given with an sslkey that lies in an OpenSSL engine",
            remedy="name a file in sslkey, with no `:` in its path",
        )
