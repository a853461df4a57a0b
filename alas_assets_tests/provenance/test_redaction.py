"""Personal data and secrets leave a text; what release notes are made of stays."""

import itertools
import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.redaction import PrivatePart, private_parts, redact


def key(alphabet: str, length: int, seed: int = 7) -> str:
    """Return a key drawn at random: no real-looking one stands in this file."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"

CANARIES = [
    ("e-mail", "ann.lee@corp-mail.io"),
    ("e-mail", "o.b'rien+news@mail.uni-bremen.de".replace("'", "")),
    ("e-mail", "x_1%y@sub.department.example-firm.co.uk"),
    ("e-mail", "JOHN@GMAIL.COM"),
    ("e-mail", "ann@bücher.de"),
    ("e-mail", "jörg.müller@firma.de"),
    ("e-mail", "анна@почта.рф"),
    ("e-mail", "ann%40corp-mail.io"),
    ("e-mail", "ann\uff20corp-mail.io"),
    ("ip", "93.184.216.34"),
    ("ip", "203.98.112.77"),
    ("ip", "2001:4860:4860::8888"),
    ("ip", "2a00:1450:4001:82a:0:0:0:200e"),
    ("phone", "+49 30 901820"),
    ("phone", "+1 (212) 736-5000"),
    ("phone", "+442083661177"),
    ("phone", "(212) 736-5000"),
    ("phone", "212-736-5000"),
    ("secret", "AKIA" + key(string.ascii_uppercase + string.digits, 16)),
    ("secret", "AKIA" + key(string.ascii_uppercase, 16)),
    ("secret", "ghp_" + key(ALNUM, 36)),
    ("secret", "github_pat_" + key(ALNUM, 60)),
    ("secret", "glpat-" + key(ALNUM, 20)),
    ("secret", "sk-" + key(ALNUM, 48)),
    ("secret", "sk-proj-" + key(URL_SAFE, 90) + "7a"),
    ("secret", "sk-ant-api03-" + key(ALNUM, 60)),
    ("secret", "sk_live_" + key(ALNUM, 24)),
    ("secret", "xoxb-" + "123456789012-123456789012-" + key(LOWER, 24)),
    ("secret", "SG." + key(ALNUM, 22) + "." + key(ALNUM, 43)),
    ("secret", key(HEX, 32) + "-us12"),
    ("secret", "AKC" + key(ALNUM, 60)),
    ("secret", "hf_" + key(ALNUM, 34)),
    ("secret", "AIza" + key(ALNUM, 35)),
    ("secret", "npm_" + key(ALNUM, 36)),
    ("secret", "pypi-AgEIcHlwaS5vcmc" + key(ALNUM, 90)),
    ("secret", "12345678:" + key(ALNUM, 35)),
    ("secret", "eyJ" + key(ALNUM, 30) + ".eyJ" + key(ALNUM, 60) + "." + key(ALNUM, 43)),
    ("secret", "-----BEGIN RSA PRIVATE KEY-----\n" + key(ALNUM, 200) + "\n-----END RSA PRIVATE KEY-----"),
]
TELLING = [
    ('password = "{}"', "hJ8d72kslQ9z"),
    ("API_KEY={}", key(ALNUM, 32)),
    ("Authorization: Bearer {}", key(ALNUM, 40)),
    ("postgres://ann:{}@db.corp-mail.io/x", "tops3cr3t9"),
    ('{{"client_secret": "{}"}}', key(URL_SAFE, 40)),
    ("tel: {}", "030 9018 2055"),
    ("call us at {}", "0171/5550 123"),
]

HARMLESS = """
Python 3.15.0a2, released on 2026-10-07, fixes CVE-2026-12345 and GHSA-jfhm-5ghh-2f97; gh-128341, PEP 810, bpo-45512.
Commit da39a3ee5e6b4b0d3255bfef95601890afd80709 (short da39a3e), sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.
Chrome 126.0.64.126, OpenSSL 1.1.1.40, build 10.0.19041.1234, upgrade from 2.4.57.1 to 2.4.58.2, foo-1.2.33.44.tar.gz, lib==4.21.33.101.
Fixed in 27.0.12.33, 26.0.13.36, 25.0.13.29, 24.0.12.34 or 21.0.1.99. cpython-3.13.0+20241016153000, 1.0.0+build.20240101, C++20 2024.
Listens on 127.0.0.1:8000, 10.1.2.3, 192.168.0.1, 0.0.0.0; docs use 192.0.2.4, 198.51.100.7, 203.0.113.9 and 2001:db8::1, fe80::1, ::1.
Write to user@example.com, ann@mail.example.org, bob@corp.example or root@localhost; git clone git@github.com:python/cpython.git.
@property, @name.setter, value@name.setter, std::vector<int>, dead::beef, aes256-gcm@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com.
@dataclass, pkg@1.2, größe@property.setter, "text"@en, {"b":"@media.com"}, git%40github.com, unpkg.com/%40types/node, pkg%401.2.3, 50%40.
AKIAXXXXXXXXXXXXXXXX, AKIAISNOTAKEY, user%40example.com.
sys.maxsize is 9223372036854775807, INT_MAX 2147483647, 0xDEADBEEF, 1_000_000_000, timeout 3600, 12:34:56,
ISBN 978-3-16-148410-0, UTC+01:00.
password = getpass.getpass(); api_key = os.environ["OPENAI_API_KEY"]; token: str = None; secret="<your-secret>"; PASSWORD=changeme123
token_type = "urn:openai:params:oauth:token-type:x509"; max_tokens=batch_1_day_max_input_tokens; Authorization: Bearer YOUR_TOKEN
https://user:password@example.com/path, sk-your-key-goes-here-please, uuid 123e4567-e89b-12d3-a456-426614174000
"""


@pytest.mark.parametrize(("kind", "canary"), CANARIES, ids=[f"{kind}-{text[:12]}" for kind, text in CANARIES])
@pytest.mark.parametrize("frame", ["{}", "See {} now.", "({})", '"{}"', "x: {},", "line\n{}\nline"])
def test_a_canary_is_removed_wherever_it_stands(kind: str, canary: str, frame: str) -> None:
    cleaned = redact(frame.format(canary))
    assert canary not in cleaned
    assert cleaned == frame.format(f"[{kind}]")


@pytest.mark.parametrize(("kind", "canary"), CANARIES, ids=[f"{kind}-{text[:12]}" for kind, text in CANARIES])
def test_a_canary_in_json_is_removed_and_the_json_stays_json(kind: str, canary: str) -> None:
    for around in ("\n{}\n", "\t{}", "é {} ü", '"{}"', "see {}"):
        for ascii_only in (True, False):
            text = json.dumps({"answer": around.format(canary), "n": 1}, ensure_ascii=ascii_only)
            cleaned = json.loads(redact(text))
            assert canary not in cleaned["answer"]
            assert f"[{kind}]" in cleaned["answer"]
            assert cleaned["n"] == 1


def test_a_private_key_without_its_end_is_removed_to_the_end() -> None:
    assert redact("see -----BEGIN OPENSSH PRIVATE KEY-----\n" + key(ALNUM, 200)) == "see [secret]"


@pytest.mark.parametrize("frame", ["{}", "See {} now.", "({})", "x: {},", "line\n{}\nline"])
def test_an_address_with_a_quoted_name_is_removed_also_in_json(frame: str) -> None:
    text = frame.format('"ann lee"@corp-mail.io')
    assert redact(text) == frame.format("[e-mail]")
    assert json.loads(redact(json.dumps({"answer": text})))["answer"] == frame.format("[e-mail]")
    assert json.loads(redact(json.dumps({"n": "a b", "m": "@corp-mail.io"}))) == {"n": "a b", "m": "@corp-mail.io"}


def test_what_stands_before_an_address_without_a_space_in_chinese_stays() -> None:
    assert redact("请联系ann@corp-mail.io谢谢") == "请联系[e-mail]谢谢"


@pytest.mark.parametrize(("frame", "value"), TELLING)
def test_what_only_its_neighbours_give_away_is_removed(frame: str, value: str) -> None:
    assert value not in redact(frame.format(value))


def test_release_notes_are_left_as_they_are() -> None:
    assert [(p.kind, HARMLESS[p.start : p.end]) for p in private_parts(HARMLESS)] == []
    assert redact(HARMLESS) == HARMLESS


@pytest.mark.parametrize("secret", ["canary-key-0001", 'quo"te\\d', "s p a c e", "ключ-12345678", "x"])
def test_a_named_secret_is_removed_in_every_form(secret: str) -> None:
    text = f"a {secret} b {json.dumps(secret)} c {json.dumps({'k': secret}, ensure_ascii=False)}"
    for form in (secret, json.dumps(secret)[1:-1]):
        assert form not in redact(text, [secret]).replace("[secret]", "")


texts = st.text() | st.lists(
    st.sampled_from(
        [*(c for _, c in CANARIES), *(f.format(v) for f, v in TELLING), "\\n", "\\", "@", ".", " ", "word", "1.2.3.4", ":", "+", '"']
    )
).map("".join)


@given(texts)
def test_parts_are_ordered_disjoint_and_within_the_text(text: str) -> None:
    parts = private_parts(text)
    assert all(0 <= p.start < p.end <= len(text) for p in parts)
    assert all(a.end <= b.start for a, b in itertools.pairwise(parts))
    assert parts == private_parts(text)


@given(texts)
def test_redacting_touches_nothing_but_the_parts(text: str) -> None:
    rest, done = "", 0
    for p in private_parts(text):
        rest, done = rest + text[done : p.start] + f"[{p.kind}]", p.end
    assert redact(text) == rest + text[done:]


@given(st.lists(st.sampled_from([*(c for _, c in CANARIES), "words between", "3.15", "CVE-2026-1"]), max_size=6).map(" ".join))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.dictionaries(st.text(max_size=10), texts, max_size=4), st.booleans())
def test_redacted_json_strings_are_still_json(value: dict[str, str], ascii_only: bool) -> None:
    cleaned = redact(json.dumps(value, ensure_ascii=ascii_only))
    if not any(p.kind == "secret" for p in private_parts(json.dumps(value, ensure_ascii=ascii_only))):
        json.loads(cleaned)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        *("eyJ", "eyJaaaaaaaa.", "://:", "://a:b", "sk-", "a@", "a.", "a@b.", "+1 ", "1.", "2001:", "1.2.3.44 ", "token=", "Bearer "),
        *("tel 1", "(1) ", "-----BEGIN PRIVATE KEY-----", "\\n", "aws", "1", "a", "version ", "212-"),
        *("ä@", "ä.", "a%40", "%40", '"a', '"a"@', "AKIA", "ä@ö.", "\\u00f6", "\\u00f6@", "a@\\u00f6."),
    ],
)  # fmt: skip
def test_a_megabyte_made_to_be_slow_ends(unit: str) -> None:
    redact(unit * (1_000_000 // len(unit)))


def test_overlapping_parts_are_one_and_the_graver_kind_names_it() -> None:
    text = "db://ann:tops3cr3t9@corp-mail.io"
    assert private_parts(text) == [PrivatePart(9, len(text), "secret")]
