"""The reader of vulnerability records: CVE JSON 5 and OSV, read as records and told in sentences, lists and headings (R2).

The text is the same for the same record, byte for byte, because quotes must be found in it. Other JSON is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile, zip_longest
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .documents import markdown_html
from .flow import to_markdown
from .markup import cleaned_body
from .page import Unreadable, answer, refuse_if_empty, tidy, usable, visible, words

_REFUSED = "not a CVE JSON 5 or OSV record"
_MAX_PRODUCTS = 40
_MAX_RANGES = 60
_NO_START = ("", "0", "*", "0.0.0", "n/a", "unspecified")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_NUMBERS = re.compile(r"v?\d{1,18}(\.\d{1,18})*")
_CWE = re.compile(r"CWE-\d+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CVSS_KEYS = {"cvssV4_0": "4.0", "cvssV3_1": "3.1", "cvssV3_0": "3.0", "cvssV2_0": "2.0"}


def read_advisory(body: bytes) -> dict[str, Any]:
    """Read a CVE JSON 5 or OSV record.

    Raises:
        Unreadable: It is neither, or a part that is needed is of the wrong shape; the reason names the part.
    """
    try:
        record = json.loads(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise Unreadable(f"{_REFUSED}: no JSON ({error})"[:300]) from error
    if not isinstance(record, dict):
        raise Unreadable(_REFUSED)
    try:
        if record.get("dataType") == "CVE_RECORD" and str(record.get("dataVersion", "")).startswith("5"):
            told, how = _of_cve(_CveRecord.model_validate(record)), "cve-record"
        elif isinstance(record.get("id"), str) and "modified" in record:
            told, how = _of_osv(_OsvRecord.model_validate(record)), "osv-record"
        else:
            raise Unreadable(_REFUSED)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unreadable(f"{_REFUSED}: {'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]) from error
    text = tidy(told.text())
    count = len(words(text))
    refuse_if_empty(count, "the record")
    return answer(
        text,
        told.title,
        {"authors": [told.author] if told.author else [], "published_at": told.published},
        links=told.links,
        page_words=count,
        kept_words=count,
        link_words=0,
        how=how,
    )


# ------------------------------------------------------------------------------------------------ what is told


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class _Range(_Part):
    """Versions from `start`, up to but not including `before`, or up to `last`."""

    model_config = ConfigDict(frozen=True)

    start: str = ""
    before: str = ""
    last: str = ""

    def words(self) -> str:
        since = f"from {self.start} " if self.start not in _NO_START else ""
        if self.before:
            return f"{since}before {self.before}"
        if self.last:
            return f"{since}up to {self.last}"
        return f"{since}on" if since else "all versions"


class _Product(_Part):
    name: str
    vendor: str = ""
    ecosystem: str = ""
    ranges: list[_Range] = Field(default_factory=list)
    versions: list[str] = Field(default_factory=list, description="versions that stand in no range")
    fixed: list[_Range] = Field(default_factory=list, description="ranges whose `before` is known to be a fix")
    untold: int = Field(default=0, description="ranges of the record that are left out, since their bounds stand in no order we know")


class _Severity(_Part):
    version: str
    vector: str = ""
    score: float | None = None
    level: str = ""


class _Told(_Part):
    """A record in the shape that both formats share."""

    subject: str
    own_id: str = ""
    title: str = ""
    author: str = ""
    aliases: list[str] = Field(default_factory=list)
    published: str = ""
    updated: str = ""
    withdrawn: str = ""
    rejected: str = ""
    description: str = ""
    products: list[_Product] = Field(default_factory=list)
    weaknesses: list[tuple[str, str]] = Field(default_factory=list)
    severities: list[_Severity] = Field(default_factory=list)
    level: str = ""
    notes: list[tuple[str, str]] = Field(default_factory=list, description="(heading, text)")
    links: list[str] = Field(default_factory=list)

    def text(self) -> str:
        """Return the record as Markdown."""
        parts = [f"# {self.title}", *self._opening()]
        parts += _section("Description", self.description)
        parts += self._affected()
        parts += self._fixed()
        parts += _section("Weakness", "\n\n".join(self._weakness(number, name) for number, name in self.weaknesses))
        parts += _section("Rating", "\n\n".join(self._severity()))
        for heading, text in self.notes:
            parts += _section(heading, text)
        parts += _section("References", "\n".join(f"- {link}" for link in self.links))
        return "\n\n".join(parts) + "\n"

    def _opening(self) -> list[str]:
        lines = []
        if self.rejected:
            lines.append(f"{self.subject} was rejected: {self.rejected}")
        if self.own_id:
            lines.append(f"{self.subject} is also recorded as `{self.own_id}`.")
        others = [alias for alias in self.aliases if alias not in (self.subject, self.own_id)]
        if others:
            lines.append(f"{self.subject} is also known as {_listed(others)}.")
        names = list(dict.fromkeys(one.name for one in self.products))
        if names:
            more = [f"{len(names) - _MAX_PRODUCTS} more"] if len(names) > _MAX_PRODUCTS else []
            lines.append(f"{self.subject} affects {_listed([*names[:_MAX_PRODUCTS], *more])}.")
        vendors = list(dict.fromkeys(one.vendor for one in self.products if one.vendor))
        if len(vendors) == 1:
            lines.append(f"The vendor of what {self.subject} affects is `{vendors[0]}`.")
        for verb, date in (("published", self.published), ("last updated", self.updated), ("withdrawn", self.withdrawn)):
            if day := _DATE.match(date):
                lines.append(f"{self.subject} was {verb} on {day[0]}.")
        return [" ".join(lines)] if lines else []

    def _affected(self) -> list[str]:
        parts: list[str] = []
        for product in _merged(self.products)[:_MAX_PRODUCTS]:
            lines = [f"- {product.name} {one.words()}" for one in product.ranges[:_MAX_RANGES]]
            if product.versions:
                lines.append(f"- {product.name} {_listed(product.versions[:_MAX_RANGES])}")
            more = sum(max(0, len(told) - _MAX_RANGES) for told in (product.ranges, product.versions))
            if more:
                lines.append(f"- {more} more are in the record itself")
            if product.untold:
                lines.append(f"- ranges that are only in the record itself, since their bounds could not be put in order: {product.untold}")
            package = f" ({product.ecosystem} package)" if product.ecosystem else ""
            parts += _section(f"Affected versions of {product.name}{package}", "\n".join(lines))
        return parts

    def _fixed(self) -> list[str]:
        lines: list[str] = []
        products = _merged(self.products)
        homes = Counter(product.name for product in products)
        for product in products[:_MAX_PRODUCTS]:
            fixed = [one for one in product.fixed if one.before][:_MAX_RANGES]
            fixes = list(dict.fromkeys(one.before for one in fixed))
            # packages of one name in two ecosystems have fixes of their own
            home = f"{product.ecosystem} package " if product.ecosystem and homes[product.name] > 1 else ""
            what = f"the {home}{product.name}" if home else product.name
            if len(fixes) == 1:
                lines.append(self._fix(what, fixes[0]))
            elif fixes:
                lines.append(f"The versions of {what} in which {self.subject} is fixed are {_listed(fixes)}.")
                lines += [self._fix(f"the {home}{product.name} {series} series", fix) for series, fix in _fixed_by_series(fixed).items()]
        return _section("Fixed versions", "\n\n".join(dict.fromkeys(lines)))

    def _fix(self, what: str, version: str) -> str:
        return f"The first version of {what} in which {self.subject} is fixed is `{version}`."

    def _weakness(self, number: str, name: str) -> str:
        named = f" The name of {number} is `{name}`." if name else ""
        return f"The weakness behind {self.subject} is `{number}`.{named}"

    def _severity(self) -> list[str]:
        lines = [f"The severity of {self.subject} is `{self.level.lower()}`."] if self.level else []
        for one in self.severities:
            if one.score is not None:
                lines.append(f"The CVSS base score of {self.subject} is `{one.score:.1f}` (CVSS {one.version}).")
            if one.level and one.level.lower() != self.level.lower():
                lines.append(f"The severity of {self.subject} by CVSS {one.version} is `{one.level.lower()}`.")
            if one.vector:
                lines.append(f"The CVSS vector of {self.subject} is `{one.vector}`.")
        return lines


def _merged(products: list[_Product]) -> list[_Product]:
    """Return one product for each name of an ecosystem: many records give each range of a package an entry of its own."""
    entries: dict[tuple[str, str], list[_Product]] = {}
    for one in products:
        entries.setdefault((one.ecosystem, one.name), []).append(one)
    return [
        _Product(
            name=name,
            ecosystem=ecosystem,
            ranges=list(dict.fromkeys(each for one in same for each in one.ranges)),
            versions=list(dict.fromkeys(version for one in same for version in one.versions)),
            fixed=list(dict.fromkeys(each for one in same for each in one.fixed)),
            untold=sum(one.untold for one in same),
        )
        for (ecosystem, name), same in entries.items()
    ]


def _fixed_by_series(ranges: list[_Range]) -> dict[str, str]:
    """Return the fix of each series, 5.2 for a range from 5.2.0 before 5.2.11; none for a series that has several."""
    found: dict[str, list[str]] = {}
    for one in ranges:
        pairs = zip(one.start.split("."), one.before.split("."), strict=False)
        series = ".".join(start for start, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if series:
            found.setdefault(series, []).append(one.before)
    return {series: fixes[0] for series, fixes in found.items() if len(set(fixes)) == 1}


def _order(version: str) -> tuple[int, ...] | None:
    """Return what puts a version in order where every ecosystem orders it alike, which is by its numbers alone; None for any other."""
    if version in _NO_START:
        return ()
    if not _NUMBERS.fullmatch(version):
        return None
    numbers = [int(number) for number in version.removeprefix("v").split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _orders(versions: Iterable[str]) -> list[tuple[int, ...]] | None:
    """Return the order of each version, or None where that of one is not known."""
    orders = [_order(version) for version in versions]
    known = [order for order in orders if order is not None]
    return known if len(known) == len(orders) else None


def _section(heading: str, text: str) -> list[str]:
    return [f"## {heading}", text] if text.strip() else []


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _line(text: str) -> str:
    """Return foreign text as one line of prose; it opens and closes no code span of ours."""
    return " ".join(_shown(text).replace("`", "'").split())


def _shown(text: str) -> str:
    return visible(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))


def _prose(markdown: str) -> str:
    """Return foreign Markdown without what its readers would not see, its headings below ours."""
    body = cleaned_body(markdown_html(markdown))
    for heading in body.find_all(re.compile(r"^h[1-6]$")):
        heading.name = f"h{min(6, int(heading.name[1]) + 2)}"
    return to_markdown(body).strip("\n")


def _plain(text: str) -> str:
    """Return foreign plain text in its paragraphs; none of its lines becomes a heading."""
    paragraphs = re.split(r"\n\s*\n", _shown(text).replace("\r\n", "\n"))
    return "\n\n".join(" ".join(paragraph.split()).lstrip("# ") for paragraph in paragraphs if paragraph.strip())


def _web(links: Iterable[str]) -> list[str]:
    return usable(link for link in map(_line, links) if re.match(r"https?://[^\s]+$", link))


def _titled(subject: str, title: str) -> str:
    title = _line(title).rstrip(".")
    return title if title.startswith(subject) else f"{subject}: {title}" if title else subject


# ------------------------------------------------------------------------------------------------ CVE JSON 5


class _Words(_Part):
    lang: str = "en"
    value: str = ""


class _CveChange(_Part):
    at: str = ""
    status: str = ""


class _CveVersion(_Part):
    version: str = ""
    status: str = "affected"
    less_than: str = Field(default="", alias="lessThan")
    less_than_or_equal: str = Field(default="", alias="lessThanOrEqual")
    kind: str = Field(default="", alias="versionType")
    changes: list[_CveChange] = Field(default_factory=list)


class _CveProduct(_Part):
    vendor: str = ""
    product: str = ""
    package: str = Field(default="", alias="packageName")
    versions: list[_CveVersion] = Field(default_factory=list)
    default_status: str = Field(default="unknown", alias="defaultStatus")


class _CweName(_Part):
    lang: str = "en"
    cwe: str = Field(default="", alias="cweId")
    description: str = ""


class _CweNames(_Part):
    descriptions: list[_CweName] = Field(default_factory=list)


class _Cvss(_Part):
    score: float | None = Field(default=None, alias="baseScore", ge=0, le=10)
    level: str = Field(default="", alias="baseSeverity")
    vector: str = Field(default="", alias="vectorString")


class _Metric(_Part):
    v4: _Cvss | None = Field(default=None, alias="cvssV4_0")
    v31: _Cvss | None = Field(default=None, alias="cvssV3_1")
    v30: _Cvss | None = Field(default=None, alias="cvssV3_0")
    v2: _Cvss | None = Field(default=None, alias="cvssV2_0")


class _Link(_Part):
    url: str = ""


class _Container(_Part):
    title: str = ""
    date_public: str = Field(default="", alias="datePublic")
    descriptions: list[_Words] = Field(default_factory=list)
    affected: list[_CveProduct] = Field(default_factory=list)
    weaknesses: list[_CweNames] = Field(default_factory=list, alias="problemTypes")
    metrics: list[_Metric] = Field(default_factory=list)
    references: list[_Link] = Field(default_factory=list)
    solutions: list[_Words] = Field(default_factory=list)
    workarounds: list[_Words] = Field(default_factory=list)
    exploits: list[_Words] = Field(default_factory=list)
    rejected: list[_Words] = Field(default_factory=list, alias="rejectedReasons")


class _Containers(_Part):
    cna: _Container
    adp: list[_Container] = Field(default_factory=list)


class _CveHead(_Part):
    cve: str = Field(alias="cveId", pattern=r"^CVE-\d{4}-\d{4,19}$")
    assigner: str = Field(default="", alias="assignerShortName")
    published: str = Field(default="", alias="datePublished")
    updated: str = Field(default="", alias="dateUpdated")


class _CveRecord(_Part):
    head: _CveHead = Field(alias="cveMetadata")
    containers: _Containers


def _of_cve(record: _CveRecord) -> _Told:
    head, cna = record.head, record.containers.cna
    every = [cna, *record.containers.adp]
    severities = [severity for container in every for metric in container.metrics for severity in _cvss_of(metric)]
    return _Told(
        subject=head.cve,
        title=_titled(head.cve, cna.title),
        author=_line(head.assigner),
        published=head.published or cna.date_public,
        updated=head.updated,
        rejected=" ".join(_english(cna.rejected)),
        description="\n\n".join(_english(cna.descriptions)),
        products=[product for container in every for one in container.affected if (product := _cve_product(one)).name],
        weaknesses=_cwe_of([name for container in every for group in container.weaknesses for name in group.descriptions]),
        severities=list({(one.version, one.vector, one.score): one for one in severities}.values())[:8],
        notes=[
            (heading, "\n\n".join(_english(texts)))
            for heading, texts in (("Solution", cna.solutions), ("Workaround", cna.workarounds), ("Exploitation", cna.exploits))
        ],
        links=_web(link.url for container in every for link in container.references),
    )


def _english(texts: list[_Words]) -> list[str]:
    chosen = [text for text in texts if text.lang.lower().startswith("en")] or texts[:1]
    return [said for text in chosen if (said := _plain(text.value))]


def _cve_product(one: _CveProduct) -> _Product:
    name = _line(one.product) if one.product.lower() not in ("", "n/a") else _line(one.package)
    vendor = _line(one.vendor)
    ranges: list[_Range] = []
    versions: list[str] = []
    untold = 0
    for version in one.versions:
        if version.kind == "git":
            continue
        if version.less_than or version.less_than_or_equal:
            told = _cve_ranges(version)
            ranges += told or []
            untold += told is None
        elif version.status == "affected" and (start := _line(version.version)) and start.lower() not in ("n/a", "unspecified"):
            versions.append(start)
    if ranges:
        ranges += [_Range(start=version, last=version) for version in versions]
        versions = []
    # What follows an affected range is a fix only where the record says that other versions are not affected.
    changes = [change for version in one.versions for change in version.changes]
    unaffected = {_line(version.version) for version in one.versions if version.status == "unaffected"}
    unaffected |= {_line(change.at) for change in changes if change.status == "unaffected"}
    unsure = {_line(change.at) for change in changes} if one.default_status == "unaffected" else None
    ends = [each for each in ranges if each.before and "*" not in each.before]
    fixed = [each for each in ends if each.before in unaffected or (unsure is not None and each.before not in unsure)]
    told_by_name = vendor.lower() == "n/a" or name.lower().startswith(vendor.lower())
    return _Product(name=name, vendor="" if told_by_name else vendor, ranges=ranges, versions=versions, fixed=fixed, untold=untold)


def _cve_ranges(version: _CveVersion) -> list[_Range] | None:
    """Return the affected parts of a range whose status may change on its way; None where its changes stand in no order we know."""
    start, before, last = (_line(bound) for bound in (version.version, version.less_than, version.less_than_or_equal))
    before, last = ("" if bound == "*" else bound for bound in (before, last))
    points = {start: version.status}
    points |= {at: change.status for change in version.changes if not _beyond(at := _line(change.at), before, last)}
    orders = _orders(points)
    if orders is not None:
        points = {at: points[at] for _, at in sorted(zip(orders, points, strict=True))}
        if next(iter(points)) != start:
            return None
    elif len(points) > 2:
        return None
    ranges: list[_Range] = []
    since: str | None = None
    for at, status in points.items():
        if status == "affected":
            since = at if since is None else since
        elif since is not None:
            ranges.append(_Range(start=since, before=at))
            since = None
    return ranges if since is None else [*ranges, _Range(start=since, before=before, last=last)]


def _beyond(at: str, before: str, last: str) -> bool:
    """Tell whether a change comes where its range is over already."""
    end = before or last
    orders = _orders([at, end])
    if at == before or not end or orders is None:
        return at == before
    return orders[0] > orders[1] or (orders[0] == orders[1] and bool(before))


def _cwe_of(names: list[_CweName]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for name in names:
        number = _CWE.search(name.cwe or name.description)
        if number and name.lang.lower().startswith("en"):
            found.setdefault(number[0], _line(name.description).replace(number[0], "").lstrip(": -").strip())
    return list(found.items())


def _cvss_of(metric: _Metric) -> list[_Severity]:
    pairs = zip(_CVSS_KEYS.values(), (metric.v4, metric.v31, metric.v30, metric.v2), strict=True)
    return [
        _Severity(version=version, vector=_line(one.vector), score=one.score, level=_line(one.level))
        for version, one in pairs
        if one is not None
    ]


# ------------------------------------------------------------------------------------------------ OSV


class _Package(_Part):
    ecosystem: str = ""
    name: str = ""


class _Event(_Part):
    introduced: str = ""
    fixed: str = ""
    last: str = Field(default="", alias="last_affected")


class _OsvRange(_Part):
    type: str = ""
    events: list[_Event] = Field(default_factory=list)


class _OsvScore(_Part):
    type: str = ""
    score: str = ""


class _OsvProduct(_Part):
    package: _Package = Field(default_factory=_Package)
    ranges: list[_OsvRange] = Field(default_factory=list)
    versions: list[str] = Field(default_factory=list)
    severity: list[_OsvScore] = Field(default_factory=list)


class _OwnData(_Part):
    severity: Any = None
    cwes: Any = Field(default=None, alias="cwe_ids")


class _OsvRecord(_Part):
    id: str = Field(pattern=r"^[A-Za-z0-9][\w.:+-]{1,99}$")
    modified: str
    published: str = ""
    withdrawn: str = ""
    summary: str = ""
    details: str = ""
    aliases: list[str] = Field(default_factory=list)
    affected: list[_OsvProduct] = Field(default_factory=list)
    severity: list[_OsvScore] = Field(default_factory=list)
    references: list[_Link] = Field(default_factory=list)
    own: _OwnData = Field(default_factory=_OwnData, alias="database_specific")


def _of_osv(record: _OsvRecord) -> _Told:
    aliases = [alias for alias in map(_line, record.aliases) if re.fullmatch(r"[\w.:+-]{2,100}", alias)]
    cves = [alias for alias in aliases if _CVE.fullmatch(alias)]
    subject = cves[0] if len(cves) == 1 else record.id
    scores = [*record.severity, *(score for one in record.affected for score in one.severity)]
    vectors = dict.fromkeys(_line(score.score) for score in scores if score.type.upper().startswith("CVSS"))
    severities = [_severity_of(vector) for vector in vectors][:8]
    stated = _line(record.own.severity) if isinstance(record.own.severity, str) else ""
    cwes = record.own.cwes if isinstance(record.own.cwes, list) else []
    return _Told(
        subject=subject,
        own_id=record.id if record.id != subject else "",
        title=_titled(subject, record.summary),
        aliases=aliases,
        published=record.published,
        updated=record.modified,
        withdrawn=record.withdrawn,
        description=_prose(record.details),
        products=[product for one in record.affected if (product := _osv_product(one)).name],
        weaknesses=[(cwe, "") for cwe in cwes if isinstance(cwe, str) and _CWE.fullmatch(cwe)],
        severities=severities,
        level=stated if re.fullmatch(r"[A-Za-z]{3,12}", stated) else "",
        links=_web(link.url for link in record.references),
    )


def _osv_product(one: _OsvProduct) -> _Product:
    told = [_osv_ranges(each) for each in one.ranges if each.type.upper() != "GIT"]
    ranges = [each for some in told for each in some or []]
    untold = told.count(None)
    return _Product(
        name=_line(one.package.name),
        ecosystem=_line(one.package.ecosystem),
        ranges=ranges,
        versions=[_line(version) for version in one.versions] if untold or not ranges else [],  # else they list what the ranges say
        fixed=[each for each in ranges if each.before],
        untold=untold,
    )


def _osv_ranges(one: _OsvRange) -> list[_Range] | None:
    """Return the ranges between a range's events, which may stand in any order; None where they do not take turns as they must."""
    events = [event for event in one.events if event.introduced or event.fixed or event.last]
    orders = _orders(_line(event.introduced or event.fixed or event.last) for event in events)
    if orders is not None:
        events = [event for _, event in sorted(zip(orders, events, strict=True), key=lambda pair: pair[0])]
    starts, ends = events[::2], events[1::2]
    if not all(event.introduced for event in starts) or any(event.introduced for event in ends):
        return None
    pairs = zip_longest(starts, ends, fillvalue=_Event())
    return [_Range(start=_line(start.introduced), before=_line(end.fixed), last=_line(end.last)) for start, end in pairs]


def _severity_of(vector: str) -> _Severity:
    """Score a vector by the standard's own arithmetic; one that breaks its rules stays a vector."""
    from cvss import CVSS2, CVSS3, CVSS4, CVSSError

    kind, version = (
        (CVSS4, "4.0")
        if vector.startswith("CVSS:4.0")
        else (CVSS3, vector[5:8])
        if vector.startswith(("CVSS:3.0", "CVSS:3.1"))
        else (CVSS2, "2.0")
    )
    try:
        scored = kind(vector)
    except CVSSError:
        return _Severity(version=version, vector=vector)
    score, level = scored.scores()[0], scored.severities()[0]
    return _Severity(version=version, vector=vector, score=None if score is None else float(score), level=level or "")
