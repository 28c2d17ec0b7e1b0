"""Makes `data/support_tickets.jsonl`, the sample of customer messages, and the truth about its defects.

It knows nothing of ftkit: standard library and ftfy 6.3. Same seed, same bytes; `--check` writes nothing.
"""

import argparse
import datetime
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import support_ticket_words as words
from support_ticket_defects import Row, Truth, plant_defects
from support_ticket_phrases import TOPICS
from support_ticket_similarity import NearIndex
from support_ticket_slots import Customer, Scene, coin_brand, expand, order

SEED = 20250304
DATA_DIR = Path(__file__).resolve().parents[1] / "data"
ROWS_PATH = DATA_DIR / "support_tickets.jsonl"
TRUTH_PATH = DATA_DIR / "support_tickets.truth.json"

NUM_CUSTOMERS = 1270
NUM_COMPOSED = 3330  # planting adds 270 rows
FIRST_DAY = datetime.date(2024, 9, 1)
NUM_DAYS = 365
LABEL_SHARES = {
    "delivery": 0.18,
    "billing": 0.155,
    "refund": 0.135,
    "login": 0.125,
    "repair": 0.12,
    "cancellation": 0.11,
    "stock": 0.092,
    "discount": 0.083,
}
# No two composed messages come closer than this, so that every near pair of the sample is a planted one.
MAX_COMPOSED_JACCARD = 0.45
INDIRECT_SHARE = 0.28
ASIDE_SHARE = 0.42
SECOND_TOPIC_SHARE = 0.24
ROUTING_SHARE = 0.16

QUESTION = re.compile(
    r"(when|where|can|could|do|does|is|are|what|which|how|has|have you|any|will|why|did|who|so what)\b", re.I
)


@dataclass(frozen=True)
class Voice:
    """How one kind of person writes; the shares say how often a message has the part."""

    fragment: float
    greeting: float
    opener: float
    background: float
    feeling: float
    closer: float
    typos: float = 0.004
    abbreviations: float = 0.0
    lower_case: float = 0.05
    shouting: float = 0.0
    full_stop: str = "."


VOICES: dict[str, Voice] = {
    "plain": Voice(0.14, 0.22, 0.08, 0.25, 0.08, 0.18),
    "polite": Voice(0.03, 0.70, 0.25, 0.28, 0.10, 0.70, lower_case=0.0),
    "terse": Voice(0.58, 0.05, 0.02, 0.10, 0.05, 0.08, typos=0.010, lower_case=0.4, full_stop=""),
    "angry": Voice(0.14, 0.06, 0.15, 0.20, 0.50, 0.10, typos=0.012, shouting=0.25, full_stop="!"),
    "chatty": Voice(0.03, 0.45, 0.45, 0.55, 0.30, 0.40, typos=0.008, abbreviations=0.02),
    "sloppy": Voice(0.24, 0.18, 0.10, 0.18, 0.18, 0.12, typos=0.06, abbreviations=0.35, lower_case=0.9, full_stop=".."),
    "hasty": Voice(0.32, 0.14, 0.06, 0.15, 0.08, 0.14, typos=0.07, abbreviations=0.10, lower_case=0.3),
}
VOICE_SHARES = {"plain": 27, "polite": 17, "terse": 14, "angry": 12, "chatty": 11, "sloppy": 10, "hasty": 9}


def build() -> tuple[bytes, bytes]:
    """The two files' bytes: rows and truth."""
    rng = Random(SEED)
    customers = make_customers(rng)
    index = NearIndex(MAX_COMPOSED_JACCARD)
    rows = compose_rows(rng, customers, index)
    rows, truth = plant_defects(rows, rng, [customer.id for customer in customers])
    rows.sort(key=lambda row: row.date)  # stable: ties keep the order in which they were made
    for number, row in enumerate(rows, start=1):
        row.id = f"T{number:05d}"
    return rows_bytes(rows), truth_bytes(truth, rows)


def rows_bytes(rows: list[Row]) -> bytes:
    lines = [
        json.dumps(
            {
                "id": row.id,
                "text": row.text,
                "label": row.label,
                "customer": row.customer,
                "date": row.date.isoformat(),
            },
            ensure_ascii=False,
        )
        for row in rows
    ]
    return ("\n".join(lines) + "\n").encode()


