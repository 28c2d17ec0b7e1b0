"""Plants defects among clean messages and keeps the truth about each one.

It knows nothing of how a message is composed: rows in, rows out. Every row carries at most one defect.
"""

import datetime
import html
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import ftfy
import support_ticket_words as words
from support_ticket_similarity import jaccard

LAST_DAY = datetime.date(2025, 8, 31)

NUM_LABEL_NOISE = 130
NUM_EXACT = {"same": 30, "other": 30}
NUM_NEAR = {"same": 80, "other": 40}
NUM_DECOYS = {"same": 20, "other": 20}
NUM_CONFLICTS = {"same": 15, "other": 15}
NUM_MOJIBAKE = 60
NUM_HTML = 40
NUM_EMPTY = 15
NUM_OVERLONG = 5
NEAR_RANGE = (0.82, 0.95)
DECOY_RANGE = (0.50, 0.70)

CONFUSABLE = {
    "billing": ["refund", "discount", "cancellation"],
    "delivery": ["stock", "refund", "cancellation"],
    "refund": ["billing", "cancellation", "repair"],
    "login": ["cancellation", "billing", "delivery"],
    "cancellation": ["refund", "billing", "delivery"],
    "repair": ["refund", "stock", "login"],
    "discount": ["billing", "refund", "stock"],
    "stock": ["delivery", "discount", "repair"],
}


@dataclass(eq=False)
class Row:
    """One line of the sample; `id` is given once the order of all rows is known."""

    text: str
    label: str
    customer: str
    date: datetime.date
    sentences: list[str] = field(default_factory=list)
    id: str = ""


class Truth:
    """What was planted: per kind, entries whose values are rows (written as their ids), texts or numbers."""

    def __init__(self) -> None:
        self._entries: dict[str, list[dict[str, Row | str | float]]] = defaultdict(list)

    def note(self, kind: str, **facts: Row | str | float) -> None:
        self._entries[kind].append(facts)

    def by_id(self) -> dict[str, list[dict[str, str | float]]]:
        """Entries by kind with rows replaced by ids, in the order of the ids."""
        written = {}
        for kind, entries in self._entries.items():
            plain = [{k: v.id if isinstance(v, Row) else v for k, v in entry.items()} for entry in entries]
            written[kind] = sorted(plain, key=lambda entry: str(entry["id"]))
        return written


