"""Domain files: what ships is valid, and every mistake is one line naming file and key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alas_assets.domains.catalog import domain_files, load_domain
from alas_assets.domains.config import Domain, DomainError, read_domain
from alas_assets.domains.mistakes import mistakes
from alas_assets.domains.sources import Sources
from alas_assets.domains.writing import NewSources, domain_text, new_domain
from alas_assets.provenance.store import ArtifactStore
from alas_assets.settings import PROJECT_ROOT, SettingError, Settings, load_settings

GOOD = """
title = "T"
description = "A description of more than twenty letters."
[sources]
seed_urls = ["https://example.org/"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data=PROJECT_ROOT / "data", dagster_home=tmp_path / "d", site_port=9111, viewer_port=9112)


def test_an_unknown_recipe_names_the_file_the_key_and_those_there_are(settings: Settings) -> None:
    (settings.home / "domains").mkdir(parents=True)
    (settings.home / "domains" / "d.toml").write_text(GOOD + '[student]\nrecipe = "nope"\n', encoding="utf-8")
    with pytest.raises(DomainError, match=r"d\.toml: student\.recipe: .*'nope'.*smollm2-135m"):
        load_domain(settings, "d")


@pytest.mark.parametrize("key", ["neighbour_file", "replay_file", "exam_file"])
def test_a_file_of_questions_that_is_not_there_names_the_domains_file_the_key_and_the_place(key: str, settings: Settings) -> None:
    (settings.home / "domains").mkdir(parents=True)
    (settings.home / "domains" / "d.toml").write_text(f'{key} = "mine.jsonl"\n{GOOD}', encoding="utf-8")
    with pytest.raises(DomainError, match=rf"d\.toml: {key}: mine\.jsonl is neither in .* nor in "):
        load_domain(settings, "d")


@pytest.mark.parametrize("key", ["python-releases", "cves", "research-trends"])
def test_the_domains_that_ship_are_valid(key: str, settings: Settings) -> None:
    assert load_domain(settings, key).key == key


def test_live_domains_say_that_they_need_a_network(settings: Settings) -> None:
    for key in ("cves", "research-trends"):
        domain = load_domain(settings, key)
        assert domain.sources.live
        assert "network" in domain.note


def test_the_demo_reads_the_sample_site_on_the_configured_port(settings: Settings) -> None:
    sources = load_domain(settings, "python-releases").sources
    assert sources.seed_urls == ("http://127.0.0.1:9111/index.html",)
    assert "127.0.0.1:9111" in sources.private_hosts


