"""The lexicon of the tiny base model: topics of the whole world and the words that go with them.
Knows neither the sentences the words are put into nor the sample data set.
"""

from dataclasses import dataclass
from pathlib import Path

LEXICON_PATH = Path(__file__).with_suffix(".txt")
TEXT_ONLY = ("text", "held")

IRREGULAR_PAST = {
    "break": "broke",
    "build": "built",
    "buy": "bought",
    "catch": "caught",
    "choose": "chose",
    "draw": "drew",
    "drive": "drove",
    "feed": "fed",
    "fly": "flew",
    "forget": "forgot",
    "freeze": "froze",
    "give": "gave",
    "go": "went",
    "hang": "hung",
    "hold": "held",
    "leave": "left",
    "lend": "lent",
    "let": "let",
    "log": "logged",
    "pay": "paid",
    "ride": "rode",
    "rise": "rose",
    "run": "ran",
    "sell": "sold",
    "send": "sent",
    "sew": "sewed",
    "shoot": "shot",
    "shrink": "shrank",
    "shut": "shut",
    "sing": "sang",
    "sit": "sat",
    "slide": "slid",
    "speak": "spoke",
    "stick": "stuck",
    "swim": "swam",
    "take": "took",
    "teach": "taught",
    "wed": "wed",
    "win": "won",
    "wind": "wound",
}
# verbs that double their last letter; split from one string to stay readable
DOUBLED = frozenset(
    """chop clap cut dig drip drop fit grab grip hop hum jog log mop nap pat pet plan rub scan ship shop
    sip slip snap spin step stir stop strum swap tap trim trot unwrap wag wrap debug swim shut
    let sit""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Topic:
    """A topic and its words. `role`: "label" may be an answer, "held" and "text" may not."""

    name: str
    role: str
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]

    def words(self) -> tuple[str, ...]:
        """Nouns, then verbs, then adjectives, as they stand in the lexicon."""
        return self.nouns + self.verbs + self.adjectives


def read_topics(path: Path = LEXICON_PATH) -> list[Topic]:
    """All topics in the order of the file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parse_topic(line) for line in lines if line.strip() and not line.startswith("#")]


def past(verb: str) -> str:
    """The past tense of a verb or of the first word of a phrase: `send back` becomes `sent back`."""
    head, blank, rest = verb.partition(" ")
    if head in IRREGULAR_PAST:
        return IRREGULAR_PAST[head] + blank + rest
    if head.endswith("e"):
        return head + "d" + blank + rest
    if head.endswith("y") and head[-2] not in "aeiou":
        return head[:-1] + "ied" + blank + rest
    return head + (head[-1] if head in DOUBLED else "") + "ed" + blank + rest


def progressive(verb: str) -> str:
    """The ing-form of a verb or of the first word of a phrase."""
    head, blank, rest = verb.partition(" ")
    if head.endswith("e") and not head.endswith("ee"):
        head = head[:-1]
    elif head in DOUBLED or head in {"run", "win", "put"}:
        head += head[-1]
    return head + "ing" + blank + rest


def plural(noun: str) -> str:
    """The plural of a noun or of the last word of a phrase; words on s stay as they are."""
    if noun.endswith("s"):
        return noun
    if noun.endswith(("x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _parse_topic(line: str) -> Topic:
    head, _, body = line.partition(":")
    role, _, rest = head.partition(" ")
    name = rest if role in TEXT_ONLY else head
    parts = [tuple(word.replace("_", " ") for word in part.split()) for part in body.split("|")]
    return Topic(name, role if role in TEXT_ONLY else "label", parts[0], parts[1], parts[2])
