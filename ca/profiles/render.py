"""A profile template to the text of an openssl.cnf.

A template decides by a handful of facts, never by a value from a request. It is read before it
is run: only output, `if`, comparisons, and `join` of the permitted trees are allowed, so what it
costs is bounded by its own length. No loop, assignment, call, attribute or arithmetic: nothing in
it can reach an object, grow a string or go on for ever (jinja2's sandbox stops only the first).

Every rendered line stands at the number it has in the template, blank lines taking the place of
what was left out: so a fault in a profile is named by the line its author sees.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING

from msgspec import Struct

from ca.errors import ConfigurationError, ProfileMalformed, Violation
from ca.names.showing import visible

if TYPE_CHECKING:  # jinja2 is loaded when a template is rendered, not before
    from jinja2 import Template, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEMPLATE = 64 * 1024
MAX_RENDERED = 256 * 1024
MAX_NESTING = 16
_MARKERS = ("{{", "{%", "{#")
_LISTS = ("permitted_dns", "permitted_ip")
_ALLOWED = frozenset(
    {"Template", "Output", "TemplateData", "If", "CondExpr", "And", "Or", "Not", "Compare"}
    | {"Operand", "Test", "Name", "Const", "Tuple", "List", "Filter"}
)
#: What may be put into a list of x509v3_config(5): no blank, no comma, nothing cnf expands.
_SAFE = re.compile(r"[!%&()*+\-./0-9:;=?@A-Z\[\]_a-z~]+")


class ProfileTemplate(Struct, frozen=True):
    """The source of a profile as it lies in its file. source: the file, or "built-in"."""

    name: str
    source: str
    text: str
    sha256: bytes

    @property
    def is_template(self) -> bool:
        """A text without jinja's marks is an openssl.cnf already."""
        return any(marker in self.text for marker in _MARKERS)


class RenderContext(Struct, frozen=True, kw_only=True):
    """All that a template may know.

    key:     "ec", "rsa" or "ed25519".
    names:   kinds of granted names: "dns", "ip", "email", "uri", "upn".
    subject: is there a subject? Without one subjectAltName is critical (RFC 5280 §4.2.1.6).
    crl_url, issuer_url, ocsp_url: where the issuer publishes, or None.
    permitted_dns, permitted_ip: "home.arpa", "192.168.0.0/16"; templates see the latter with
             its mask, "192.168.0.0/255.255.0.0", as x509v3_config(5) wants it.
    pathlen: of a CA; None leaves it out.
    Raises:  ConfigurationError for a text that could not stand in an openssl.cnf list.
    """

    key: str = "ec"
    names: frozenset[str] = frozenset()
    subject: bool = True
    crl_url: str | None = None
    issuer_url: str | None = None
    ocsp_url: str | None = None
    permitted_dns: tuple[str, ...] = ()
    permitted_ip: tuple[str, ...] = ()
    pathlen: int | None = None

    def __post_init__(self) -> None:
        texts = (self.crl_url, self.issuer_url, self.ocsp_url, *self.permitted_dns)
        for text in texts:
            if text is not None and not _SAFE.fullmatch(text):
                raise ConfigurationError(
                    f"{visible(text)!r} cannot stand in a certificate's extension list",
                    remedy="percent-encode blanks, commas, quotes, '#' and '$'",
                )

    def variables(self) -> dict[str, object]:
        """What the template sees. Raises: ConfigurationError."""
        try:
            masked = tuple(ip_network(text).with_netmask for text in self.permitted_ip)
        except ValueError as error:
            raise ConfigurationError(
                f"{visible(str(self.permitted_ip))} holds something that is not a network",
                remedy="write it like 192.168.0.0/16",
            ) from error
        return {
            "key": self.key,
            "names": self.names,
            "subject": self.subject,
            "crl_url": self.crl_url,
            "issuer_url": self.issuer_url,
            "ocsp_url": self.ocsp_url,
            "permitted_dns": self.permitted_dns,
            "permitted_ip": masked,
            "pathlen": self.pathlen,
        }


def render(template: ProfileTemplate, context: RenderContext) -> str:
    """The openssl.cnf a template gives in one situation.

    Raises: ProfileMalformed naming the line, for what is not allowed or does not render.
    """
    if not template.is_template:
        return template.text
    compiled = _compile(template)
    from jinja2 import TemplateError

    pieces: list[str] = []
    size = 0
    try:
        for piece in compiled.generate(context.variables()):
            size += len(piece)
            if size > MAX_RENDERED:
                raise _malformed(
                    template, 1, f"it renders more than {MAX_RENDERED} characters", "shorten it"
                )
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError) as error:
        raise _malformed(
            template,
            _line_of(error),
            f"it does not render: {visible(str(error))}",
            "use the variables of a profile template: " + ", ".join(RenderContext().variables()),
        ) from error
    return _at_its_lines("".join(pieces))