def truth_bytes(truth: Truth, rows: list[Row]) -> bytes:
    kinds = truth.by_id()
    counts = {kind: len(entries) for kind, entries in kinds.items()}
    labels = Counter(row.label for row in rows)
    record = {"rows": len(rows), "counts": counts, "labels": dict(sorted(labels.items())), **kinds}
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode()


def make_customers(rng: Random) -> list[Customer]:
    voices = rng.choices(list(VOICE_SHARES), list(VOICE_SHARES.values()), k=NUM_CUSTOMERS)
    return [
        Customer(
            id=f"C{number:04d}",
            name=rng.choice(words.FIRST_NAMES),
            surname=rng.choice(words.SURNAMES),
            home=rng.choice(words.PLACES),
            phone=f"{coin_brand(rng)} {rng.choice(words.PHONE_TAILS)}",
            currency=rng.choice(["£{}", "£{}", "£{}", "€{}", "{} €", "{} euros", "${}", "{} quid", "{}"]),
            voice=voice,
        )
        for number, voice in enumerate(voices, start=1)
    ]


def compose_rows(rng: Random, customers: list[Customer], index: NearIndex) -> list[Row]:
    """One row per message, near to no other; the label decides the topic, the customer the voice."""
    counts = [rng.choices([1, 2, 3, 4, 5, 12], [22, 32, 27, 10, 6, 2])[0] for _ in customers]
    writers = [customer for customer, count in zip(customers, counts, strict=True) for _ in range(count)]
    writers += rng.choices(customers, k=max(0, NUM_COMPOSED - len(writers)))
    rng.shuffle(writers)
    labels = rng.choices(list(LABEL_SHARES), list(LABEL_SHARES.values()), k=NUM_COMPOSED)
    rows = []
    for customer, label in zip(writers[:NUM_COMPOSED], labels, strict=True):
        row = compose(rng, customer, label)
        while not index.add(row.text):
            row = compose(rng, customer, label)
        rows.append(row)
    return rows


def compose(rng: Random, customer: Customer, label: str) -> Row:
    voice = VOICES[customer.voice]
    parts = fragment(rng, label) if rng.random() < voice.fragment else full_message(rng, voice, label)
    scene = make_scene(rng, customer, label)
    sentences = [dress(rng, expand(scene, part), voice) for part in parts]
    for at, sentence in enumerate(sentences):
        if at == 0 or sentences[at - 1][-1] in ".?!":
            sentences[at] = sentence[:1].upper() + sentence[1:]
    sentences[-1] = sentences[-1].rstrip(" ,-")
    if rng.random() < voice.lower_case:
        sentences = [sentence.lower() for sentence in sentences]
    when = FIRST_DAY + datetime.timedelta(days=rng.randrange(NUM_DAYS))
    return Row(text=" ".join(sentences), label=label, customer=customer.id, date=when, sentences=sentences)


def make_scene(rng: Random, customer: Customer, label: str) -> Scene:
    topics = [label, *TOPICS]
    return Scene(
        rng=rng,
        customer=customer,
        noun=rng.choice(words.MACHINES if label == "repair" or rng.random() < 0.4 else words.GOODS),
        brand=coin_brand(rng),
        colour=rng.choice(words.COLOURS),
        order=order(rng),
        person=rng.choice(words.PEOPLE),
        topic=rng.choice(topics),
    )


def fragment(rng: Random, label: str) -> list[str]:
    parts = [pick(rng, TOPICS[label].short)]
    if rng.random() < 0.45:
        other = TOPICS[rng.choice(list(TOPICS))]
        extra: list[str | list[str]] = [
            TOPICS[label].ask,
            words.GENERIC_ASKS,
            words.FEELINGS,
            words.BACKGROUND,
            words.ROUTING,
            other.aside,
        ]
        parts.append(pick(rng, rng.choice(extra)))
    return parts