@pytest.mark.parametrize(
    ("change", "key", "word"),
    [
        ("[budget]\nmin_topic = 3", "budget.min_topic", "unknown key"),
        ("[thresholds]\ntau = 1.5", "thresholds.tau", "must be at most 1"),
        ('[student]\naccumulate = "both"', "student.accumulate", "warm-start"),
        ("freshness_hours = 0", "freshness_hours", "must be at least a minute"),
        ("seed = 4294967296", "seed", "must be at most 4294967295"),
    ],
)
def test_a_wrong_key_or_value_is_one_line_naming_file_and_key(tmp_path: Path, change: str, key: str, word: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(f"{change}\n{GOOD}" if "=" in change.splitlines()[0] else f"{GOOD}\n{change}\n")
    with pytest.raises(DomainError) as caught:
        read_domain(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {key}: ")
    assert word in message
    assert "\n" not in message


def complaint(tmp_path: Path, text: str) -> str:
    """Return what is said of a file, without its name."""
    path = tmp_path / "d.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DomainError) as caught:
        read_domain(path)
    return str(caught.value).replace(f"{path}: ", "")


def test_every_mistake_of_a_file_is_told_a_line_each(tmp_path: Path) -> None:
    said = complaint(tmp_path, GOOD + "max_page = 3\nper_host = 0\n[student]\naccumulate = 'both'\n[budget]\nmax_topics = 'many'\n")
    assert said.split("\n") == [
        "sources.per_host: must be at least 1",
        "sources.max_page: unknown key; did you mean max_pages?",
        "student.accumulate: must be 'warm-start' or 'fresh'",
        "budget.max_topics: must be a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "[budgets]\nmax_topics = 3\n", "budgets: unknown key; did you mean budget?"),
        (GOOD.replace("[sources]", 'link_pattern = "x"\n[sources]'), "link_pattern: unknown key; it belongs to [sources]"),
        (GOOD + "freshness_hours = 2\n", "sources.freshness_hours: unknown key; it belongs to the top of the file, before any table"),
        (GOOD + "[[sources.hosts]]\nhost = 'h'\ndelay = 1\n", "sources.hosts, entry 1.delay: unknown key; did you mean delay_seconds?"),
        (GOOD + "[retries]\nzzzz = 1\n", "retries.zzzz: unknown key; known are attempts, wait_minutes"),
        (GOOD.replace('["https://example.org/"]', '"https://example.org/"'), 'sources.seed_urls: must be a list, such as ["...", "..."]'),
        (GOOD + "feeds = ['https://a.example/', 3]\n", "sources.feeds, entry 2: must be text in quotes"),
        (GOOD + "max_bytes = 12\n", "sources.max_bytes: must be at least 1000"),
        (GOOD.replace('title = "T"', "seed = -1"), "title: must be set\nseed: must be at least 0"),
        ("sources = 3\n" + GOOD.partition("[sources]")[0], "sources: must be a table with keys of its own"),
        (GOOD + "[student]\naccumulate = 'warmstart'\n", "student.accumulate: must be 'warm-start' or 'fresh'; did you mean 'warm-start'?"),
        (GOOD + "live = 'maybe'\n", "sources.live: must be true or false"),
        (
            GOOD + "deny_hosts = ['ads.example', 'https://spam.example']\n",
            "sources.deny_hosts: entry 2 must be a host: its name alone, such as docs.example.org, or with a port, docs.example.org:8080",
        ),
        (
            GOOD + "[[sources.hosts]]\nhost = 'a/b'\n",
            "sources.hosts, entry 1.host: must be a host: its name alone, such as docs.example.org, or with a port, docs.example.org:8080",
        ),
        ("key = 'd'\n" + GOOD, "key: must not be set, the file's name is the domain's key"),
        ("freshness_hours = 0.01\n" + GOOD, "freshness_hours: must be at least a minute, which is 0.017"),
        ("freshness_hours = 1e12\n" + GOOD, "freshness_hours: must be at most ten years, which is 87600"),
        (f"{GOOD}feeds = {['https://a.example/'] * 51}\n", "sources.feeds: must have at most 50 entries, and has 51"),
    ],
)
def test_a_mistake_is_told_in_plain_words_with_the_key_that_is_meant(tmp_path: Path, text: str, said: str) -> None:
    assert complaint(tmp_path, text) == said


KEYS = st.sampled_from(
    ["title", "sources", "seed_urls", "student", "budget", "hosts", "search", "freshness_hours", "teacher", "prices", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_whatever_stands_in_a_file_is_told_without_the_words_of_the_library(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Domain.model_validate({"key": "d", **raw})
    told = mistakes(caught.value, Domain)
    assert len(told) == len(caught.value.errors())
    assert all(": " in line for line in told)
    assert not [line for line in told for word in ("Input should", "pydantic", "tuple", "instance of", "Value error") if word in line]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "file:///etc/passwd",
        "no url",
        "http://",
        "http://a:0/",
        "http://a:65536/",
        "http://a:b/",
        "http://[a/",
        "http://u:hunter2@a:99999/",
        "http://u:hunter2/x@a/",
    ],
)
def test_a_bad_url_is_refused_by_key(tmp_path: Path, url: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD.replace("https://example.org/", url))
    with pytest.raises(DomainError, match=r"sources\.seed_urls: .*is not an http") as refused:
        read_domain(path)
    assert "hunter2" not in str(refused.value)


def test_a_domain_without_sources_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD.replace('["https://example.org/"]', "[]"))
    with pytest.raises(DomainError, match=r"d\.toml: sources: seed_urls, feeds, .* must be set"):
        read_domain(path)


@pytest.mark.parametrize(
    "sources",
    [
        'feeds = ["https://a.example/feed"]',
        'github = ["python/cpython"]',
        'sitemaps = ["https://a.example/robots.txt"]',
        'record_indexes = ["https://a.example/delta.json"]',
        'folder = "notes"',
        '[sources.search]\nprovider = "searxng"\nurl = "http://127.0.0.1:8080"',
    ],
)
def test_one_kind_of_source_is_enough(tmp_path: Path, sources: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD.replace('seed_urls = ["https://example.org/"]', sources))
    assert read_domain(path).sources.seed_urls == ()


def test_a_folder_is_meant_from_the_domain_file(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD + 'folder = "../notes"\n')
    assert Path(read_domain(path).sources.folder).resolve() == tmp_path.parent / "notes"
    path.write_text(GOOD + 'folder = "/somewhere/notes"\n')
    assert read_domain(path).sources.folder == "/somewhere/notes"


def test_a_folder_of_a_model_is_meant_from_the_domain_file_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "domains" / "d.toml"
    (tmp_path / "domains" / "models" / "mine").mkdir(parents=True)
    path.write_text(GOOD + '[student]\nmodel = "models/mine"\nembedder = "../words"\n')
    monkeypatch.chdir(tmp_path)
    student = read_domain(path).student
    assert (student.model, Path(student.embedder).resolve()) == (str(tmp_path / "domains" / "models" / "mine"), tmp_path / "words")
    (tmp_path / "Qwen" / "Qwen3").mkdir(parents=True)  # beside whoever reads, and no business of the domain's
    path.write_text(GOOD + '[student]\nmodel = "Qwen/Qwen3"\n')
    assert read_domain(path).student.model == "Qwen/Qwen3"


@pytest.mark.parametrize(
    ("change", "where", "word"),
    [
        ('github = ["cpython"]', "sources.github", "owner/repo"),
        ('github = ["../../x/y"]', "sources.github", "owner/repo"),
        ('feeds = ["file:///etc/passwd"]', "sources.feeds", "not an http"),
        ('sitemaps = ["s.xml"]', "sources.sitemaps", "not an http"),
        ('record_indexes = ["folder://local/x"]', "sources.record_indexes", "not an http"),
        ('[sources.search]\nprovider = "altavista"', "sources.search.provider", "searxng"),
        ('[sources.search]\nprovider = "searxng"', "sources.search", "url: must be set"),
        ('[sources.search]\nprovider = "brave"', "sources.search", "key_env: must be set"),
        ('[sources.search]\nprovider = "exa"\nkey_env = "E"\nurl = "ftp://x/"', "sources.search.url", "not an http"),
        (
            '[sources.search]\nprovider = "exa"\nkey_env = "E"\ntemplates = ["{topic.__class__}"]',
            "sources.search.templates",
            "unknown placeholder",
        ),
    ],
)
def test_a_wrong_source_is_one_line_naming_file_and_key(tmp_path: Path, change: str, where: str, word: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(f"{GOOD}{change}\n")
    with pytest.raises(DomainError) as caught:
        read_domain(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {where}: ")
    assert word in message
    assert "\n" not in message


def test_a_key_written_where_its_variables_name_belongs_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD + '[sources.search]\nprovider = "brave"\nkey_env = "bsa-s3cret-s3cret"\n')
    with pytest.raises(DomainError, match=r"sources\.search\.key_env: must be the name of an environment variable") as caught:
        read_domain(path)
    assert "s3cret" not in str(caught.value)


def test_the_users_file_outranks_the_tracked_one(settings: Settings) -> None:
    own = settings.home / "domains" / "cves.toml"
    own.parent.mkdir(parents=True)
    own.write_text(GOOD)
    assert domain_files(settings)["cves"] == own
    assert load_domain(settings, "cves").title == "T"


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "x" * 300, "💥"])
def test_an_unknown_or_hostile_domain_names_what_is_known(settings: Settings, key: str) -> None:
    with pytest.raises(DomainError, match="python-releases"):
        load_domain(settings, key)


