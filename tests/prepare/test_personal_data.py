"""What counts as personal data and what does not, and that nothing of it is left standing once it is masked."""

from __future__ import annotations

import polars
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftkit.contracts import Context
from ftkit.prepare.cleaning.personal_data import Kind, PersonalData, apply, find, mask

KINDS: list[Kind] = ["email", "phone", "card", "iban", "ip", "key"]
CTX = Context()
# Made up in the form of real keys, in two parts, so that nothing here looks like a leaked one
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
SECRET = "sk-proj-" + "Zx81KqP0vT3mWb7RyL2nHs9D"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


def masked(text: str, *kinds: Kind) -> str:
    return mask(text, list(kinds) or KINDS)[0]


def table(*texts: str, target: str = "x") -> polars.DataFrame:
    rows = [(str(number), text, target, str(number), 1.0) for number, text in enumerate(texts, 1)]
    schema = dict.fromkeys(("id", "input", "target", "group"), polars.String) | {"weight": polars.Float64}
    return polars.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ann@example.com.", "write to <email>."),
        ("Ann <ann.lee+news@mail.example.co.uk>, please", "Ann <<email>>, please"),
        ("(o'brien@example.org)", "(<email>)"),
        ("'ann@example.com'", "'<email>'"),
        ("**ann@example.com**", "**<email>**"),
        ("jörg@müller.de and Jo\u0308rg@example.de", "<email> and <email>"),
        ("почта@пример.рф!", "<email>!"),
        ("请联系test@example.com谢谢", "请联系<email>谢谢"),
        ("test@example.com으로", "<email>으로"),
        ("用户1@例子.中国", "<email>"),
        ("ann@xn--mller-kva.xn--p1ai", "<email>"),
        ("mailto:ann@example.com?subject=hi", "mailto:<email>?subject=hi"),
        ("https://example.com/?to=ann@example.com&x=1", "https://example.com/?to=<email>&x=1"),
        ("bounce+ann=example.com@lists.example.org", "<email>"),
        ("sales/west@example.com", "<email>"),
        ('"ann lee"@example.com', "<email>"),
        ("root@10.0.0.1 and root@[192.168.1.1]", "<email> and <email>"),
        ("@ann@social.example", "@<email>"),
        ("a@b.example@c.example", "<email>"),
        ("ann@example.com,bob@example.com;eve@example.com", "<email>,<email>;<email>"),
        ("git@github.com:ann/repo.git", "<email>:ann/repo.git"),
        ("ann@example.com-style", "<email>-style"),
    ],
)
def test_an_email_address_is_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a@b",
        "user@localhost",
        "ann @ example . com",
        "@media print",
        "lodash@4.17.21",
        "logo@2x.png",
        "5 apples @ 3.50",
        *["@ann and @bob.", "a@.com", "a@b..com", "a@b.c"],
    ],
)
def test_what_is_no_email_address_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +49 30 1234567 now", "call <phone> now"),
        ("+1 (555) 123-4567.", "<phone>."),
        ("+14155552671", "<phone>"),
        ("(+44 20 7946 0958)", "(<phone>)"),
        ("+49 (0)30 / 123456-78", "<phone>"),
        ("+33\u00a01\u00a023\u00a045\u00a067\u00a089", "<phone>"),
        ("tel:+15551234567;x=1", "tel:<phone>;x=1"),
        ("0049 30 1234567", "<phone>"),
        ("004930123456789", "<phone>"),
        ("(555) 123-4567", "<phone>"),
        ("555-123-4567 ext. 12", "<phone>"),
        ("555.123.4567, 555 234 5678", "<phone>, <phone>"),
        ("1-800-555-0199", "<phone>"),
        ("030 1234567", "<phone>"),
        ("(030) 1234567", "<phone>"),
        ("0171/1234567", "<phone>"),
        ("01 23 45 67 89", "<phone>"),
        ("020 7946 0958 or 07700 900123", "<phone> or <phone>"),
        ("030 1234567 030 7654321", "<phone> <phone>"),
        ("2 tickets: 030 1234567 at 3rd", "2 tickets: <phone> at 3rd"),
        ("ann,555-123-4567,030 1234567,5", "ann,<phone>,<phone>,5"),
        ("phone: 5551234567", "phone: <phone>"),
        ("My phone number is 5551234", "My phone number is <phone>"),
        ("Tel. 1234567", "Tel. <phone>"),
    ],
)
def test_a_phone_number_is_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 123456789",
        "order 5551234567",
        "order 028-1234567-1234567",
        "order 112-3456789-0123456",
        "ISBN 978-3-16-148410-0 or 0-306-40615-2",
        "on 2024-01-15 at 10:30:00",
        "15.01.2024, 01/15/2024, 01.02.2024, 05-06-2024",
        "2024-01-15T10:30:00+01:00",
        "2010-2015 and 1990–1995",
        "$1,234,567.89 or 1 000 000 €",
        "€ 030 123 or $555 123 4567",
        "version 10.0.19041.1234",
        "1.2.3-4567890",
        "it is 3 + 12345678",
        "x=5+12345678",
        "add 200 300 4000 500",
        "0.0712345678 and 3.14159265358979",
        "100 200 300 400 500",
        "SKU-030-1234567",
        "#555-123-4567",
        "550e8400-e29b-41d4-a716-446655440000",
        "+5 to +12",
        "007",
        "phone 911 or phone 2",
        "for her phone 742 / 106 = 7 times",
        "12:30 - 14:45",
    ],
)
def test_what_is_no_phone_number_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111", "<card>"),
        ("card 4111-1111-1111-1111.", "card <card>."),
        ("5555555555554444,2223003122003222", "<card>,<card>"),
        ("3782 822463 10005", "<card>"),
        ("3056 930902 5904", "<card>"),
        ("6011111111111117 12/27", "<card> 12/27"),
        ("4111 1111 1111 1111 123", "<card> 123"),
        ("pay 2 4111 1111 1111 1111", "pay 2 <card>"),
    ],
)
def test_a_card_number_is_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # fails the Luhn check
        "1234567890123452",  # passes it, and no card begins with 1
        "41111111111111111111111",
        "0.4111111111111111",
        "4111111111111111-2",
        "x4111111111111111",
        "4111 1111-1111 1111",
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert masked(text) == text


