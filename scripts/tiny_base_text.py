"""The text the tiny base model is pre-trained on: running text, messages, and classification prompts.
Knows the lexicon; must never read the sample data set, nor use a text-only topic as an answer.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from tiny_base_topics import Topic, past, plural, progressive, read_topics

USER, ASSISTANT, SYSTEM, END = "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"

CONSONANTS, VOWELS = "bcdfghjklmnprstvwxz", "aeiou"
FRAMES_PATH = Path(__file__).with_name("tiny_base_frames.txt")


def read_frames(path: Path = FRAMES_PATH) -> dict[str, list[str]]:
    """Frames by kind, in the order of the file."""
    frames: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            frames[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            frames[list(frames)[-1]].append(line)
    return frames


class Writer:
    """Writes documents from a seed; the same seed and lexicon give the same documents."""

    def __init__(self, seed: int, topics: list[Topic] | None = None) -> None:
        self.rng = random.Random(seed)
        self.topics = topics or read_topics()
        self.labelled = [topic for topic in self.topics if topic.role == "label"]
        self.frames = read_frames()

    def documents(self, *, max_turns: int = 6) -> Iterator[str]:
        """Endless documents, special tokens written out; prompts have up to `max_turns` user turns."""
        kinds: list[tuple[float, Callable[[], str]]] = [
            (0.26, self.running),
            (0.16, self.word_list),
            (0.02, self.plain_message),
            (0.02, self.dialogue),
            (0.28, lambda: self.classification(1)),
            (0.26, lambda: self.classification(self.rng.randint(2, max_turns))),
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
        opening = USER if self.rng.random() < 0.4 else ""
        return opening + " ".join(self.sentence(kind, topic) for kind in kinds) + END

    def word_list(self) -> str:
        """Words of one topic in a row, the topic's name somewhere among them."""
        topic = self._any_topic()
        row = self._some_words(topic, self.rng.randint(5, 14))
        for _ in range(self.rng.choice([1, 1, 2])):
            row.insert(self.rng.randint(0, len(row)), topic.name)
        opening = USER if self.rng.random() < 0.4 else ""
        return opening + self.rng.choice([", ", " ", " and "]).join(row) + END

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

    def classification(self, num_turns: int, topics: list[Topic] | None = None, *, plain_names: bool = False) -> str:
        """A classification prompt with its answers: `num_turns` − 1 demonstrations and one more row."""
        rng = self.rng
        chosen = topics or rng.sample(self.labelled, rng.randint(2, 12))
        names = {topic.name: topic.name if plain_names else self._label(topic) for topic in chosen}
        instruction = rng.choice(self.frames["question"])
        if rng.random() < 0.6:
            instruction += " " + rng.choice(self.frames["list"]).format(l=self._listing(list(names.values())))
        turns = []
        for turn in range(num_turns):
            topic = rng.choice(chosen)
            text = self.message(topic, avoid=names[topic.name])
            head = instruction + "\n\n" if turn == 0 else ""
            turns.append(f"{USER}{head}{text}{END}{ASSISTANT}{names[topic.name]}{END}")
        return "".join(turns)

    def message(self, topic: Topic, avoid: str = "") -> str:
        """A text of a topic, mostly without its name: sentences or a few words amid noise, typos, a second topic."""
        rng = self.rng
        if rng.random() < 0.12:
            return " ".join(word for word in self._some_words(topic, rng.randint(3, 8)) if word != avoid)
        if rng.random() < 0.45:
            kind = "message" if rng.random() < 0.75 else "story"
            sentences = [self.sentence(kind, topic, avoid) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
        else:
            hidden = [word for word in self._some_words(topic, rng.choice([2, 3, 3, 4, 5])) if word != avoid]
            sentences = [self._babble(hidden)]
        if rng.random() < 0.1:
            sentences.append(self._babble([avoid or topic.name]))
        if rng.random() < 0.2:
            other = rng.choice(self.topics)
            sentences.append(self._babble([rng.choice([other.name, *other.nouns])]))
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            noise = self.sentence("noise", topic) if rng.random() < 0.3 else self._babble([])
            sentences.insert(rng.randint(0, len(sentences)), noise)
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
        """One sentence from a frame of the kind, its slots filled from the topic without `avoid`."""
        rng = self.rng
        frame = rng.choice(self.frames[kind])
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
            "x": rng.choice(self.frames["thing"]),
            "w": rng.choice(self.frames["person"]),
            "t": rng.choice(self.frames["time"]),
            "o": rng.choice(self.frames["product"]),
            "c": rng.choice(self.frames["colour"]),
            "q": str(int(10 ** rng.uniform(0.3, 4))),
        }
        text = frame.format_map(slots)
        return text[0].upper() + text[1:] if rng.random() < 0.8 else text

    def _any_topic(self) -> Topic:
        """Any topic; those of running text only come more often, for they have no other place."""
        draw = self.rng.random()
        role = "text" if draw < 0.4 else "held" if draw < 0.55 else "label"
        return self.rng.choice([topic for topic in self.topics if topic.role == role])

    def _some_words(self, topic: Topic, num_words: int) -> list[str]:
        kinds: list[Callable[[str], str]] = [str, str, str, plural]
        nouns = [
            self.rng.choice(kinds)(noun) for noun in self.rng.sample(topic.nouns, min(num_words, len(topic.nouns)))
        ]
        forms: list[Callable[[str], str]] = [str, str, past, progressive]
        verbs = [self.rng.choice(forms)(verb) for verb in topic.verbs]
        row = nouns + verbs + list(topic.adjectives)
        self.rng.shuffle(row)
        return row[:num_words]

    def _label(self, topic: Topic) -> str:
        return topic.name if self.rng.random() < 0.5 else self.rng.choice(topic.nouns)

    def _listing(self, names: list[str]) -> str:
        self.rng.shuffle(names)
        style = self.rng.random()
        if style < 0.7:
            return ", ".join(names)
        if style < 0.85:
            return ", ".join(names[:-1]) + " or " + names[-1]
        return " / ".join(names)

    def _babble(self, hidden: list[str]) -> str:
        """Common and strange words in no order, which must come to mean no topic, and the hidden words among them."""
        rng = self.rng
        words = rng.choices(self.frames["common"], k=rng.randint(2, 10))
        if rng.random() < 0.4:
            words.insert(rng.randint(0, len(words)), self._strange())
        for word in hidden:
            words.insert(rng.randint(0, len(words)), word)
        text = " ".join(words)
        if rng.random() < 0.5:
            text = text[0].upper() + text[1:]
        return text + rng.choice([".", ".", ",", "", "?", "!"])

    def _strange(self) -> str:
        """A made-up name, a code, an amount or a date."""
        rng = self.rng
        name = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(2, 3))) + rng.choice(
            CONSONANTS
        )
        number = str(int(10 ** rng.uniform(0.3, 5)))
        return rng.choice(
            [
                name,
                name.capitalize(),
                name.capitalize(),
                number,
                "#" + number,
                name[:3].upper() + number,
                rng.choice("€$£") + number,
                f"{rng.randint(1, 28)}/{rng.randint(1, 12)}",
            ]
        )

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