class Pool:
    """Rows without a defect so far; each is handed out once."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def take(self, *, min_words: int = 0, min_sentences: int = 0) -> Row:
        """The next row that is long enough."""
        fits = (row for row in self._rows if len(row.text.split()) >= min_words and len(row.sentences) >= min_sentences)
        row = next(fits)
        self._rows.remove(row)
        return row

    def others(self, label: str) -> list[Row]:
        """Rows of one label that are still to be had."""
        return [row for row in self._rows if row.label == label]


def plant_defects(rows: list[Row], rng: Random, customers: list[str]) -> tuple[list[Row], Truth]:
    """Rows with every defect planted, new ones at the end, and the truth. `rows` themselves are changed."""
    truth = Truth()
    pool = Pool(rng.sample(rows, k=len(rows)))
    added = plant_near(pool, truth, rng, customers)
    added += plant_decoys(pool, truth, rng, customers)
    added += plant_exact(pool, truth, rng, customers)
    added += plant_conflicts(pool, truth, rng, customers)
    plant_mojibake(pool, truth, rng)
    plant_html(pool, truth, rng)
    added += plant_empty(pool, truth)
    added += plant_overlong(pool, truth, rng)
    plant_label_noise(pool, truth, rng)
    return rows + added, truth


def copy_of(row: Row, text: str, whose: str, rng: Random, customers: list[str]) -> Row:
    """A later row with this text, by the same or another customer."""
    others = [customer for customer in customers if customer != row.customer]
    customer = row.customer if whose == "same" else rng.choice(others)
    date = min(LAST_DAY, row.date + datetime.timedelta(days=rng.randrange(21)))
    return Row(text=text, label=row.label, customer=customer, date=date)


def plant_near(pool: Pool, truth: Truth, rng: Random, customers: list[str]) -> list[Row]:
    added = []
    for whose, count in NUM_NEAR.items():
        for _ in range(count):
            original = pool.take(min_words=14)
            copy = copy_of(original, edited(original.text, rng), whose, rng, customers)
            near = round(jaccard(original.text, copy.text), 4)
            truth.note("near_duplicates", id=copy, of=original, jaccard=near, customer=whose)
            if whose == "other":
                truth.note("leaks", id=copy, of=original, jaccard=near)
            added.append(copy)
    return added


def edited(text: str, rng: Random) -> str:
    """The text with as many small edits as bring it into NEAR_RANGE."""
    low, high = NEAR_RANGE
    while True:
        copy = text
        while jaccard(text, copy) > high:
            copy = edit_once(copy, rng)
        if jaccard(text, copy) >= low:
            return copy


def edit_once(text: str, rng: Random) -> str:
    """One edit as people make when they send a message again: a word swapped, dropped, corrected or added."""
    tokens = text.split(" ")
    at = rng.randrange(len(tokens))
    kind = rng.choice(["synonym", "synonym", "synonym", "drop", "digits", "end", "start"])
    if kind == "synonym":
        places = [place for place, token in enumerate(tokens) if token.lower() in words.SYNONYMS] or [at]
        at = rng.choice(places)
        tokens[at] = words.SYNONYMS.get(tokens[at].lower(), tokens[at])
    elif kind == "drop" and len(tokens[at]) < 6:
        del tokens[at]
    elif kind == "digits":
        tokens = [token[:-1] + str(rng.randrange(10)) if token.isdigit() else token for token in tokens]
    elif kind == "end":
        tokens.append(
            rng.choice(
                [
                    "Thanks.",
                    "Please answer.",
                    "Second attempt.",
                    "Hello?",
                    "Any news?",
                    "Urgent.",
                    "Pls reply.",
                ]
            )
        )
    elif kind == "start" and not tokens[0].endswith((",", ":")):
        tokens.insert(0, rng.choice(["Hi,", "Hello,", "Again:", "Reminder:", "Fwd:", "Sorry,", "So,"]))
    return " ".join(tokens)


def plant_decoys(pool: Pool, truth: Truth, rng: Random, customers: list[str]) -> list[Row]:
    """Messages that share much of an earlier one and say something else: too far from it to go at 0.8."""
    added = []
    for whose, count in NUM_DECOYS.items():
        while count:
            original = pool.take(min_words=14, min_sentences=3)
            text = half_new(original, pool.others(original.label), rng)
            if not text:
                continue
            copy = copy_of(original, text, whose, rng, customers)
            truth.note("decoys", id=copy, of=original, jaccard=round(jaccard(original.text, text), 4), customer=whose)
            added.append(copy)
            count -= 1
    return added


def half_new(original: Row, donors: list[Row], rng: Random) -> str:
    """The message with one sentence of another's, within DECOY_RANGE; empty when 40 tries fail."""
    for _ in range(40):
        sentences = list(original.sentences)
        sentences[rng.randrange(len(sentences))] = rng.choice(rng.choice(donors).sentences)
        text = " ".join(sentences)
        if DECOY_RANGE[0] <= jaccard(original.text, text) <= DECOY_RANGE[1]:
            return text
    return ""


def plant_exact(pool: Pool, truth: Truth, rng: Random, customers: list[str]) -> list[Row]:
    added = []
    for whose, count in NUM_EXACT.items():
        for _ in range(count):
            original = pool.take()
            copy = copy_of(original, original.text, whose, rng, customers)
            truth.note("exact_duplicates", id=copy, of=original, customer=whose)
            added.append(copy)
    return added