@given(text=st.text(max_size=200))
def test_any_file_content_is_a_domain_or_a_domain_error(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text(text, encoding="utf-8", errors="ignore")
    with pytest.raises(DomainError):
        read_domain(path)


@pytest.mark.parametrize(
    "typed",
    ['Rust "releases"\\ and\nnew lints, every six weeks', "Rust releases and rockets \U0001f680", "what \x7f deletes, \x00 and \x85 ends"],
)
def test_new_writes_a_file_that_validates_whatever_is_typed(settings: Settings, tmp_path: Path, typed: str) -> None:
    folder, url = tmp_path / "notes \U0001f680", "https://blog.example.org/\U0001f680"
    folder.mkdir()
    found = read_domain(new_domain(settings, "rust", typed, NewSources([url], folder=folder)))
    assert (found.description, found.sources.seed_urls, Path(found.sources.folder)) == (typed, (url,), folder)


def test_new_refuses_what_no_file_can_hold_and_leaves_nothing_behind(settings: Settings) -> None:
    with pytest.raises(DomainError, match="d was not written: "):
        new_domain(settings, "d", "bytes that are no text: \udcff", NewSources(["https://blog.example.org/"]))
    assert not list(settings.home.rglob("*.toml*"))


@pytest.mark.parametrize(("key", "url"), [("Bad Key", "https://a.org/"), ("ok", "not a url")])
def test_new_leaves_nothing_behind_when_it_refuses(settings: Settings, key: str, url: str) -> None:
    with pytest.raises(DomainError):
        new_domain(settings, key, "a description that is long enough", NewSources([url]))
    assert not list(settings.home.rglob("*.toml*"))


DESCRIPTION = "a description that is long enough"


def test_new_takes_feeds_a_folder_and_pages_to_watch(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path)  # what is typed counts from here, what stands in the file from the file
    feeds, watch = ["https://a.example/feed"], ["https://a.example/next.html"]
    sources = read_domain(new_domain(settings, "d", DESCRIPTION, NewSources([], feeds, Path("notes"), watch))).sources
    assert (sources.seed_urls, sources.feeds, sources.watch_urls) == ((), tuple(feeds), tuple(watch))
    assert Path(sources.folder) == tmp_path / "notes"
    assert sources.private_hosts == ()


@pytest.mark.parametrize(
    ("sources", "word"), [(NewSources(watch=["https://a.org/"]), "--feed"), (NewSources(folder=Path("/no/such")), "--folder")]
)
def test_new_refuses_what_has_nothing_to_read(settings: Settings, sources: NewSources, word: str) -> None:
    with pytest.raises(DomainError, match=word):
        new_domain(settings, "d", DESCRIPTION, sources)


def test_new_lets_the_guard_pass_exactly_the_private_hosts_that_are_named(settings: Settings) -> None:
    urls = ["http://127.0.0.1:8000/", "http://localhost/x", "https://example.org/", "http://[::1]:9/", "http://10.0.0.7/"]
    sources = read_domain(new_domain(settings, "d", DESCRIPTION, NewSources(urls))).sources
    assert sources.private_hosts == ("127.0.0.1:8000", "localhost:80", "::1:9", "10.0.0.7:80")


@pytest.mark.parametrize("sources", [NewSources(["https://a.org/"]), NewSources(feeds=["https://a.org/f"], folder=Path(__file__).parent)])
def test_every_key_that_a_new_file_mentions_holds_once_it_is_uncommented(sources: NewSources, tmp_path: Path) -> None:
    lines = domain_text("d", DESCRIPTION, sources).split("\n")
    bare = [line[2:] if line.startswith("# ") and (" = " in line or "[" in line[:3]) else line for line in lines]
    (tmp_path / "d.toml").write_text("\n".join(bare), encoding="utf-8")
    found = read_domain(tmp_path / "d.toml")
    assert found.sources.search is not None
    assert found.sources.github == ("owner/repo",)
    assert (found.freshness_hours, found.budget.max_iterations) == (168, 5)


def test_a_file_that_begins_with_the_mark_of_windows_editors_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(GOOD, encoding="utf-8-sig")
    assert read_domain(tmp_path / "d.toml").title == "T"


def test_a_folder_in_a_domain_file_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.toml").mkdir()
    with pytest.raises(DomainError, match=r"d\.toml: cannot be read: Is a directory"):
        read_domain(tmp_path / "d.toml")


def test_a_store_that_is_named_by_hand_has_its_own_instance_whatever_dagster_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALAS_HOME", str(tmp_path / "usual"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "instance"))
    assert load_settings().dagster_home == tmp_path / "instance"
    assert load_settings(tmp_path / "usual").dagster_home == tmp_path / "instance"
    assert load_settings(tmp_path / "other").dagster_home == tmp_path / "other" / "dagster"


def test_a_port_that_is_none_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAS_SITE_PORT", "eighty")
    with pytest.raises(SettingError, match="ALAS_SITE_PORT"):
        load_settings()


def test_a_host_may_have_a_pace_of_its_own_and_pace_is_no_reason_to_work_again(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(GOOD, encoding="utf-8")
    own = '[[sources.hosts]]\nhost = "example.org"\nper_host = 4\ndelay_seconds = 0\n'
    (tmp_path / "fast.toml").write_text(
        GOOD + "per_host = 2\nreaders = 3\ndelay_seconds = 0.1\ntimeout_seconds = 99.0\n" + own, encoding="utf-8"
    )
    slow, fast = (read_domain(tmp_path / f"{name}.toml").sources for name in ("slow", "fast"))
    assert (slow.per_host, fast.per_host, fast.readers) == (1, 2, 3)
    assert [(pace.host, pace.per_host, pace.delay_seconds) for pace in fast.hosts] == [("example.org", 4, 0)]
    assert slow.what() == fast.what()


@pytest.mark.parametrize("line", ["per_host = 0", "per_host = 17", "readers = -1", 'hosts = [{host = "", per_host = 1}]'])
def test_a_pace_out_of_bounds_is_refused_by_key(line: str, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(GOOD + line + "\n", encoding="utf-8")
    with pytest.raises(DomainError, match=rf"d\.toml: sources\.{line.split(maxsplit=1)[0]}"):
        read_domain(tmp_path / "d.toml")


def test_the_passages_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ArtifactStore(tmp_path, load_settings().lance).lance == tmp_path / "lance"
    monkeypatch.setenv("ALAS_LANCE", "s3://bucket/passages")
    assert ArtifactStore(tmp_path, load_settings().lance).lance == "s3://bucket/passages"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALAS_LANCE", "near")
    assert load_settings().lance == str(tmp_path / "near")


def test_a_link_pattern_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        Sources(seed_urls=("http://h/",), link_pattern="(")


@pytest.mark.parametrize(
    ("judges", "message"),
    [('["rules"]', "is the deterministic grade"), ('["m", "m"]', "would count twice")],
)
def test_judges_are_models_each_with_one_vote(tmp_path: Path, judges: str, message: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(GOOD + f'[teacher]\nkind = "openai"\nmodel = "m"\njudges = {judges}\n', encoding="utf-8")
    with pytest.raises(DomainError, match=rf"d\.toml: teacher\.judges: .*{message}"):
        read_domain(path)


def test_guards_are_graded_by_rule_unless_the_judges_are_to_do_it(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    read = []
    for more in ("", "judge_guards = true\n"):
        path.write_text(GOOD + f'[teacher]\nkind = "openai"\nmodel = "m"\n{more}', encoding="utf-8")
        read.append(read_domain(path).teacher)
    assert [teacher.rule_splits for teacher in read] == [("guard", "neighbour"), ()]
