"""The text the tiny base model is pre-trained on: running text, messages, and classification prompts.
Knows the lexicon; must never read the sample data set, nor use a text-only topic as an answer.
"""

import random
from collections.abc import Callable, Iterator

from tiny_base_topics import Topic, past, plural, progressive, read_topics

USER, ASSISTANT, SYSTEM, END = "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"

# Slots: N name of the topic; n, m nouns; s plural; v verb; d past; g ing-form; a adjective;
# x a thing, w a person, t a time, o a product, q a number. Constant runs stay short on purpose.
NAMING = """
{N} means {s}, {g} and a {n}.|{N} is a matter of {s}.|The world of {N} knows the {n} and the {m}.|A {n} belongs to {N}.
Where there is {N} there is a {n}.|Think of {N}: {n}, {m}, {a}.|Few talk of {N} without {s}.|{n}, {m} and {s}, in short {N}.
{s} and {s}: such is {N}.|A {a} {n} says much about {N}.|Experts on {N} like to {v}.|We {v} whenever {N} comes up.
{N} without a {n} is hard to imagine.|He explained {N} with a {n}.|Old books on {N} mention the {a} {n}.|{w} teaches {N} and {v}s.
{g} and a {n} make up {N}.|To {v} is the heart of {N}.|From {n} to {m}, everything here is {N}.|{a} {s} are typical of {N}.
The {n}, the {m}, the {a} {s} all stand for {N}.|You {v}, they {d}, and that was {N}.|All about {N}, the {n} above all.
{N} ({n}, {m}, {s}).|{n}, {m}, {n}, {a}, {v}: {N}.|{N}, that is {n}, {m}, {a}, {g}.|Chapter {q}, {N}: the {n} and how to {v}.
Whoever {d} the {n} learned {N}.|{t} the talk was of {N}, of {s} and a {m}.|Such {s} occur in {N}.|So much for {N}.
This all falls under {N}.|These were words of {N}.|{N} again.|Once more {N}, once more a {n}.|Another day full of {N}.
""".replace("\n", "|")
STORY = """
The {n} was {a} {t}.|{w} {d} the {n}.|Some {s} were {a}.|A {a} {n} lay beside the {m}.|Nobody {d} {t}.|They {d} and {d} all day.
After the {n} came the {m}.|{s} need a {n}.|Without {g} no {n}.|It takes {q} {s}.|One {n}, two {s}, a {m}.|The {n} and the {m} met {w}.
{w} wanted to {v} but the {n} seemed {a}.|Most {s} look {a} {t}.|If you {v} the {n}, keep the {m}.|How {a} the {n} looked!|Is a {n} more than a {m}?|The {a} one {d} first.|Every {n} has its {m}.|{n} by {n} they {d}.
{t} {w} found a {n} near the {m}.|{n}, {m}, {n}.|{a} and {a}.|A few {s} remained.|The rest was {g}.|{w} bought {q} {s}.
""".replace("\n", "|")
MESSAGE = """
My {n} is {a}.|I {d} the {n} {t}.|I tried to {v} {t} but the {m} stays {a}.|Do you {v} {s}?|Can somebody {v} my {n}?|Is the {n} {a} or not?
The {n} on my {o} seems {a}.|I am {g} and need a {n}.|Why is the {n} {a}?|{w} says the {n} needs a {m}.|Nobody {d} it.|It never {d}.
I want to {v}.|Please {v} the {n}.|Will you {v} it for {w}?|About my {o}: the {n}, please.|I bought the {o} and then I {d} it.
How do I {v} a {n}?|Where is my {n}?|I still have no {n}.|What about the {n} for the {o}?|My {o} came with a {a} {n}.|The {n} was {a} since {t}.
{w} would like to {v}.|I cannot {v} anything.|You {d} my {n} {t}.|There is no {n}, only a {m}.|{a} {n}, {a} {m}.|I keep {g} and nothing happens.
I saw the {n} on {t} with {q} {s}.|The {o} is fine but the {n} is {a}.|I do not see any {n}.|Somebody should {v} this {n}.|Need to {v} fast.
Number {q}, {n} {a}.|{n}?|Still {a}!|Hoping to {v} {t}.|{q} {s} and no {m}.|Has {w} {d} the {n} yet?|Before I {v} I want a {n}.
Could {w} {v} the {m} too?|I {d} {q} times.|It was never {a} before.|My {n}, my {m}, all {a}.|When will {w} {v}?|Tell me how {g} works.
""".replace("\n", "|")
NOISE = """
Hello.|Hi there.|Dear all.|Good day.|Thanks.|Cheers.|Kind regards.|It is {t}.|{w} told me about {x}.|We spoke {t}.|My number: {q}.|Order {q}.
I have a {o}.|The {o} is for {w}.|I live with {w}.|{t} I bought a {o}.|I like the {o}.|No idea about {x}.|Not happy.|So annoying.|It matters to {w}.
I called {t}.|I wrote {t} to {w}.|Nobody answered.|Sorry for {x}.|A question.|Quick one.|Well.|Anyway.|What now?|Any news?|Please tell {w}.
That took {q} days.|I was away {t}.|I saw {x} online.|We waited {t}.|{w} is ill.|It is about the {o}.|This is the {q} time.|Let {w} know.
I use the app and the site.|Reference {q}.|The {o}, colour {c}.|Bye.|Sent from {w}.|I got {x} by email.|The team was friendly.|I am sure {w} knows {x}.
""".replace("\n", "|")
THINGS = """the reason|an answer|this thing|the problem|the situation|your shop|the website|the app|my order|the email|the message
this matter|the other one|the whole story|a friend|the service|my item|your product|the team|the company|a question|some help""".replace(
    "\n", "|"
)
PEOPLE = """my wife|my brother|our neighbour|the lady|a colleague|my son|my mother|someone|the man|your team|a friend|support
the customer|my husband|grandma|the kids|our boss|the clerk|my sister|the staff""".replace("\n", "|")
TIMES = """yesterday|today|this morning|last week|on Monday|on Friday|in March|in June|two weeks ago|again|now|at night|last month
since Tuesday|this year|every day|days ago|soon|tomorrow|at noon|on the weekend|for weeks|lately|already""".replace(
    "\n", "|"
)
PRODUCTS = """lamp|kettle|jacket|chair|headphones|boots|bag|watch|tablet|phone|laptop|toaster|table|shirt|bike|blender|camera|mixer
speaker|coat|monitor|heater|fan|vacuum|washing machine|fridge|mattress|rug|tent|backpack|drill|mower|oven|keyboard|desk
sofa|bed|book|toy|game|box|trousers|dress|shoes|hat|umbrella|curtains|clock|radio|scooter""".replace(
    "\n", "|"
)
COLOURS = "red|blue|green|black|white|grey|brown|yellow|silver|pink"

