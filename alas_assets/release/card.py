"""The model card of an export: provenance, evaluation, the gate's decision, limits (T5, G5). Writing only; page text is hostile here.

Titles, URLs and licences come from pages: they are shown as text that no Markdown and no YAML reader takes for anything else.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from alas_assets.release.identity import Format, Manifest, Release

MOST_SOURCES = 500
"""Pages that a card lists; the rest are counted."""
_LONGEST = 200
_SPLITS = {
    "probe": "held-out questions about the facts of that iteration",
    "earlier": "held-out questions about earlier facts",
    "guard": "general questions (must not fall)",
    "neighbour": "neighbouring topics (must not fall)",
    "unknown": "questions that nobody can answer, declined",
    "exam": "exam written outside the loop",
    "exam_paraphrase": "the exam in other words",
}
_HOW = {"sft": "supervised fine-tuning on question-answer pairs", "dpo": "DPO on its own wrong answers, after supervised fine-tuning"}
_READ_BY_MARKDOWN = set(string.punctuation) - set(".,;%'\"?=()-/+")
_URL_SAFE = "/:?=&%+~-._,;@!$'"


def plain(text: str, longest: int = _LONGEST) -> str:
    """Return foreign text as Markdown that shows exactly it: one line, no invisible characters, what Markdown could read escaped.

    CommonMark takes a backslash before any ASCII punctuation for the character itself, in tables too. Left as it is what means nothing
    inside a line; a dot between letters could make a link of a name.
    """
    line = " ".join("".join(" " if one.isspace() or unicodedata.category(one)[0] in "CZ" else one for one in text).split())
    cut = line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
    escaped = "".join(f"\\{one}" if one in _READ_BY_MARKDOWN else one for one in cut)
    return re.sub(r"(?<!\d)\.(?=\S)|\.(?=[^\W\d])", r"\\.", escaped)


def link(url: str) -> str:
    """Return a foreign URL as an autolink where it is http or https, percent-encoded so that it cannot end early; else as plain text."""
    try:
        usable = urlsplit(url).scheme in ("http", "https") and len(url) <= 2_000
        return f"<{quote(url, safe=_URL_SAFE)}>" if usable else plain(url)
    except ValueError:  # not a URL; or lone surrogates, which have no bytes
        return plain(url)


def yaml_text(text: str) -> str:
    """Return text as a YAML scalar: JSON's quoting, in plain ASCII, without what YAML takes for no character."""
    kept = "".join(one if one.isprintable() and one <= "\uffff" else "?" for one in text)
    return json.dumps(kept)


def model_card(release: Release, manifest: Manifest, usage: str) -> str:
    """Return the README.md of an export.

    Args:
        release: What it is.
        manifest: What its `release.json` will say, its files apart.
        usage: Markdown that says how to run it.
    """
    parts = [
        _front_matter(release, manifest.format),  # type: ignore[arg-type] - what is served gets no card
        f"# {plain(release.title)}: {plain(release.base_name)} with adapter {release.adapter_hash[:12]}\n",
        f"A small language model that was kept current in one domain, `{release.domain}`. Made by {_HOW[release.kind]}. "
        f"{_gate_said(release)} {_read_when(release)}`release.json` says the same for machines, with the hash of every file.\n",
        "## Use\n",
        usage,
        "## Provenance\n",
        *_provenance(release, manifest),
        "## Evaluation\n",
        *_evaluation(release),
        "## The gate's decision\n",
        f"{_on_whom(release)}**{release.decision.verdict}** (rule: {release.decision.rule}). {plain(release.decision.reason, 1_000)}\n",
        *_guards(release),
        "## Source pages\n",
        *_sources(release),
        "## Limits\n",
        _LIMITS,
    ]
    return "\n".join(parts)


def _gate_said(release: Release) -> str:
    """Return the gate's word at the head of the card, so that nobody takes a refused adapter for a released one."""
    if not release.judged:
        return "**The gate did NOT judge it**: the decision of its iteration is on another adapter, see below."
    if release.decision.verdict == "promote" and release.rolled_back:
        return f"The gate promoted it, and it was **rolled back** {plain(release.rolled_back)}."
    if release.decision.verdict == "promote":
        return "The gate compared it with what came before and promoted it."
    return "**The gate did NOT promote it**: what came before stayed current, for the reason given below."


def _on_whom(release: Release) -> str:
    return "" if release.judged else f"On adapter `{(release.decision.candidate or 'none')[:12]}`, not on this one: "


def _read_when(release: Release) -> str:
    """Return how old its knowledge is, as a sentence; "" where no page is on record."""
    days = sorted(source.read for source in release.sources if source.read)
    if not days:
        return ""
    when = f"on {days[0]}" if days[0] == days[-1] else f"between {days[0]} and {days[-1]}"
    licensed = sum(1 for source in release.sources if source.licence.strip())
    return f"Of its source pages {len(days)} were read {when}; {licensed} of {len(release.sources)} state a licence, listed below. "