def plant_conflicts(pool: Pool, truth: Truth, rng: Random, customers: list[str]) -> list[Row]:
    added = []
    for whose, count in NUM_CONFLICTS.items():
        for _ in range(count):
            original = pool.take()
            copy = copy_of(original, original.text, whose, rng, customers)
            copy.label = rng.choice(CONFUSABLE[original.label])
            truth.note("conflicting_labels", id=copy, of=original, customer=whose)
            added.append(copy)
    return added


def plant_mojibake(pool: Pool, truth: Truth, rng: Random) -> None:
    """Text read with the wrong encoding, or escaped as HTML, such that ftfy gives the clean text back."""
    breaks: dict[str, Callable[[str], str]] = {
        "cp1252": lambda text: text.encode("utf-8").decode("cp1252"),
        "latin-1": lambda text: text.encode("utf-8").decode("latin-1"),
        "entities": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    }
    found = 0
    while found < NUM_MOJIBAKE:
        row = pool.take()
        kind = ["cp1252", "cp1252", "latin-1", "entities"][found % 4]
        marked = row.text if kind == "entities" else row.text.replace("'", "’")
        try:
            broken = breaks[kind](marked)
        except UnicodeDecodeError:  # cp1252 has five holes
            continue
        if broken != row.text and broken != marked and ftfy.fix_text(broken) == row.text:
            truth.note("mojibake", id=row, how=kind, clean=row.text)
            row.text = broken
            found += 1


def plant_html(pool: Pool, truth: Truth, rng: Random) -> None:
    """Left-overs of a web form; `clean` is the text once tags are spaces and white space is single."""
    wraps = [
        "{}<br>",
        "<p>{}</p>",
        "{}<br/><br/>",
        "<div>{}</div>",
        "{}&nbsp; ",
        "<span style='font-size:12px'>{}</span>",
        "<b>{}</b> ",
    ]
    for _ in range(NUM_HTML):
        row = pool.take()
        while any(mark in row.text for mark in "<>&"):
            row = pool.take()
        truth.note("html", id=row, clean=row.text)
        wrap = rng.choice(wraps)
        row.text = "".join(wrap.format(sentence) for sentence in row.sentences)


def plant_empty(pool: Pool, truth: Truth) -> list[Row]:
    added = []
    for number in range(NUM_EMPTY):
        model = pool.take()
        blank = ["", " ", "   ", "\n", "\t", " \n "][number % 6]
        row = Row(text=blank, label=model.label, customer=model.customer, date=model.date)
        truth.note("empty", id=row)
        added.append(row)
    return added


def plant_overlong(pool: Pool, truth: Truth, rng: Random) -> list[Row]:
    """Messages with a machine's log pasted behind them, 240 to 400 words."""
    added = []
    for _ in range(NUM_OVERLONG):
        model = pool.take()
        lines = [log_line(rng) for _ in range(rng.randrange(40, 60))]
        text = f"{model.sentences[0]} log attached: " + " ".join(lines)
        row = Row(text=text, label=model.label, customer=model.customer, date=model.date)
        truth.note("overlong", id=row, words=len(text.split()))
        added.append(row)
    return added


def log_line(rng: Random) -> str:
    clock = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    level = rng.choice(["INFO", "WARN", "DEBUG", "ERROR"])
    event = rng.choice(
        ["retry backoff", "socket timeout", "cache miss", "heartbeat ok", "handshake reset", "queue flush"]
    )
    return f"{clock} {level} {event} 0x{rng.randrange(16**6):06x} t={rng.randrange(9999)}ms"


def plant_label_noise(pool: Pool, truth: Truth, rng: Random) -> None:
    """Messages filed under a neighbouring topic, as hurried people do."""
    for _ in range(NUM_LABEL_NOISE):
        row = pool.take()
        truth.note("label_noise", id=row, clean_label=row.label)
        row.label = rng.choice(CONFUSABLE[row.label])