QUESTIONS = """
Name the topic.|Which topic is this?|What is this text about?|Give the subject.|Assign a category to the text.|Sort this text.
Find the theme.|Pick the best topic.|Say what the writer means.|Label the following text.|Choose a label.|What is the person writing about?
Decide on the category.|Which field fits?|Tell the subject of the note.|Determine the topic of the sentence.|Tag this.|Put the text in a group.
What kind of text is it?|Answer with the topic.|One topic for each text.|Read and name the category.|Where does this belong?|Route the request.
What is the concern?|Select the right class.|Identify the theme of the message.|Categorise what follows.|To which department does it go?
What does the sender need?|The subject in a word or two.|Classify this text by topic.|Which class does the customer's note have?
State the intent.|Match the text with a topic.|Give each message its label.|What is wanted here?|Detect the subject.
""".replace("\n", "|")
LISTS = """ Options: {l}.| Choose from: {l}.| One of {l}.| Topics: {l}.| Labels: {l}.| Possible answers: {l}.| It is one of these: {l}.
 Answer only with one of {l}.| Categories: {l}| The choices are {l}.| Pick one: {l}.| Use one of the labels {l}.| ({l})| Say {l}.""".replace(
    "\n", "|"
)
REPLIES = "Then {v} the {n}.|The {n} is {a}.|A {m} helps.|We {d} it.|Take a {n} and {v}.|It is {a}.|Only the {m}.|{s} or {s}."