# Examples of SWIFT's IBAN registry, one a country
REGISTRY = """
AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201
AZ21NABZ00000000137010001944 BA391290079401028494 BE68539007547034 BG80BNBG96611020345678 BH67BMAG00001299123456
BR1800360305000010009795493C1 BY13NBRB3600900000002Z00AB00 CH9300762011623852957 CR05015202001026284066
CY17002001280000001200527600 CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243
DO28BAGR00000001212453611324 EE382200221020145685 EG380019000500000000263180002 ES9121000418450200051332
FI2112345600000785 FO6264600001631634 FR1420041010050500013M02606 GB29NWBK60161331926819 GE29NB0000000101904917
GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695 GT82TRAJ01020000001210029690
HR1210010051863000160 HU42117730161111101800000000 IE29AIBK93115212345678 IL620108000000099999999
IQ98NBIQ850123456789012 IS140159260076545510730339 IT60X0542811101000000123456 JO94CBJO0010000000000131000302
KW81CBKU0000000000001234560101 KZ86125KZT5004100100 LB62099900000001001901229114 LC55HEMM000100010012001200023015
LI21088100002324013AA LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 MC5811222000010123456789030
MD24AG000225100013104168 ME25505000012345678951 MK07250120000058984 MR1300020001010000123456753
MT84MALT011000012345MTLCAST001S MU17BOMM0101101030300200000MUR NL91ABNA0417164300 NO9386011117947
PK36SCBL0000001123456702 PL61109010140000071219812874 PS92PALS000000000400123456702 PT50000201231234567890154
QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000 RS35260005601001611379 SA0380000000608010167519
SC18SSCB11010000000000001497USD SE4550000000058398257466 SI56263300012039086 SK3112000000198742637541
SM86U0322509800000000270100 SV62CENR00000000000000700025 TL380080012345678910157 TN5910006035183598478831
TR330006100519786457841326 UA213223130000026007233566001 VA59001123000012345678 VG96VPVG0000012345678901
XK051212012345678906
"""