def examine(template: ProfileTemplate) -> None:
    """Refuse what no template may hold, without rendering it. Raises: ProfileMalformed."""
    if template.is_template:
        _compile(template)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # the output is an openssl.cnf, not HTML
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in ("join",)}
    environment.tests = {"none": environment.tests["none"]}
    return environment


@lru_cache(maxsize=64)
def _compile(template: ProfileTemplate) -> Template:
    from jinja2 import TemplateSyntaxError, nodes

    if len(template.text) > MAX_TEMPLATE or "\0" in template.text:
        raise _malformed(
            template, 1, f"it has more than {MAX_TEMPLATE} characters, or a NUL", "shorten it"
        )
    environment = _environment()
    try:
        tree = environment.parse(template.text)
        _inspect(tree, template, 0, frozenset(RenderContext().variables()))
        for chunk in tree.find_all(nodes.TemplateData):
            chunk.data = _marked(chunk.data, chunk.lineno)
        return environment.from_string(tree)
    except TemplateSyntaxError as error:
        raise _malformed(
            template, error.lineno, f"not a template: {visible(error.message or '')}", "mend it"
        ) from error
    except (RecursionError, SyntaxError, ValueError, MemoryError) as error:
        # what the compiler below jinja2 says of nesting, and of numbers, beyond its limits
        raise _malformed(
            template, 1, "it is nested too deeply, or holds too large a number", "simplify it"
        ) from error


def _inspect(
    node: nodes.Node, template: ProfileTemplate, depth: int, variables: frozenset[str]
) -> None:
    """Refuse every construct that is not on the list. Raises: ProfileMalformed."""
    from jinja2 import nodes

    kind = type(node).__name__
    if depth > MAX_NESTING * 3:
        raise _malformed(template, node.lineno, "it is nested too deeply", "simplify it")
    if kind not in _ALLOWED:
        raise _malformed(
            template,
            node.lineno,
            f"{kind} has no place in a profile template",
            "use {{ variable }} and {% if … %} only",
        )
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in variables:
        from ca.profiles.object_names import meant

        raise _malformed(
            template,
            node.lineno,
            f"{visible(node.name)!r} is not a variable{meant(node.name, variables)}",
            f"use {', '.join(sorted(variables))}",
        )
    if isinstance(node, nodes.Filter):
        _inspect_join(node, template)
    for child in node.iter_child_nodes():
        _inspect(child, template, depth + 1, variables)


def _inspect_join(node: nodes.Filter, template: ProfileTemplate) -> None:
    """Only `permitted_dns | join("…")`: of anything longer than a list it could grow a text."""
    from jinja2 import nodes

    over, words = node.node, node.args
    separator = words[0].value if len(words) == 1 and isinstance(words[0], nodes.Const) else None
    plain = isinstance(over, nodes.Name) and over.name in _LISTS
    if node.name != "join" or not plain or not isinstance(separator, str) or len(separator) > 64:
        raise _malformed(
            template,
            node.lineno,
            f"the filter {visible(node.name)!r} cannot be used like this",
            'write {{ permitted_dns | join(", permitted;DNS:") }}',
        )


def _marked(text: str, line: int) -> str:
    """Template text with the number of its line noted wherever a line, or the text, begins."""
    lines = text.split("\n")
    return "\n".join(f"\0{line + count}\0{part}" for count, part in enumerate(lines))


def _at_its_lines(marked: str) -> str:
    """Notes taken out again; blank lines put in until each line stands where it was written."""
    out: list[str] = []
    for line in marked.split("\n"):
        before, *noted = line.split("\0")
        pairs = list(zip(noted[::2], noted[1::2], strict=True))
        written = [int(number) for number, part in pairs if part] or [
            int(number) for number, _ in pairs
        ]
        if written and not before:
            out += [""] * (written[0] - 1 - len(out))
        out.append(before + "".join(part for _, part in pairs))
    return "\n".join(out)


def _line_of(error: Exception) -> int:
    """The template's line in a traceback that jinja2 has rewritten to template lines."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _malformed(template: ProfileTemplate, line: int, text: str, remedy: str) -> ProfileMalformed:
    where = f"{template.source}:{line}" if template.source != "built-in" else f"line {line}"
    return ProfileMalformed(
        f"the profile {template.name!r} is not usable: {where}: {text}",
        remedy=remedy,
        violations=(Violation("profile.template", f"{where}: {text}", remedy),),
    )