def _split(frames: str) -> list[str]:
    return [frame for frame in frames.split("|") if frame.strip()]


class Writer:
    """Writes documents from a seed; the same seed and lexicon give the same documents."""

    def __init__(self, seed: int, topics: list[Topic] | None = None) -> None:
        self.rng = random.Random(seed)
        self.topics = topics or read_topics()
        self.labelled = [topic for topic in self.topics if topic.role == "label"]
        self.text_only = [topic for topic in self.topics if topic.role != "label"]
        self.pools = {
            "naming": _split(NAMING),
            "story": _split(STORY),
            "message": _split(MESSAGE),
            "noise": _split(NOISE),
            "reply": _split(REPLIES),
        }
        self.things, self.people, self.times = _split(THINGS), _split(PEOPLE), _split(TIMES)
        self.products, self.colours = _split(PRODUCTS), _split(COLOURS)
        self.questions, self.lists = _split(QUESTIONS), _split(LISTS)

    def documents(self, *, max_turns: int = 6) -> Iterator[str]:
        """Endless documents, special tokens written out; few-shot prompts have up to `max_turns` user turns."""
        kinds: list[tuple[float, Callable[[], str]]] = [
            (0.22, self.running),
            (0.12, self.word_list),
            (0.04, self.plain_message),
            (0.02, self.dialogue),
            (0.30, lambda: self.classification(1)),
            (0.30, lambda: self.classification(self.rng.randint(2, max_turns))),
        ]
        weights, makers = [weight for weight, _ in kinds], [maker for _, maker in kinds]
        while True:
            yield self.rng.choices(makers, weights)[0]()

    def running(self) -> str:
        """A paragraph about one topic, any topic, in which the topic's name stands among its words."""
        topic = self._any_topic()
        kinds = self.rng.choices(["naming", "story", "message"], [5, 3, 3], k=self.rng.randint(2, 6))
        kinds[self.rng.randrange(len(kinds))] = "naming"
        if self.rng.random() < 0.5:
            kinds[-1] = "naming"
        return " ".join(self.sentence(kind, topic) for kind in kinds) + END

    def word_list(self) -> str:
        """Words of one topic in a row, the topic's name somewhere among them."""
        topic = self._any_topic()
        row = self._some_words(topic, self.rng.randint(5, 14))
        for _ in range(self.rng.choice([1, 1, 2])):
            row.insert(self.rng.randint(0, len(row)), topic.name)
        return self.rng.choice([", ", " ", " and "]).join(row) + END

    def plain_message(self) -> str:
        """A message about any topic, standing alone."""
        return self.message(self.rng.choice(self.topics)) + END

    def dialogue(self) -> str:
        """A short conversation about a topic that may be an answer."""
        topic = self.rng.choice(self.labelled)
        opening = f"{SYSTEM}{self.sentence('noise', topic)}{END}" if self.rng.random() < 0.3 else ""
        turns = [
            f"{USER}{self.sentence('message', topic)}{END}{ASSISTANT}{self.sentence('reply', topic)}{END}"
            for _ in range(self.rng.randint(1, 3))
        ]
        return opening + "".join(turns)

    def classification(
        self, num_turns: int, topics: list[Topic] | None = None, *, plain_names: bool = False
    ) -> str:
        """A classification prompt with its answers: `num_turns` − 1 demonstrations and one more row."""
        rng = self.rng
        chosen = topics or rng.sample(self.labelled, rng.randint(2, 12))
        names = {topic.name: topic.name if plain_names else self._label(topic) for topic in chosen}
        instruction = rng.choice(self.questions)
        if rng.random() < 0.6:
            instruction += rng.choice(self.lists).format(l=self._listing(list(names.values())))
        turns = []
        for turn in range(num_turns):
            topic = rng.choice(chosen)
            text = self.message(topic, avoid=names[topic.name])
            head = instruction + "\n\n" if turn == 0 else ""
            turns.append(f"{USER}{head}{text}{END}{ASSISTANT}{names[topic.name]}{END}")
        return "".join(turns)

    def message(self, topic: Topic, avoid: str = "") -> str:
        """A text of a topic without its name: a message or a story, noise around it, at times a second topic or typos."""
        rng = self.rng
        if rng.random() < 0.2:
            return " ".join(word for word in self._some_words(topic, rng.randint(3, 8)) if word != avoid)
        kind = "message" if rng.random() < 0.75 else "story"
        sentences = [self.sentence(kind, topic, avoid) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4]))]
        if len(sentences) > 1 and rng.random() < 0.3:
            sentences.append(self.sentence(kind, rng.choice(self.topics), avoid))
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
            sentences.insert(rng.randint(0, len(sentences)), self.sentence("noise", topic))
        text = " ".join(sentences)
        draw = rng.random()
        if draw < 0.15:
            text = text.lower()
        elif draw < 0.25:
            text = text.replace(".", "").replace(",", "").lower()
        elif draw < 0.4:
            text = " ".join(self._mistype(word) for word in text.split(" "))
        return text

    def sentence(self, kind: str, topic: Topic, avoid: str = "") -> str:
        """One sentence from a frame of the kind, its slots filled with words of the topic other than `avoid`."""
        rng = self.rng
        frame = rng.choice(self.pools[kind])
        nouns = [noun for noun in rng.sample(topic.nouns, 4) if noun != avoid]
        verbs, adjectives = topic.verbs, topic.adjectives
        slots = {
            "N": topic.name,
            "n": nouns[0],
            "m": nouns[1],
            "s": plural(nouns[2]),
            "v": rng.choice(verbs),
            "d": past(rng.choice(verbs)),
            "g": progressive(rng.choice(verbs)),
            "a": rng.choice(adjectives),
            "x": rng.choice(self.things),
            "w": rng.choice(self.people),
            "t": rng.choice(self.times),
            "o": rng.choice(self.products),
            "c": rng.choice(self.colours),
            "q": str(int(10 ** rng.uniform(0.3, 4))),
        }
        text = frame.strip("\n").format_map(slots)
        return text[0].upper() + text[1:] if rng.random() < 0.8 else text

    def _any_topic(self) -> Topic:
        """Any topic; those of running text only come more often, for they have no other place."""
        return self.rng.choice(self.topics if self.rng.random() < 0.65 else self.text_only or self.topics)

    def _some_words(self, topic: Topic, num_words: int) -> list[str]:
        kinds = [str, str, str, plural]
        nouns = [
            self.rng.choice(kinds)(noun)
            for noun in self.rng.sample(topic.nouns, min(num_words, len(topic.nouns)))
        ]
        verbs = [self.rng.choice([str, str, past, progressive])(verb) for verb in topic.verbs]
        row = nouns + verbs + list(topic.adjectives)
        self.rng.shuffle(row)
        return row[:num_words]

    def _label(self, topic: Topic) -> str:
        return topic.name if self.rng.random() < 0.75 else self.rng.choice(topic.nouns)

    def _listing(self, names: list[str]) -> str:
        self.rng.shuffle(names)
        style = self.rng.random()
        if style < 0.7:
            return ", ".join(names)
        if style < 0.85:
            return ", ".join(names[:-1]) + " or " + names[-1]
        return " / ".join(names)

    def _mistype(self, word: str) -> str:
        rng = self.rng
        if len(word) < 4 or rng.random() > 0.08:
            return word
        at = rng.randrange(1, len(word) - 1)
        return rng.choice(
            [
                word[:at] + word[at + 1 :],
                word[: at + 1] + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            ]
        )
