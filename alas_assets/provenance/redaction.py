"""Personal data and secrets in a text: where they stand, and the text without them (S9, O7).

Pure functions of the text alone. What is done with a text that holds some (reject a row, store it redacted) is the caller's.
Release notes must survive: versions, CVE ids, hashes, documentation addresses and code stay as they are.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tldextract.tldextract import ExtractResult

Kind = Literal["secret", "e-mail", "ip", "phone"]

_RANK: dict[Kind, int] = {"secret": 0, "e-mail": 1, "phone": 2, "ip": 3}


@dataclass(frozen=True, order=True)
class PrivatePart:
    """One stretch of a text that must not leave it.

    Attributes:
        start: Its first character.
        end: One past its last character.
        kind: What it is.
    """

    start: int
    end: int
    kind: Kind


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with every private part replaced by its kind in square brackets, such as "[e-mail]".

    Args:
        text: Any text; a JSON or XML text stays readable as such.
        secrets: Values that are removed wherever they stand, also JSON-escaped or percent-encoded.
    """
    pieces: list[str] = []
    done = 0
    for part in _merged([*_exact(text, secrets), *_found(text)]):
        pieces += (text[done : part.start], f"[{part.kind}]")
        done = part.end
    return "".join(pieces) + text[done:]


def private_parts(text: str) -> list[PrivatePart]:
    """Return where e-mail addresses, public IP addresses, phone numbers and secrets stand, in order and without overlaps."""
    return _merged(_found(text))


def _found(text: str) -> Iterator[PrivatePart]:
    yield from _secrets(text)
    yield from _mail(text)
    yield from _addresses(text)
    yield from _phones(text)


def _merged(parts: Iterable[PrivatePart]) -> list[PrivatePart]:
    """Join what overlaps; the graver kind names the whole."""
    merged: list[PrivatePart] = []
    for part in sorted(parts):
        if merged and part.start < merged[-1].end:
            last = merged[-1]
            kind = min(last.kind, part.kind, key=_RANK.__getitem__)
            merged[-1] = PrivatePart(last.start, max(last.end, part.end), kind)
        else:
            merged.append(part)
    return merged


def _exact(text: str, secrets: Iterable[str]) -> Iterator[PrivatePart]:
    for secret in sorted(set(secrets)):
        for form in {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")} - {""}:
            at = text.find(form)
            while at >= 0:
                yield PrivatePart(at, at + len(form), "secret")
                at = text.find(form, at + len(form))


# ------------------------------------------------------------------------------------------------ JSON escapes
# The text may be JSON: in "\nann@host.org" the n belongs to the escape. Were it taken for a letter of the address, the text
# without it would be no JSON any more, and a key after it would seem to stand inside a word.

_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbf])")
_ESCAPE_LENGTH = 6


def _edge(first: str) -> str:
    """Return a pattern for `first`, of fixed width, where a word begins, also right after a JSON escape.

    What is looked for comes before the look back, so that the scan jumps from one candidate to the next.
    """
    return rf"{first}(?:(?<![\w.-]{first})|(?<=\\[nrtbf]{first})|(?<=\\u[0-9a-fA-F]{{4}}{first}))"


def _past_escape(text: str, start: int) -> int:
    """Return where a word that begins at `start` begins if its first letters belong to a JSON escape."""
    if start and text[start - 1] == "\\" and (found := _ESCAPE.match(text, start - 1)):
        return found.end()
    return start


def _after_escape(text: str, at: int) -> bool:
    head = text[max(0, at - _ESCAPE_LENGTH) : at]
    return any(_ESCAPE.fullmatch(head, i) for i in range(len(head)))