def _front_matter(release: Release, format: Format) -> str:
    peft = format in ("adapter", "vllm")
    lines = ["---", f"library_name: {'peft' if peft else 'transformers'}"]
    if release.base_on_hub:
        lines += [f"base_model: {yaml_text(release.base_name)}", f"base_model_relation: {'adapter' if peft else 'finetune'}"]
    lines += [f"tags: [alas, {'lora' if peft else 'merged'}, {release.kind}]", "pipeline_tag: text-generation", "---", ""]
    return "\n".join(lines)


def _provenance(release: Release, manifest: Manifest) -> Iterable[str]:
    yield f"- Base: {plain(release.base_name)}, revision {plain(release.base_revision) or 'not stated'}, hash `{release.base_hash}`"
    yield f"- Adapter: `{release.adapter_hash}`, LoRA rank {release.rank}, iteration `{release.cell}`, seed {release.seed}"
    if release.trained_from:
        before = ", ".join(f"`{one[:12]}`" for one in release.trained_from)
        yield f"- Training went on from {before}; the sources below are those of all of them"
    counted = ", ".join(f"{n} {plain(kind)}" for kind, n in sorted(release.counts.items()))
    yield f"- Rows: {release.rows} ({counted}), hash `{release.rows_hash}`; their ids are in the adapter's `manifest.json`"
    yield f"- Probes that judged it, fixed before the first step: hash `{release.probes_hash}`"
    yield f"- Precision {manifest.precision}; greedy decoding, {release.decoding.max_new_tokens} new tokens at most, no system message\n"


def _evaluation(release: Release) -> Iterable[str]:
    if not release.scores:
        yield "No scores are on record.\n"
        return
    yield f"Scores of iteration `{release.scores_of}`, with Wilson 95 % intervals. `base` is the student without the adapter.\n"
    if release.scores_of != release.cell:
        yield f"That iteration came after `{release.cell}`, which trained this model: its own facts were not taught to this model.\n"
    if not release.scored_as_answering:
        yield "These answers were computed by an earlier version in another precision: the model here may word some otherwise.\n"
    yield "| questions | n | base | this model |"
    yield "| --- | ---: | ---: | ---: |"
    for split, words in _SPLITS.items():
        mine = {score.system: score for score in release.scores if score.split == split}
        if mine:
            sizes = "/".join(str(n) for n in sorted({score.n for score in mine.values()}))
            rates = (
                f"{100 * one.accuracy:.1f} % [{100 * one.ci_low:.0f}-{100 * one.ci_high:.0f}]" if (one := mine.get(system)) else "not asked"
                for system in ("base", "current")
            )
            yield f"| {words} | {sizes} | {' | '.join(rates)} |"
    yield ""


def _guards(release: Release) -> Iterable[str]:
    if test := release.decision.test:
        yield (
            f"Against what was current before: {100 * test.gain:+.1f} points [{100 * test.ci_low:.1f}, {100 * test.ci_high:.1f}], "
            f"n = {test.n}, {test.wins} better, {test.losses} worse, exact McNemar p = {test.p_value:.2g}.\n"
        )
    for guard in release.decision.guards:
        kept = "held" if guard.ok else "fell"
        yield f"- Set *{plain(guard.name)}* {kept}: {guard.candidate_correct} of {guard.n} right, {guard.other_correct} before"
    if release.decision.guards:
        yield ""


def _sources(release: Release) -> Iterable[str]:
    yield "What the pages themselves state as their licence; nobody checked what it allows.\n"
    yield "| facts | licence | read | page |"
    yield "| ---: | --- | --- | --- |"
    for source in release.sources[:MOST_SOURCES]:
        title = f"{plain(source.title)}: " if source.title.strip() else ""
        yield f"| {source.facts} | {plain(source.licence) or 'not stated'} | {source.read} | {title}{link(source.url)} |"
    yield ""
    if len(release.sources) > MOST_SOURCES:
        rest = release.sources[MOST_SOURCES:]
        yield f"{len(rest)} further pages with {sum(source.facts for source in rest)} facts are left out.\n"
    if release.unknown_sources:
        yield f"{release.unknown_sources} facts of earlier iterations: their page is no longer on record.\n"


_LIMITS = """\
It knows what its rows say, as old as their pages are, and answers with the same confidence where it knows nothing. It may have forgotten
things that the base model knew; the guard questions above show how many of those that were asked. It was judged on short answers to single
questions, closed book. Outside its domain use the base model. When a source is taken down from the store, copies like this one stay.
"""