def full_message(rng: Random, voice: Voice, label: str) -> list[str]:
    """Grammars of one message in order: small talk, what happened, perhaps another topic, a request."""
    head = [pick(rng, words.GREETINGS) + rng.choice([",", ",", ",", ".", "!"])] if rng.random() < voice.greeting else []
    head += [pick(rng, words.OPENERS)] if rng.random() < voice.opener else []
    head += [pick(rng, words.ROUTING)] if rng.random() < ROUTING_SHARE else []
    indirect = rng.random() < INDIRECT_SHARE
    core = heart(rng, voice, label, indirect=indirect)
    tail = [pick(rng, words.FEELINGS)] if rng.random() < voice.feeling else []
    roll = rng.random()
    if roll < 0.30 and not indirect:
        tail.append(pick(rng, TOPICS[label].ask))
    elif roll < 0.55:
        tail.append(pick(rng, words.GENERIC_ASKS))
    if rng.random() < 0.25:
        rng.shuffle(tail)
    if tail and rng.random() < 0.18:
        core[-1] += rng.choice([", ", " so ", ", ", " - "]) + tail.pop(0)
    tail += [pick(rng, words.CLOSERS)] if rng.random() < voice.closer else []
    return head + core + tail


def heart(rng: Random, voice: Voice, label: str, *, indirect: bool) -> list[str]:
    """What happened, with what stands around it."""
    topic, other = TOPICS[label], TOPICS[rng.choice([name for name in TOPICS if name != label])]
    core = [pick(rng, topic.indirect if indirect else topic.direct)]
    if rng.random() < 0.10 and not indirect:
        core.append(pick(rng, topic.indirect))
    if rng.random() < voice.background:
        core = beside(rng, core, pick(rng, words.BACKGROUND), rng.choice([", and ", ", ", " but "]))
    if rng.random() < ASIDE_SHARE:
        lead = rng.choice(["", "", "", "[by the way|just so you know], "])
        core = beside(rng, core, lead + pick(rng, other.aside), rng.choice([", but ", " but ", ", however "]))
    if rng.random() < SECOND_TOPIC_SHARE:
        second = pick(rng, rng.choice([other.direct, other.indirect, other.ask]))
        core.append(rng.choice(["", "", "also, ", "second thing: ", "and "]) + second)
    return core


def beside(rng: Random, core: list[str], extra: str, joint: str) -> list[str]:
    """The extra sentence before the core, run into its first sentence, or after it."""
    roll = rng.random()
    if roll < 0.35:
        return [extra, *core]
    if roll < 0.65:
        return [extra + joint + core[0], *core[1:]]
    return [*core, extra]


def pick(rng: Random, grammar: str | list[str]) -> str:
    return rng.choice(grammar.strip().splitlines() if isinstance(grammar, str) else grammar)


def dress(rng: Random, sentence: str, voice: Voice) -> str:
    """One sentence in a voice: abbreviations, typos, capitals, the mark at its end."""
    sentence = " ".join(misspell(rng, abbreviate(rng, token, voice), voice) for token in sentence.split(" "))
    if rng.random() < voice.shouting * 0.4:
        sentence = sentence.upper()
    if sentence[-1] in "?!.,":
        return sentence
    if QUESTION.match(sentence):
        return sentence + rng.choice(["?", "?", "?", "??" if voice.shouting else "?", voice.full_stop])
    unusual = [",", " -", "...", "!"]
    return sentence + (rng.choice(unusual) if rng.random() < 0.12 else voice.full_stop)


def abbreviate(rng: Random, token: str, voice: Voice) -> str:
    short = words.ABBREVIATIONS.get(token.lower())
    return short if short and rng.random() < voice.abbreviations else token


def misspell(rng: Random, token: str, voice: Voice) -> str:
    """Swap, drop or double one inner letter of a word of four letters or more."""
    if len(token) < 4 or not token.isalpha() or rng.random() >= voice.typos:
        return token
    at = rng.randrange(1, len(token) - 1)
    kind = rng.choice(["swap", "drop", "double"])
    if kind == "swap":
        return token[:at] + token[at + 1] + token[at] + token[at + 2 :]
    return token[:at] + (token[at] * 2 if kind == "double" else "") + token[at + 1 :]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    args = parser.parse_args()
    made = dict(zip((ROWS_PATH, TRUTH_PATH), build(), strict=True))
    if args.check:
        stale = [path.name for path, data in made.items() if not path.exists() or path.read_bytes() != data]
        print(
            f"differs from what the script makes: {', '.join(stale)}"
            if stale
            else "both files are what the script makes"
        )
        return 1 if stale else 0
    for path, data in made.items():
        path.write_bytes(data)
        print(f"{path.name}: {len(data):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
