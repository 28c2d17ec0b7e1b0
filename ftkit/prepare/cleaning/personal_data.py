"""Masks or drops personal data: e-mail addresses, phone, card and account numbers (IBAN), IP addresses, secret keys.

Knows one row at a time, and no dictionary: names and postal addresses are not found. Events give kinds and counts,
never what was found. Finds whole tokens only, and joins what overlaps, so that no half of one is left standing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, drop, events, flag
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

Kind: TypeAlias = Literal["email", "phone", "card", "iban", "ip", "key"]
_KINDS: list[Kind] = ["email", "phone", "card", "iban", "ip", "key"]


class PersonalData(RowStep):
    """What is looked for, and what is done with it, in input, target, and where rows have them, rejected and history.

    Masks are <email>, <phone>, <card>, <iban>, <ip> and <key>. Cards must pass the Luhn check, IBANs their country's
    length and the check by 97. A phone number is international (+ or 00), or written in groups as people write them;
    a bare run of digits is one only behind a word such as 'phone'. Test rows are masked too.
    """

    changes_texts: ClassVar[bool] = True

    action: Literal["mask", "drop", "flag"] = Field(
        "mask", description="put a mask in its place, drop the row, or keep the row and list it in the ledger"
    )
    kinds: list[Kind] = Field(default=_KINDS, min_length=1, description="what is looked for")


@component
def apply(config: PersonalData, table: Table, ctx: Context) -> Cleaned:
    """Mask in place, with an event for each column of a row; or drop or flag the rows, with one event each."""
    import polars

    masked, masks = table, {}
    for column in [name for name in ("input", "target", "rejected", "history") if name in table.columns]:
        replaced, counts = _masked(table[column], config.kinds)
        masked = masked.with_columns(replaced)
        masks[column] = polars.Series(column, counts, polars.String)
    if config.action == "mask":
        changes = [
            events("change", table["id"].filter(counts.is_not_null()), f"{column}: masked " + counts.drop_nulls())
            for column, counts in masks.items()
        ]
        return Cleaned(masked, table.select("id").join(polars.concat(changes), on="id", maintain_order="left_right"))
    said = [polars.format(f"{column}: {{}}", column) for column in masks]
    reason = polars.concat_str(said, separator="; ", ignore_nulls=True)
    reasons = polars.DataFrame(masks).select(
        reason=polars.when(polars.any_horizontal(polars.all().is_not_null())).then(reason)
    )["reason"]
    return drop(table, reasons) if config.action == "drop" else flag(table, reasons)


def mask(text: str, kinds: list[Kind]) -> tuple[str, Counter[str]]:
    """The text with everything found replaced by its mask, and how many of each kind.

    Looks again until nothing is found: the result never holds another find.
    """
    counts: Counter[str] = Counter()
    while spans := find(text, kinds):
        counts.update(span.kind for span in spans)
        edges = [0, *chain.from_iterable((span.start, span.end) for span in spans), len(text)]
        between = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        text = between[0] + "".join(f"<{span.kind}>{rest}" for span, rest in zip(spans, between[1:], strict=True))
    return text, counts


class Span(NamedTuple):
    """A find: characters `start` to `end`, without the last."""

    start: int
    end: int
    kind: Kind


def find(text: str, kinds: list[Kind]) -> list[Span]:
    """What is found, from left to right; finds that overlap are one, of the kind of the longest."""
    finds = sorted(Span(start, end, kind) for kind in kinds for start, end in _FINDERS[kind](text))
    joined: list[Span] = []
    longest = 0
    for span in finds:
        length = span.end - span.start
        if joined and span.start < joined[-1].end:
            last = joined.pop()
            kind = span.kind if length > longest else last.kind
            joined.append(Span(last.start, max(last.end, span.end), kind))
            longest = max(longest, length)
        else:
            joined.append(span)
            longest = length
    return joined


def _masked(column: polars.Series, kinds: list[Kind]) -> tuple[polars.Series, list[str | None]]:
    """The column masked, and for each row what was found, as 'email 2, ip 1', or None."""
    import polars

    worth_a_look = "|".join(_WORTH_A_LOOK[kind] for kind in kinds)
    said: list[str | None] = [None] * len(column)
    if column.dtype == polars.String:
        places: list[int] = column.str.contains(worth_a_look).fill_null(False).arg_true().to_list()
        texts: list[str] = column.gather(places).to_list()
        results = [mask(text, kinds) for text in texts]
        for place, (_, counts) in zip(places, results, strict=True):
            said[place] = _said(counts)
        return column.clone().scatter(places, [text for text, _ in results]) if results else column, said
    contents = column.explode(empty_as_null=False).struct.field("content")
    if not contents.str.contains(worth_a_look).any():
        return column, said
    histories: list[list[dict[str, str | None]] | None] = column.to_list()
    for place, messages in enumerate(histories):
        results = [mask(message["content"] or "", kinds) for message in messages or ()]
        said[place] = _said(sum((counts for _, counts in results), Counter()))
        if messages and said[place]:
            pairs = zip(messages, results, strict=True)
            histories[place] = [{**old, "content": text} if counts else old for old, (text, counts) in pairs]
    return polars.Series(column.name, histories, column.dtype), said


def _said(counts: Counter[str]) -> str | None:
    return ", ".join(f"{kind} {counts[kind]}" for kind in _KINDS if counts[kind]) or None


# ---- e-mail ----------------------------------------------------------------------------------------------------------

# Scripts that write no blank between an address and the next word
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_MARKS = "\u0300-\u036f"
_PUNCTUATION = "!#$%&'*+/=?^`{|}~."
_SPACED = rf"(?![{_UNSPACED}])"
_LETTER = rf"(?:{_SPACED}[^\W_])[{_MARKS}]*"
_ATOM = rf"(?:{_SPACED}[\w{_MARKS}{_PUNCTUATION}-])"
_LABEL = rf"{_LETTER}(?:(?:{_LETTER}|[_-]){{0,61}}{_LETTER})?"
_TOP = rf"(?:xn--[A-Za-z0-9-]+|(?:(?![0-9]){_LETTER}){{2,}})(?!{_SPACED}[\w{_MARKS}@])"
_IN_BRACKETS = r"\[[0-9A-Fa-f:.]{2,45}\]"
_NUMERIC = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.\w)"
_EMAIL = re.compile(  # no 'image@2x.png'; each run of characters is tried once, from its beginning
    rf'(?:(?<![\w{_MARKS}])"[^"\n@]{{1,64}}"@|(?<!{_ATOM})(?:{_ATOM}++@){{1,4}}+)(?![1-9]x\.)'
    rf"(?:(?:{_LABEL}\.)+{_TOP}|{_IN_BRACKETS}|{_NUMERIC})"
)
_WIDE_LABEL = rf"[^\W_](?:[\w{_MARKS}-]{{0,61}}[^\W_])?"
_WIDE_EMAIL = re.compile(rf"(?<![\w{_MARKS}.+-])[\w{_MARKS}.+-]++@(?:{_WIDE_LABEL}\.)+[{_UNSPACED}]{{2,}}")
_NO_START = re.compile(rf"[{_PUNCTUATION}-]*")


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for match in _EMAIL.finditer(text):
        start = match.start()
        at = text.index("@", start)
        if text[start:at].startswith("//"):  # a link: what stands before the last of these belongs to it
            start = max(text.rfind(sign, start, at) for sign in "/?&=") + 1
        trimmed = _NO_START.match(text, start, at)
        assert trimmed is not None
        if trimmed.end() < at:
            yield trimmed.end(), match.end()
    yield from (match.span() for match in _WIDE_EMAIL.finditer(text))


# ---- phone -----------------------------------------------------------------------------------------------------------

_BLANK = "[ \u00a0\u2009\u202f]"
_SIGN = "[-\u2010\u2011\u2013./]"
_GROUP = r"(?:\([0-9]{1,6}\)|[0-9]{1,15}(?![0-9]))"
_DIGITS = re.compile(
    rf"(?<![\w$€£#+])(?<![A-Za-z0-9][-_/])(?<![0-9][.,:])(?P<plus>\+)?"
    rf"(?P<run>(?>{_GROUP}(?:(?:{_BLANK}?{_SIGN}{_BLANK}?|{_BLANK}{{1,2}})?{_GROUP}){{0,39}}))"
)
_CHUNK = re.compile(rf"\S(?:[^ \u00a0\u2009\u202f]|{_BLANK}(?={_SIGN}|\()|(?<={_SIGN}|\)){_BLANK})*")
_CUE = re.compile(
    r"(?:\b(?:tel(?:e(?:ph|f)on[eo]?)?|téléphone|teléfono|phone|mobile|mobil|móvil|handy|fax|whatsapp)"
    r"(?:\s(?:number|no|nr|nummer))?[.:]{0,2}\s?(?:is\s)?\(?)\Z",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r",?\s?(?:ext(?:ension|\.)?|x|durchwahl)\s?[0-9]{1,5}(?!\w)", re.IGNORECASE)
_NOT_AFTER = re.compile(r"[\w@%]|[-./:\u2010\u2011\u2013][0-9]")
_DATE = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1(?:19|20)?[0-9]{2}(?![./-]?[0-9])|(?:19|20)[0-9]{2}([./-])[0-9]{2}\2")
_NORTH_AMERICA = re.compile(r"(?:1[-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])[0-9]{3}[-. ][0-9]{4}")
_LEAST_DIGITS = 7
_MOST_CHUNKS = 9


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _DIGITS.finditer(text):
        if len(match["run"]) < _LEAST_DIGITS:
            continue
        chunks = [chunk.span() for chunk in _CHUNK.finditer(text, *match.span("run"))]
        first = 0
        while first < len(chunks):
            lead = text[max(0, match.start() - 24) : match.start()] if first == 0 else ""
            plus = first == 0 and match["plus"] is not None
            for last in range(min(len(chunks), first + _MOST_CHUNKS) - 1, first - 1, -1):
                start, end = chunks[first][0], chunks[last][1]
                alone = len(chunks) == last - first + 1
                number = text[start:end]
                if not _NOT_AFTER.match(text, end) and _is_phone(number, plus=plus, lead=lead, alone=alone):
                    extension = _EXTENSION.match(text, end)
                    yield match.start() if plus else start, extension.end() if extension else end
                    first = last
                    break
            first += 1


def _is_phone(number: str, *, plus: bool, lead: str, alone: bool) -> bool:
    """Whether this is how a phone number is written; `lead` is what stands before it, `alone` if no number is near."""
    digits = re.sub(r"[^0-9]", "", number)
    if plus:
        return digits[0] != "0" and 8 <= len(digits) - number.count("(0)") <= 15
    if _DATE.match(number):
        return False
    if number.startswith("00"):
        return digits[2:3] not in ("", "0") and 10 <= len(digits) - 2 <= 15
    if _CUE.search(lead):
        return _LEAST_DIGITS <= len(digits) <= 15
    if _NORTH_AMERICA.fullmatch(number):  # three numbers in a row are no phone number if there are more of them
        return alone or not re.fullmatch(r"[0-9 ]+", number)
    grouped = len(digits) < len(number) and number.count(".") != 1
    return grouped and re.match(r"0[1-9]|\(0", number) is not None and 9 <= len(digits) <= 12


# ---- card and account numbers ----------------------------------------------------------------------------------------

_GAP = "[ \u00a0-]"
_CARD = re.compile(
    rf"(?<!\w)(?<![0-9][.-])(?:[0-9]{{4}}({_GAP})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{1,3}}(?![0-9]))?"
    rf"|[0-9]{{4}}({_GAP})[0-9]{{6}}\2[0-9]{{4,5}}|[0-9]{{13,19}})(?!\w|[.-][0-9])"
)
# First digits of Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay and Maestro
_ISSUER = re.compile(r"4|5[0-8]|2[2-7]|3[0-9]|6")
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}")
# Lengths by country in SWIFT's IBAN registry
_IBAN_LENGTHS = {
    length: set(countries.split())
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        start, end = match.span()
        # what looks like the last group may be the number that follows
        for stop in (end, start + 19) if match[1] and end - start > 19 else (end,):
            digits = re.sub(r"[^0-9]", "", text[start:stop])
            if _ISSUER.match(digits) and _passes_luhn(digits):
                yield start, stop
                break


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN_START.finditer(text):
        start = match.start()
        length = next((n for n, countries in _IBAN_LENGTHS.items() if match[0][:2].upper() in countries), 0)
        written = re.compile(rf"[A-Za-z0-9](?:{_GAP}?[A-Za-z0-9]){{{length - 1}}}(?!\w)") if length else None
        number = written.match(text, start) if written else None
        if number is None:
            continue
        compact = re.sub(_GAP, "", number[0]).upper()
        if int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1:
            yield number.span()


# ---- IP addresses ----------------------------------------------------------------------------------------------------

_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:)[0-9A-Fa-f:]++(?:(?:\.[0-9]{1,3}){3})?(?!\w)(?:%\w+)?")
_VERSION = re.compile(r"(?:version|release|build|firmware|\bv\.?)\s*\Z", re.IGNORECASE)


def _ips(text: str) -> Iterator[tuple[int, int]]:
    import ipaddress

    for match in chain(_IPV4.finditer(text), _IPV6.finditer(text)):
        address = match[0].partition("%")[0]
        ending = "".join(re.findall(r"[:.]\Z", address)) if not address.endswith("::") else ""
        address = address.removesuffix(ending)
        # '::2' is a slice and 'a::b' a name in a namespace more often than they are addresses
        enough = ":" not in address or (len(re.findall(r"[0-9A-Fa-f]+", address)) > 1 and re.search("[0-9]", address))
        if not enough or (":" not in address and _VERSION.search(text[max(0, match.start() - 12) : match.start()])):
            continue
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        yield match.start(), match.end() - len(ending) if "%" not in match[0] else match.end()


# ---- keys ------------------------------------------------------------------------------------------------------------

_STARTS = (
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)(?=[A-Z0-9]{16})|(?:gh[pousr]|hf|npm)_(?=[A-Za-z0-9]{30})|github_pat_|glpat-|"
    r"xox[abeoprs]-|xapp-|sk-(?=(?:[\w-]{0,24}-)?[A-Za-z0-9_]{16})|[prs]k_(?:live|test)_|AIza(?=[\w-]{35})|ya29\.|"
    r"pypi-(?=[\w-]{50})|SG\.(?=[\w-]{16,80}\.[\w-]{16})|dop_v1_|eyJ(?=[\w-]{8,4096}\.eyJ)"
)
_PREFIXED = re.compile(rf"(?<![A-Za-z0-9])(?:{_STARTS})(?P<secret>[A-Za-z0-9_-]{{16,}}(?:\.[A-Za-z0-9_-]+)*)")
_ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:api|access|secret|private)[_ -]?key|secret|token|passw(?:or)?d|pwd)[\"']?\s?(?:[:=]|\bis\b)"
    r"\s?[\"']?(?P<secret>[A-Za-z0-9_./+=~-]{16,})|\bbearer\s(?P<bearer>[A-Za-z0-9_./+=~-]{16,})",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(?:(?!-----)[\s\S])*+(?:-----END \1-----)?")
_LOGIN = re.compile(r"(?<=://)[^\s/@:]*+:[^\s/@]++@[^\s/?#,;\"'<>]+")
_LEAST_ENTROPY = 2.5  # bits for each character; random keys have over 3.5, 'xxxxxxxx' has none


def _keys(text: str) -> Iterator[tuple[int, int]]:
    for match in chain(_PREFIXED.finditer(text), _ASSIGNED.finditer(text)):
        name = "secret" if match["secret"] else "bearer"
        secret = match[name].rstrip(".")
        if re.search("[0-9]", secret) and re.search("[A-Za-z]", secret) and _entropy(secret) >= _LEAST_ENTROPY:
            start = match.start() if match.re is _PREFIXED else match.start(name)
            yield start, match.start(name) + len(secret)
    yield from (match.span() for match in chain(_BLOCK.finditer(text), _LOGIN.finditer(text)))


def _entropy(text: str) -> float:
    import math

    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


_FINDERS: dict[Kind, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "ip": _ips,
    "key": _keys,
}
# What any find of a kind contains, for polars: it passes over the rows that hold none in one go
_WORTH_A_LOOK: dict[Kind, str] = {
    "email": "@",
    "phone": r"(?:[0-9][^0-9]{0,5}){6}[0-9]",
    "card": r"[0-9]{4}[ \u{a0}-]?[0-9]{4}",
    "iban": r"[A-Za-z]{2}[0-9]{2}",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]*:[0-9A-Fa-f]*:",
    "key": r"(?i)A3T|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|glpat-|xox|xapp-|sk-|k_live_|k_test_|AIza|ya29|hf_|"
    r"npm_|pypi-|SG\.|dop_v1_|eyJ|key|secret|token|passw|pwd|bearer|://",
}