@pytest.mark.parametrize("number", REGISTRY.split())
def test_the_account_number_of_every_country_is_found_as_it_is_written(number: str) -> None:
    in_fours = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    assert masked(f"to {number} now") == "to <iban> now"
    assert masked(f"to {in_fours} is it") == "to <iban> is it"
    assert masked(number.lower(), "iban") == "<iban>"


@pytest.mark.parametrize(
    "text",
    [
        "DE89 3704 0044 0532 0130 01",  # fails the check by 97
        "DE8937040044053201300",
        "DE893704004405320130001",
        "ZZ89370400440532013000",
        "XDE89370400440532013000",
        "HR12 is a room",
    ],
)
def test_what_is_no_account_number_stays(text: str) -> None:
    assert masked(text, "iban") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 192.168.1.1.", "from <ip>."),
        ("10.0.0.1:8080, 10.0.0.0/8", "<ip>:8080, <ip>/8"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "<ip>"),
        ("[2001:db8::1]:443", "[<ip>]:443"),
        ("fe80::1%eth0 and fe80::1.", "<ip> and <ip>."),
        ("2001:db8::/32", "<ip>/32"),
        ("::ffff:192.0.2.128", "<ip>"),
        ("at 2001:db8::1: refused", "at <ip>: refused"),
    ],
)
def test_an_ip_address_is_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *["1.2.3.4.5", "1.2.3", "999.1.1.1"],
        "version 1.2.3.4",
        "v1.2.3.4",
        "Chrome 120.0.6099.109",
        "10:30:00",
        "std::vector and abc::def",
        "x[::2]",
        "::",
        "00:1a:2b:3c:4d:5e",
        "1:2:3:4:5:6:7:8:9",
        "2:1 :3",
    ],
)
def test_what_is_no_ip_address_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"use {GITHUB}.", "use <key>."),
        (f"key: {SECRET}, ok", "key: <key>, ok"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "<key>"),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer <key>"),
        ('api_key = "a8f5f167f44f4964e6c998dee827110c"', 'api_key = "<key>"'),
        ("password=Tr0ub4dor&3xyzzyQ12345", "password=Tr0ub4dor&3xyzzyQ12345"),  # '&' ends a word of a key
        ("postgres://ann:hunter2@db.example.com:5432/x", "postgres://<key>/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\nok", "<key>\nok"),
        ("xoxb-" + "123456789012-abcdefghijkl", "<key>"),
    ],
)
def test_a_secret_key_is_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx1",
        "sk-fading-circle-animation-large",
        "hf_hub_download_something_long_1",
        "token: the next word",
        "the key is under the mat",
        "password: hunter2",
        "see https://example.com/a:b",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_what_is_no_secret_key_stays(text: str) -> None:
    assert masked(text) == text


def test_finds_that_overlap_are_one_of_the_kind_of_the_longest() -> None:
    text = "postgres://ann:hunter2@db.example.com/x"  # of the kinds asked for
    assert [text[span.start : span.end] for span in find(text, ["email"])] == ["hunter2@db.example.com"]
    (span,) = find(text, ["email", "key"])
    assert (text[span.start : span.end], span.kind) == ("ann:hunter2@db.example.com", "key")


def test_the_event_gives_kinds_and_counts_and_never_the_value() -> None:
    cleaned = apply(PersonalData(), table("ann@example.com, bob@example.com, 10.0.0.1", target="10.0.0.1"), CTX)
    assert cleaned.table.select("input", "target").rows() == [("<email>, <email>, <ip>", "<ip>")]
    assert cleaned.events.rows() == [
        ("1", "change", "input: masked email 2, ip 1", None, None),
        ("1", "change", "target: masked ip 1", None, None),
    ]


