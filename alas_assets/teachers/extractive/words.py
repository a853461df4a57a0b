"""Small word lists and inflections the question rules need; English only, no model.

Whole clauses are read in `clauses`; what a name in code style is called is decided in `answers`.
"""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list written as running text."""
    return frozenset(text.split())


AUXILIARIES = word_set(
    """
    is are was were has have had will would can could may might must should does do did cannot
    """
)
BE_HAVE_PLURAL = {"are": "is", "were": "was", "have": "has", "do": "does"}
ADVERBS = word_set(
    """
    now no longer also still only always never automatically silently currently already again additionally correctly usually by
    default transparently generally typically deterministically thus therefore instead implicitly explicitly periodically directly
    properly
    """
) - {"no", "longer", "by", "default"}
SUBORDINATORS = word_set(
    """
    when if because which that where while whether unless although though once until whose who what how why than so
    """
)
LEADS = word_set(
    """
    On In For With At When If As Since After Before By During Under Within Without From Unlike Like Starting Through To While Although
    Because Despite Over Until Once Unless Where Whenever Among Between
    """
)
PRONOUNS = word_set(
    """
    this that these those it its they them their he she we you i our your such here there both one each other another same former
    latter instead additionally similarly likewise also previously otherwise then thus hence therefore however now see note pass use
    set prefer furthermore moreover consequently specifically particularly earlier later meanwhile finally neither either         """
)
_VERB_LIST = word_set(
    """
    accept access add affect allow apply appear avoid bind block build bypass cause change check combine compile complete configure
    connect contain convert create decode default define delete depend describe detect determine disable display distinguish dispatch
    dump emit enable encode ensure enter execute exist expand expect expose extend extract fail fall fix follow force generate get
    give grow guarantee handle hold identify ignore implement improve include increase inherit initialize introduce invoke keep lack
    lead let limit list load log look lower make map mark match measure mention modify name need normalize offer open operate output
    overflow overwrite parse pass perform permit preserve prevent print process produce profile prohibit propagate protect provide
    publish put raise read receive reach recognize reduce refer register reject release remain remove replace report represent require
    reset resolve respect restrict restore retain retrieve return reuse reveal run save search select send serve set shift ship show
    skip sort specify start store strip suggest supply support suppress take tell throw track trigger treat try turn use validate
    verify warn work write yield colorize consume reorder begin end belong carry claim collect compute copy cover decrease derive
    differ drop emerge encourage estimate evaluate exceed exploit explain express find form gain grant help highlight imply indicate
    inform install interact intercept issue join know learn leave live lock maintain manage mean meet miss mishandle offer omit own
    persist play point predict prefer present recommend record reflect render request result satisfy scale seem separate share solve
    stop study suffer swallow synchronize target terminate test transform understand unify update upgrade visit visualize wait want
    wrap achieve reorganize stop gather capture inspect demonstrate outperform enforce leak grow cost weigh span house host employ
    last come speak rest date tell draw forbid alter resemble rely serve occupy advance split move recognise initialise normalise
    learn hand fill go write beat earn obey tolerate compare invite appear understand refuse propose watch attach put lay walk sleep
    sort mention vanish disappear insist depend adopt announce argue arise ask assert assess assign assist assume attract await aim
    become behave bring burn buy call cancel cast choose claim clarify classify climb close code come commit communicate complain
    comprise concern conclude conduct confirm confuse consist construct contribute control cooperate correct correspond count crash
    cross cut damage deal decide declare decline defend delay deliver demand deny deploy deprecate design destroy develop devote
    direct discard discover discuss dominate double draft drive drop duplicate ease edit eliminate embed emphasize encounter encrypt
    enhance enlarge enter equal escape establish examine exclude exercise exhibit extract face facilitate feature feed fetch filter
    finance fit flag float flow fly forget format forward found freeze fund gain handle hang hash help hide hit hurt identify
    illustrate import impose inspire insert integrate intend interpret invent invest involve isolate jump justify kill label land
    launch lay lift like link listen lose love merge migrate minimize mirror mix monitor motivate multiply negotiate notice notify
    obtain occur omit oversee overcome pay perceive pick plan plot plug pop position possess post postpone precede presume print
    proceed promise promote prompt prove pull pursue push qualify query quote raise range rank rate react realize rebuild recall
    reclaim recover redirect redefine refine regard regulate reinforce reinstate relate relax reload renew rename repair repeat reply
    resemble resist resume retire retry reverse revert review rewrite ride roll round rule sample say scan schedule score secure see
    seek sell sense settle shape shorten shrink shut sign signal simplify simulate sit slow smooth solve sound speed spend spread
    stabilize stand state stay stem stretch strengthen strike study submit substitute succeed suit summarize surface surprise surround
    suspend sustain swap talk teach tend thank think tie time touch train transfer transmit travel trim truncate undergo undermine
    unlock unpack use utilize vary view violate warrant waste weaken win wonder worry zoom
    """
)
_VERBS = tuple(sorted(_VERB_LIST))


def third_person(base: str) -> str:
    """Return the third person singular of a base verb: "try" gives "tries"."""
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ies"
    if re.search(r"(s|sh|ch|x|z|o)$", base):
        return base + "es"
    return base + "s"


AMBIGUOUS_NOUNS = word_set(
    """
    result results report reports test tests process processes list lists name names issue issues change changes form map maps point
    points end ends study studies share host hosts scale record records request requests match matches update updates log logs cost
    costs output outputs search present offer set sets release releases last start starts stop profile profiles lock locks block
    blocks print build builds target targets key limit limits need needs access accesses copy copies default defaults work works
    display use uses value file files plan plans rank rate rates range ranges round rounds rule rules sample samples say scan scans
    schedule score scores sense sign signs signal signals sound sounds speed spread state states stem study surface talk talks time
    times touch train trains transfer transfers trim view views waste win wins worry post posts position positions plot plots pick
    pair push query queries quote quotes link links label labels land filter filters flag flags float floats flow flows fly format
    formats fund funds feature features face faces feed feeds hash hashes help hide hit hits import imports jump kill launch lift like
    code codes control controls count counts crash crashes cross cut cuts damage date dates deal deals delay delays demand demands
    design designs direct double draft drafts drive drives drop ease edit edits escape exercise call calls cancel cast claim claims
    climb close concern concerns commit commits aim aims review reviews ride roll rolls repair repeat reply replies promise promises
    prompt prompts rest rests review sleep hand hands address lay move moves serve fit tie ties slow smooth secure correct equal
    complete open retire note shape shapes stay stand stands stretch strike suit surprise swap thank think resume renew react proceed
    proceeds monitor mix
    """
)
BASE_OF = {third_person(base): base for base in _VERBS}
BASES = frozenset(_VERBS)
_IRREGULAR = {
    "became": "become",
    "began": "begin",
    "broke": "break",
    "brought": "bring",
    "built": "build",
    "came": "come",
    "cost": "cost",
    "fell": "fall",
    "found": "find",
    "gave": "give",
    "got": "get",
    "grew": "grow",
    "held": "hold",
    "kept": "keep",
    "knew": "know",
    "led": "lead",
    "left": "leave",
    "lost": "lose",
    "made": "make",
    "meant": "mean",
    "met": "meet",
    "put": "put",
    "ran": "run",
    "read": "read",
    "rose": "rise",
    "said": "say",
    "saw": "see",
    "sent": "send",
    "set": "set",
    "showed": "show",
    "shipped": "ship",
    "spent": "spend",
    "stood": "stand",
    "stopped": "stop",
    "took": "take",
    "told": "tell",
    "threw": "throw",
    "went": "go",
    "won": "win",
    "wrote": "write",
    "dropped": "drop",
    "switched": "switch",
    "announced": "announce",
    "moved": "move",
    "published": "publish",
    "ended": "end",
}


def _past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ied"
    return base + "ed"


PAST_OF = {_past(base): base for base in _VERBS} | _IRREGULAR


def is_finite(word: str, after_name: bool, after_adverb: bool) -> bool:
    """Say whether a word can be a main verb here.

    Args:
        word: The word as written.
        after_name: A name in code style or its noun stands right before it, so that a plural noun is unlikely.
        after_adverb: An adverb such as "now" stands right before it, so that only a verb can follow.
    """
    if word in AUXILIARIES:
        return True
    if word in PAST_OF and word not in BASES and (after_name or after_adverb or word not in ("read", "set", "cost", "put", "left")):
        return True
    if word in BASE_OF:
        return after_name or after_adverb or word not in AMBIGUOUS_NOUNS
    if word in BASES:
        return after_adverb or (after_name and word not in AMBIGUOUS_NOUNS)
    return after_adverb and bool(re.fullmatch(r"[a-z]{3,}s", word))


def base_form(verb: str) -> str:
    """Return the base form of a present-tense verb; a plural or base form stays."""
    if verb in BASE_OF:
        return BASE_OF[verb]
    if verb in PAST_OF:
        return PAST_OF[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz)es$", verb):
        return verb[:-2]
    if verb.endswith("s") and not verb.endswith("ss"):
        return verb[:-1]
    return verb


def singular_verb(verb: str) -> str:
    """Return the third person singular of a plural present verb or auxiliary."""
    if verb in BE_HAVE_PLURAL:
        return BE_HAVE_PLURAL[verb]
    if verb in AUXILIARIES or verb in BASE_OF or verb in PAST_OF or (verb.endswith("s") and verb not in BASES):
        return verb
    return third_person(verb)


def plural_noun(noun: str) -> bool:
    """Say whether a noun phrase's head is plural."""
    head = noun.rsplit(maxsplit=1)[-1] if noun.split() else ""
    return head.endswith("s") and not head.endswith(("ss", "us", "is")) and head not in {"class", "alias", "status", "canvas"}


def singular_noun(noun: str) -> str:
    """Return a noun phrase with its head in the singular."""
    if not plural_noun(noun):
        return noun
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if noun.endswith(("sses", "shes", "ches", "xes")):
        return noun[:-2]
    if noun.endswith("aliases"):
        return noun[:-2]
    return noun[:-1]


def article(word: str) -> str:
    """Return "a" or "an" for the word that follows."""
    plain = word.strip("`\"'")
    spelled = re.match(r"[AEFHILMNORSX](?![a-z])", plain) is not None  # an HTML page, an F-string
    return "an" if spelled or re.match(r"[aeioAEIO]|u(?![ns]i|se)", plain) else "a"
