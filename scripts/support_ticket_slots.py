"""Who writes about what: customers, the scene of one message, and the words that fill a grammar's `{slots}`.

It knows nothing of topics' grammars, files or defects.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import support_ticket_words as words


@dataclass(frozen=True)
class Customer:
    id: str
    name: str
    surname: str
    home: str
    phone: str
    currency: str
    voice: str  # a key of the script's VOICES


@dataclass(frozen=True)
class Scene:
    """What one message is about: the same thing, order and person wherever it names them."""

    rng: Random
    customer: Customer
    noun: str
    brand: str
    colour: str
    order: str
    person: str
    topic: str


def expand(scene: Scene, grammar: str) -> str:
    """Choose between `[a|b]`, innermost first, then fill `{slot}`, then mend spaces and articles."""
    while "[" in grammar:
        grammar = re.sub(r"\[([^\[\]]*)\]", lambda found: scene.rng.choice(found[1].split("|")), grammar)
    text = re.sub(r"\{(\w+)\}", lambda found: SLOTS[found[1]](scene), grammar)
    text = re.sub(r"\s+([,.?!]|$)", r"\1", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r",[\s,]+,|,,", ",", text)
    text = re.sub(r"\b[Oo]n (yesterday|tomorrow|last|next|month's)\b", r"\1", text)
    text = re.sub(r"\b([Aa]) (?=[aeioAEIO][a-zA-Z-])(?!one)", r"\1n ", text)
    return re.sub(
        r"\b(the|my|your|our) (the|my|your|our)\b",
        r"\2",
        re.sub(r"\b(\w{4,}) \1\b", r"\1", text.lstrip(", ")),
    )


def coin_brand(rng: Random) -> str:
    return rng.choice(words.BRAND_HEADS) + rng.choice(words.BRAND_TAILS)


def item(scene: Scene) -> str:
    forms = [
        scene.noun,
        scene.noun,
        scene.noun,
        f"{scene.brand} {scene.noun}",
        f"{scene.colour} {scene.noun}",
        scene.brand,
    ]
    return scene.rng.choice(forms)


def plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def model(scene: Scene) -> str:
    rng = scene.rng
    letters = "".join(rng.choices(words.MODEL_LETTERS, k=2))
    plain = f"{letters}{rng.randrange(10, 999)}"
    return rng.choice([plain, f"{scene.brand} {letters[0]}-{rng.randrange(100, 9000)}", f"{scene.brand} {plain}"])


def order(rng: Random) -> str:
    number = rng.randrange(10000, 99999)
    forms = [
        f"#{number}",
        f"{number}",
        f"SO-{number}",
        f"no. {number}",
        f"{number}-{rng.choice('ABCDE')}",
        f"WEB{number}",
    ]
    return rng.choice(forms)


def amount(scene: Scene) -> str:
    rng = scene.rng
    whole = rng.choice([rng.randrange(3, 40), rng.randrange(20, 200), rng.randrange(100, 900)])
    cents = rng.choice(["", "", ".99", ".50", ".95", f".{rng.randrange(10, 99)}"])
    return scene.customer.currency.format(f"{whole}{cents}")


def date(scene: Scene) -> str:
    rng = scene.rng
    month, day = rng.choice(words.MONTHS), rng.randrange(4, 21)
    weekday = rng.choice(words.WEEKDAYS)
    forms = [
        f"{day} {month}",
        f"{month} {day}",
        f"{day:02d}/{rng.randrange(1, 13):02d}",
        f"the {day}th",
        weekday,
    ]
    return rng.choice([*forms, weekday, f"last {weekday}", "yesterday", f"{weekday} morning", f"{month[:3]} {day}"])


def soon(scene: Scene) -> str:
    rng = scene.rng
    weekday, day = rng.choice(words.WEEKDAYS), rng.randrange(4, 21)
    return rng.choice(
        [
            weekday,
            weekday,
            f"next {weekday}",
            f"the {day}th",
            f"{day} {rng.choice(words.MONTHS)}",
            "tomorrow",
            "month's end",
        ]
    )


def ago(scene: Scene) -> str:
    count = scene.rng.choice(["two", "three", "four", "five", "six", "10", "3", "2"])
    forms = [
        f"{count} weeks ago",
        f"{count} days ago",
        f"{count} months ago",
        "last month",
        "a week ago",
        "ages ago",
        "a while ago",
    ]
    return scene.rng.choice(forms)


def street(scene: Scene) -> str:
    name = scene.rng.choice(words.STREET_HEADS) + scene.rng.choice(words.STREET_TAILS)
    return f"{scene.rng.randrange(1, 180)} {name} {scene.rng.choice(words.STREET_KINDS)}"


def company(scene: Scene) -> str:
    founder = scene.rng.choice([coin_brand(scene.rng), scene.rng.choice(words.SURNAMES)])
    return f"{founder} {scene.rng.choice(words.COMPANY_TAILS)}"


def email(scene: Scene) -> str:
    customer = scene.customer
    return f"{customer.name[0]}.{customer.surname}@{scene.rng.choice(words.MAIL_HOSTS)}".lower()


def drawn(values: list[str]) -> Callable[[Scene], str]:
    return lambda scene: scene.rng.choice(values)


def coined(tails: list[str]) -> Callable[[Scene], str]:
    return lambda scene: f"{coin_brand(scene.rng)} {scene.rng.choice(tails)}"


SLOTS: dict[str, Callable[[Scene], str]] = {
    "ago": ago,
    "amount": amount,
    "bank": coined(words.BANK_TAILS),
    "brand": lambda scene: scene.brand,
    "browser": drawn(words.BROWSERS),
    "carrier": coined(words.CARRIER_TAILS),
    "code": lambda scene: f"{scene.rng.choice(words.CODE_WORDS)}{scene.rng.choice([5, 10, 15, 20, 25, 30])}",
    "colour": lambda scene: scene.colour,
    "company": company,
    "date": date,
    "email": email,
    "home": lambda scene: scene.customer.home,
    "item": item,
    "me": lambda scene: scene.customer.name,
    "mm": lambda scene: f"{scene.rng.randrange(60):02d}",
    "model": model,
    "month": drawn(words.MONTHS),
    "my_phone": lambda scene: scene.customer.phone,
    "my_surname": lambda scene: scene.customer.surname,
    "n": drawn(words.SMALL_NUMBERS),
    "name": drawn(words.FIRST_NAMES),
    "noun": lambda scene: scene.noun,
    "nouns": lambda scene: plural(scene.noun),
    "occasion": drawn(words.OCCASIONS),
    "order": lambda scene: scene.order,
    "order_word": drawn(words.ORDER_WORDS),
    "person": lambda scene: scene.person,
    "person_bare": lambda scene: scene.person.split(" ", 1)[1],
    "phone": lambda scene: scene.rng.choice(["phone", "tablet", "iPad", scene.customer.phone, scene.customer.phone]),
    "place": drawn(words.PLACES),
    "plan": drawn(words.PLANS),
    "soon": soon,
    "social": drawn(words.SOCIALS),
    "street": street,
    "surname": drawn(words.SURNAMES),
    "topic": lambda scene: scene.topic,
    "yy": lambda scene: str(scene.rng.randrange(10, 25)),
}