def test_rows_can_be_dropped_or_flagged_instead() -> None:
    rows = table("ann@example.com", "nothing here", target="x")
    dropped = apply(PersonalData(action="drop"), rows, CTX)
    assert dropped.table["id"].to_list() == ["2"]
    assert dropped.events.select("id", "action", "reason").rows() == [("1", "drop", "input: email 1")]
    flagged = apply(PersonalData(action="flag"), rows, CTX)
    assert flagged.table.equals(rows)
    assert flagged.events["action"].to_list() == ["flag"]


def test_rejected_answers_and_history_are_masked_too() -> None:
    history = [[{"role": "user", "content": "I am ann@example.com"}, {"role": "assistant", "content": "hi"}], []]
    rows = table("x", "y").with_columns(
        rejected=polars.Series(["call +49 30 1234567", None], dtype=polars.String),
        history=polars.Series(
            history, dtype=polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
        ),
    )
    cleaned = apply(PersonalData(), rows, CTX)
    assert cleaned.table["rejected"].to_list() == ["call <phone>", None]
    assert cleaned.table["history"].to_list() == [[{"role": "user", "content": "I am <email>"}, history[0][1]], []]
    assert cleaned.events["reason"].to_list() == ["rejected: masked phone 1", "history: masked email 1"]


PIECES = [
    *["ann@example.com", "a@b", "müller@example.de", "例子@例子.中国", "+49 30 1234567", "030 1234567", "555-123-4567"],
    *["4111 1111 1111 1111", "3782 822463 10005", "DE89 3704 0044 0532 0130 00", "10.0.0.1", "fe80::1", "1.2.3.4.5"],
    *[GITHUB, JWT, "password=", "api_key: ", "://", "ann:pw@", "phone: ", "1234567", "-----BEGIN PRIVATE KEY-----"],
    *[" ", "", ".", ",", "-", "/", ":", "@", "+", "(", ")", "<", "x", "0", "7", "\n", "谢", "é", "version "],
]
messy = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
anything = messy | st.text(alphabet="0123456789 .-+()@:abcdefDE/x", max_size=40) | st.text(max_size=40)


@settings(max_examples=300, deadline=None)
@given(anything)
@example("+49 30 1234567 030 1234567 4111 1111 1111 1111")
def test_a_masked_text_holds_no_more_finds_and_stays_as_it_is(text: str) -> None:
    once, counts = mask(text, KINDS)
    assert find(once, KINDS) == []
    assert mask(once, KINDS) == (once, {})
    assert (once == text) == (not counts)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=4))
def test_passing_over_rows_without_a_look_loses_no_find(texts: list[str]) -> None:
    """`apply` looks only at rows that an expression over the column points out; here every row is looked at."""
    cleaned = apply(PersonalData(), table(*texts), CTX)
    assert cleaned.table["input"].to_list() == [mask(text, KINDS)[0] for text in texts]


@settings(max_examples=200, deadline=None)
@given(anything, st.lists(st.sampled_from(KINDS), min_size=1, unique=True))
def test_finds_are_in_order_and_apart(text: str, kinds: list[Kind]) -> None:
    edges = [edge for span in find(text, kinds) for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(span.start < span.end and span.kind in kinds for span in find(text, kinds))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a@",
        "a.",
        "a@a.",
        "1 ",
        "0 ",
        "01 ",
        "+1",
        "(0)",
        "1.",
        ":",
        "a:",
        "::1",
        "sk-",
        "eyJ",
        "DE89",
        "-----BEGIN ",
    ],
)
def test_long_texts_of_one_piece_take_no_time_out_of_proportion(piece: str) -> None:
    """Where the time grows with the square of the length, 100,000 characters run into the limit of a test."""
    text = piece * (100_000 // len(piece)) + "@ 1 2 3 4 5 6 7 password"
    assert len(mask(text, KINDS)[0]) <= len(text)