_WORD = re.compile(r"[A-Za-z0-9]")


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit goes on to the left or right: a key is never part of a longer word, such as a hash."""
    begins = start == 0 or not _WORD.match(text[start - 1]) or not _WORD.match(text[start]) or _after_escape(text, start)
    ends = end >= len(text) or not _WORD.match(text[end]) or not _WORD.match(text[end - 1])
    return begins and ends


# ------------------------------------------------------------------------------------------------ secrets

_PLUGINS = (
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)
"""Detectors of detect-secrets whose patterns have a form of their own and take linear time; those left out are below, bounded."""

_OWN = tuple(
    re.compile(pattern)
    for pattern in (
        _edge("eyJ") + r"[A-Za-z0-9_=-]{8,4000}\.eyJ[A-Za-z0-9_=-]{4,4000}(?:\.[A-Za-z0-9_.+/=-]{0,4000})?",  # JWT
        _edge("[srp]k-") + r"[A-Za-z0-9_-]{20,400}",  # OpenAI and those that write their keys like it
        _edge("AKC") + r"[A-Za-z0-9]{10,200}",  # Artifactory
        _edge("AP[0-9A-F]") + r"[A-Za-z0-9]{8,200}",
        r"github_pat_[A-Za-z0-9_]{22,255}",
        r"hf_[A-Za-z0-9]{30,80}",
        r"AIza[A-Za-z0-9_-]{35}",  # Google
        r"xapp-\d-[A-Z0-9]{8,20}-\d{8,20}-[a-z0-9]{32,128}",  # Slack
        r"npm_[A-Za-z0-9]{36}",
        r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
        r"(?:tvly|exa|gsk|r8|nvapi|pplx|tgp_v1)[-_][A-Za-z0-9_-]{24,200}",  # search and model providers
    )
)
_AWS_KEY_ID = re.compile(_edge("AKIA") + r"[A-Z0-9]{16}(?![A-Za-z0-9])")  # one in two hundred has no digit
_MAILCHIMP = re.compile(r"-us(?<=[0-9a-z]{32}-us)[0-9]{1,2}")
_LETTER_AND_DIGIT = re.compile(r"(?=[^0-9]{0,400}[0-9])(?=[^A-Za-z]{0,400}[A-Za-z])")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,20000}(?:-----END [A-Z0-9 ]{0,40}-----)?"
)
_BEARER = re.compile(_edge("[bBtT]") + r"(?i:earer|asic|oken)[ \t]+(?P<value>[A-Za-z0-9_.~+/=-]{20,4000})")
_LOGIN = re.compile(r"://[^\s:/@\"'<>]{0,200}:(?P<value>[^\s:/@\"'<>]{1,200})@(?P<host>[^\s/:\"'<>]{1,253})")
_ASSIGNED = re.compile(
    r"(?=[kKpPsStT])(?i:(?P<key>key)|passw(?:or)?d|passphrase|pwd|secret|token)"
    r"(?i:[_-]?[a-z0-9]{0,20})[\"'\]]{0,2}[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}\\?(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;<>(){}\\]{8,200})"
)
_KEY_OF = re.compile(r"(?i:api|auth|access|account|client|private|priv|service|secret|signing|encryption)[_-]?\Z")
_PLACEHOLDER = re.compile(
    r"(?i)^[\[$%{<]|^(.)\1*$|x{4,}|\*{3,}|\.{3}|example|placeholder|change.?me|redacted|dummy|your[-_]|my[-_]|^(?:user(?:name)?|pass(?:word|wd)?|pwd|secret|token|key)$"
)
_LONGEST_KEY_NAME = 12
_LEAST_ENTROPY = 3.0  # bits a character: what is drawn at random has more, words and versions have less


def _secrets(text: str) -> Iterator[PrivatePart]:
    for found in _PRIVATE_KEY.finditer(text):
        yield PrivatePart(found.start(), found.end(), "secret")
    for pattern in (*_library_patterns(), *_OWN):
        for found in pattern.finditer(text):
            start, end = _trimmed(found)
            if _stands_alone(text, start, end) and _LETTER_AND_DIGIT.match(text, start, end):
                yield PrivatePart(start, end, "secret")
    for found in _AWS_KEY_ID.finditer(text):
        if not _PLACEHOLDER.search(found.group()):
            yield PrivatePart(found.start(), found.end(), "secret")
    for found in _MAILCHIMP.finditer(text):
        if _stands_alone(text, found.start() - 32, found.end()):
            yield PrivatePart(found.start() - 32, found.end(), "secret")
    for found in _BEARER.finditer(text):
        if _drawn_at_random(found["value"]):
            yield PrivatePart(*found.span("value"), "secret")
    for found in _LOGIN.finditer(text):
        if not (_PLACEHOLDER.search(found["value"]) or _for_documentation(found["host"])):
            yield PrivatePart(*found.span("value"), "secret")
    for found in _ASSIGNED.finditer(text):
        if found["key"] and not _KEY_OF.search(text, max(0, found.start() - _LONGEST_KEY_NAME), found.start()):
            continue
        if _drawn_at_random(found["value"], quoted=bool(found["quote"])):
            yield PrivatePart(*found.span("value"), "secret")


@lru_cache(maxsize=1)
def _library_patterns() -> tuple[re.Pattern[str], ...]:
    patterns: list[re.Pattern[str]] = []
    for name in _PLUGINS:
        module, _, detector = name.partition(".")
        patterns += getattr(import_module(f"detect_secrets.plugins.{module}"), detector).denylist
    return tuple(patterns)


def _trimmed(found: re.Match[str]) -> tuple[int, int]:
    """Return a match without the quotes and spaces that some patterns take along."""
    matched = found.group()
    left = len(matched) - len(matched.lstrip(" \t\r\n\"'=:"))
    return found.start() + left, found.start() + len(matched.rstrip(" \t\r\n\"'"))


def _drawn_at_random(value: str, quoted: bool = False) -> bool:
    """Whether a value beside a telling name is a secret, and no placeholder, identifier, path, version or word."""
    if _PLACEHOLDER.search(value) or not _LETTER_AND_DIGIT.match(value) or _is_identifier(value, parts=2 if quoted else 1):
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return entropy >= min(_LEAST_ENTROPY, math.log2(len(value)) - 0.6)


_SEPARATOR = re.compile(r"[_.:/-]+")
_NAME_PART = re.compile(r"[A-Za-z]*\d{0,6}[A-Za-z]*")


def _is_identifier(value: str, parts: int) -> bool:
    """Whether it is made of at least so many words as code has them: `batch_1_day`, `base64.b64decode`, `X509_TYPE`."""
    found = [part for part in _SEPARATOR.split(value) if part]
    return len(found) >= parts and all(len(part) <= 20 and _NAME_PART.fullmatch(part) for part in found)


# ------------------------------------------------------------------------------------------------ e-mail

_MAIL = re.compile(
    r"(?<![A-Za-z0-9.!#$%&*+?^_~-])(?P<name>[A-Za-z0-9.!#$%&*+?^_~-]{1,64})@(?P<host>(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9-])"
)
_LETTERS = "A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u0370-\u052f"
"""Of alphabets whose words stand apart; what goes before an address in Chinese, without a space, is no part of it."""
_ESCAPED = r"(?<!\\)\\u0(?:0[c-fC-F]|[1-5][0-9a-fA-F])[0-9a-fA-F]"  # such a letter in JSON
_NAME = rf"[{_LETTERS}.!#$%&*+?^_~-]"
_WIDE_HOST = rf"(?P<host>(?:(?:[{_LETTERS}-]|{_ESCAPED}){{1,63}}\.){{1,8}}(?:[{_LETTERS}]|{_ESCAPED}){{2,24}})(?![{_LETTERS}-])"
_WIDE_MAIL = re.compile(rf"(?<!{_NAME})(?P<name>(?:{_NAME}|{_ESCAPED}){{1,64}})(?:@|\uff20|\ufe6b|%40|\\uff20|\\ufe6b){_WIDE_HOST}")
_QUOTED_MAIL = re.compile(r"(?P<quote>\\?\")(?P<name>[A-Za-z0-9][^\"\\\r\n]{0,61}[A-Za-z0-9])(?P=quote)@" + _WIDE_HOST)
_AT = re.compile(r"[@\uff20\ufe6b]|%40|\\uff20|\\ufe6b")
_RESERVED = frozenset({"example", "test", "invalid", "localhost", "local", "internal", "lan"})
_EXAMPLE_HOST = re.compile(r"(?i)(?:^|\.)example\.(?:com|org|net|edu)$")
_ALGORITHM_HOSTS = frozenset({"openssh.com", "libssh.org"})  # "aes256-gcm@openssh.com" names an algorithm (RFC 4251, section 6)
_LIST_ADDRESS = re.compile(r"/lists?/$")  # a mailing list's place in its archive's URL
_SERVICE_NAMES = frozenset({"git", "hg", "svn", "noreply", "no-reply", "donotreply", "do-not-reply", "postmaster", "mailer-daemon"})


def _mail(text: str) -> Iterator[PrivatePart]:
    if not _AT.search(text):
        return
    for pattern in (_MAIL, _WIDE_MAIL):
        for found in pattern.finditer(text):
            start = _past_escape(text, found.start())
            name = text[start : found.end("name")].strip(".")
            if name and not _no_person(name, found["host"]) and not _LIST_ADDRESS.search(text, max(0, start - 7), start):
                yield PrivatePart(start, found.end(), "e-mail")
    for found in _QUOTED_MAIL.finditer(text):
        if not _no_person(found["name"], found["host"]):
            yield PrivatePart(found.start(), found.end(), "e-mail")


def _no_person(name: str, host: str) -> bool:
    """Whether it is an address of a service, of an example, or no address at all."""
    return name.lower() in _SERVICE_NAMES or host.lower() in _ALGORITHM_HOSTS or _for_documentation(host) or not _is_public_name(host)


def _for_documentation(host: str) -> bool:
    return host.lower().rsplit(".", 1)[-1] in _RESERVED or bool(_EXAMPLE_HOST.search(host))


def _is_public_name(host: str) -> bool:
    """Whether the name ends in a known public suffix: `value@name.setter` is code."""
    return bool(_suffixes()(re.sub(_ESCAPED, lambda letter: chr(int(letter[0][2:], 16)), host)).suffix)


@lru_cache(maxsize=1)
def _suffixes() -> Callable[[str], ExtractResult]:
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


# ------------------------------------------------------------------------------------------------ IP addresses

_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d)")
_INSIDE_NUMBER = re.compile(r"[\d.]")
_IPV6 = re.compile(_edge("[23]") + r"(?<!:[23])[0-9a-fA-F]{3}:[0-9a-fA-F:]{2,39}(?![0-9A-Za-z:])")
_VERSION_BEFORE = re.compile(
    r"(?i:\b(?:versions?|releases?|builds?|upgrad\w{1,4}|updat\w{1,4}|downgrad\w{1,4}|bump\w{0,3}|affect\w{0,4}|fix\w{0,3}|before|prior|since|through)\b[^\n]{0,24})\Z"
    r"|[=<>~^]=?\s?\Z|[A-Za-z_-]v?\Z|[A-Za-z]/v?\Z"
)
_NAMED_BEFORE = re.compile(r"\b[A-Z][A-Za-z+#-]{0,30} v?\Z")
_ADDRESS_BEFORE = re.compile(
    r"(?i)(?:\bips?\b|address|\bhosts?\b|\bping\b|\bdns\b|gateway|resolver|nameserver|//|@|\bconnect)[^\n]{0,24}\Z"
)
_ADDRESS_AFTER = re.compile(r":\d{2,5}\b|/\d{1,2}\b")
_LISTED = re.compile(r"[,;/]? {0,2}(?:or|and|to)? ?")
_LOOK_BACK = 40
_VERSION_LIKE = 30  # an address of four numbers up to this one is a version, unless the words around it say otherwise


def _addresses(text: str) -> Iterator[PrivatePart]:
    listed_after = -1  # where the last version ended: what follows it in a list is a version as well
    for found in _IPV4.finditer(text):
        if found.start() and _INSIDE_NUMBER.match(text[found.start() - 1]):
            continue
        in_list = listed_after >= 0 and bool(_LISTED.fullmatch(text, listed_after, found.start()))
        if in_list or _is_version(text, found):
            listed_after = found.end()
        elif _is_public(found.group()):
            yield PrivatePart(found.start(), found.end(), "ip")
    for found in _IPV6.finditer(text):
        shown = found.group()
        if _is_public(shown if shown.endswith("::") else shown.rstrip(":")):
            yield PrivatePart(found.start(), found.end(), "ip")


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _is_version(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - _LOOK_BACK) : found.start()]
    told = bool(_ADDRESS_BEFORE.search(before)) or bool(_ADDRESS_AFTER.match(text, found.end()))
    if told:
        return False
    numbers = [int(part) for part in found.group().split(".")]
    if all(number <= _VERSION_LIKE for number in numbers) or (numbers[1] <= _VERSION_LIKE and _NAMED_BEFORE.search(before)):
        return True
    return bool(_VERSION_BEFORE.search(before)) and not _after_escape(text, found.start())


# ------------------------------------------------------------------------------------------------ phone numbers

_INTERNATIONAL = re.compile(r"\+[ \t]?\(?\d(?:[ \t().\-/\u00a0\u2010-\u2015]{0,3}\d){6,16}")
_NATIONAL = re.compile(rf"(?:{_edge('[(]')}\d{{3}}\)[ \t]?|{_edge('[0-9]')}\d{{2}}[-. ])" r"\d{3}[-. ]\d{4}(?![\w-]|\.\d)")
_ANNOUNCED = re.compile(
    _edge("[tTpPmMcCfFwWsS]") + r"(?i:(?:el(?:ephone|efon)?|hone|obile|ell|ax|all(?: me| us)?|hatsapp|ms)\b)"
    r"(?i:(?: (?:number|no|us|me|at|is))?[.:]{0,2}\s{0,3}(?:at |is |on )?)"
    r"(?P<number>\(?\d(?:[ \t().\-/\u00a0]{0,3}\d){6,14})(?![\w]|\.\d)"
)


def _phones(text: str) -> Iterator[PrivatePart]:
    for found in _INTERNATIONAL.finditer(text):
        before = text[found.start() - 1 : found.start()]
        if (not before or not (before.isalnum() or before == "+") or _after_escape(text, found.start())) and (
            span := _valid_phone(found.group(), None)
        ):
            yield PrivatePart(found.start() + span[0], found.start() + span[1], "phone")
    for found in _NATIONAL.finditer(text):
        if _valid_phone(found.group(), "US"):
            yield PrivatePart(found.start(), found.end(), "phone")
    for found in _ANNOUNCED.finditer(text):
        yield PrivatePart(*found.span("number"), "phone")


def _valid_phone(candidate: str, region: str | None) -> tuple[int, int] | None:
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(candidate, region, leniency=phonenumbers.Leniency.VALID, max_tries=3):
        return match.start, match.end
    return None
