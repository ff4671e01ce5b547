"""Preferences and profile: the question, what a text says the contact likes, and keeping it; it texts nobody itself."""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.outreach import codes
from bot.outreach.words import COURTESY, bare, without_courtesy
from bot.shop.shopfile import CodePool, Content, Preference
from bot.tables import Contact
from bot.values import Changed, IssueCode, Say, SetPreference, SetProfile, ShopText, Value

#: Answers every preference knows besides its own choices.
BOTH, NEITHER = "both", "neither"

_FILLERS = COURTESY | frozenset(
    [
        *("i", "im", "id", "ill", "am", "be", "is", "it", "its", "that", "thats", "a", "an", "the", "my", "me", "for"),
        *("more", "most", "mostly", "mainly", "definitely", "def", "defo", "totally", "absolutely", "probably", "prob"),
        *("prefer", "like", "love", "luv", "want", "choose", "pick", "say", "go", "with", "would", "will", "wear"),
        *("always", "all", "way", "into", "of", "in", "team", "person", "girl", "guy", "gal", "kind", "type", "fan"),
        *("really", "so", "very", "much", "forever", "every", "day", "100", "only", "just", "guess", "think", "gotta"),
        *("one", "ones", "answer", "reply", "lol", "haha"),
    ]
)
_OF_TWO = frozenset(["them", "these", "those", "two", "and", "n"])
_BOTH = frozenset(["both", "either", "equally"])
_NEITHER = frozenset(["neither", "none", "nothing", "nor"])
_NEGATES = _NEITHER | frozenset(
    [
        *("not", "no", "dont", "doesnt", "isnt", "arent", "wont", "wouldnt", "cant", "cannot", "never", "without"),
        *("hate", "dislike", "loathe", "anti", "than", "over", "instead", "except", "hurt", "hurts"),
    ]
)
#: A new statement begins here, so what was negated before is not negated on.
_ANEW = frozenset(["i", "im", "id", "ill", "but", "prefer", "rather", "just", "only", "its", "always"])
#: What is negated goes on over these: "no heels or sneakers".
_LINKS = frozenset(["and", "or", "nor", "n"])
_CLAUSES = re.compile(r"[^,.;!?\n]+[,.;!?\n]?")
_SURELY = re.compile(r"\b(?:no|without (?:a )?) ?(?:doubt|question|contest)\b", re.IGNORECASE)
_ALL_BUT = re.compile(r"\b(?:any|every)thing but\b", re.IGNORECASE)


# -- reading -------------------------------------------------------------------------------------------------------


def read_keyword(text: str, preferences: Sequence[Preference]) -> tuple[Preference, str] | None:
    """The preference, and the choice of it in lower case, whose word is the whole text, courtesies aside."""
    words = bare(text)
    said = {" ".join(words), " ".join(without_courtesy(words))}
    for preference in preferences:
        for choice in preference.choices:
            if choice.word.casefold() in said:
                return preference, choice.word.lower()
    return None


def read_choice(text: str, preference: Preference) -> str | None:
    """The answer in a short text that says nothing else: a choice in lower case, "both" or "neither".

    Its word or other words for it, with courtesies and "I'm more into" around. None for anything that could mean
    something else, also for a choice that is negated or asked about.
    """
    if (keyword := read_keyword(text, [preference])) is not None:
        return keyword[1]
    if "?" in text:
        return None
    said = _marked(bare(text), preference)
    chosen = {word for word in said if word in _values(preference)}
    left = [word for word in said if word not in _FILLERS and word not in chosen]
    if not left and len(chosen) == 1:
        return chosen.pop()
    if all(word in _BOTH | _OF_TWO for word in left) and (
        len(chosen) == len(preference.choices) or (not chosen and _BOTH & set(left))
    ):
        return BOTH
    if not chosen and [word for word in left if word not in _OF_TWO] in (["neither"], ["none"], ["no", "preference"]):
        return NEITHER
    return None


def read_liking(text: str, preference: Preference) -> str | None:
    """What a text that tells of the contact's taste says: a choice in lower case, "both", "neither", None if unclear.

    "sneakers over heels" and "not heels, sneakers" are sneakers; "I hate heels" alone leaves it open.
    """
    if (answer := read_choice(text, preference)) is not None:
        return answer
    liked: set[str] = set()
    disliked: set[str] = set()
    general: str | None = None
    undecided = False
    for clause in _CLAUSES.findall(_ALL_BUT.sub("not", _SURELY.sub(" ", text))):
        if clause.endswith("?"):
            continue
        words = _marked(bare(clause), preference)
        if any(word in _BOTH for word in words):
            general = NEITHER if any(word in _NEGATES for word in words) else BOTH
        elif "neither" in words or "none" in words:
            general = NEITHER
        _weigh(words, _values(preference), liked, disliked)
        undecided = undecided or "or" in words
    liked -= disliked
    if general is not None:
        return general
    if len(liked) == 1:
        return liked.pop()
    if len(liked) == len(preference.choices):
        return None if undecided else BOTH
    return NEITHER if len(disliked) == len(preference.choices) else None


def _weigh(words: Sequence[str], choices: Sequence[str], liked: set[str], disliked: set[str]) -> None:
    """Sort the choices of one clause: a negating word counts for those behind it, else for the last before it."""
    negated = pending = False
    last: str | None = None
    for word in words:
        if word in choices:
            (disliked if negated else liked).add(word)
            last, pending = word, False
        elif word in _NEGATES or (word == "to" and "prefer" in words):
            negated = pending = True
        elif word in _ANEW or (last is not None and not pending and word not in _LINKS):
            negated = False
    if pending and last is not None:
        liked.discard(last)
        disliked.add(last)


def _values(preference: Preference) -> list[str]:
    return [choice.word.lower() for choice in preference.choices]


def _marked(words: list[str], preference: Preference) -> list[str]:
    """The words with each phrase that means a choice put as that choice; longer phrases first."""
    phrases = [
        (bare(phrase), choice.word.lower())
        for choice in preference.choices
        for phrase in [choice.word, *choice.words]
        if bare(phrase)
    ]
    phrases.sort(key=lambda item: -len(item[0]))
    marked, position = [], 0
    while position < len(words):
        size, word = next(
            ((len(phrase), value) for phrase, value in phrases if words[position : position + len(phrase)] == phrase),
            (1, words[position]),
        )
        marked.append(word)
        position += size
    return marked


# -- saying --------------------------------------------------------------------------------------------------------


def question(preference: Preference, brand: str, pool: CodePool | None) -> ShopText:
    """The question in the article's words; `pool` is the list of codes that answering it draws on."""
    words = [f"'{choice.word}'" for choice in preference.choices]
    return ShopText(
        name="preference",
        text=(
            f"Welcome to {brand}! To help us send you the best offers, tell us: {preference.question} "
            f"Reply {listed(words)}{_reward(pool)} Text STOP to opt-out."
        ),
        purpose="marketing",
        asks=[choice.word for choice in preference.choices],
        question_kind="preference",
        question={"preference": preference.key},
    )


def _reward(pool: CodePool | None) -> str:
    if pool is None:
        return "."
    percent = re.search(r"(\d+)\s*%", pool.worth)
    return f" for a special {percent[1]}% discount!" if percent else f" for a code: {pool.worth}."


def ask_again(preference: Preference) -> Say:
    """The question once more, where an answer was not understood."""
    return Say(text=f"{preference.question} Reply {listed([choice.word for choice in preference.choices])}.")


def listed(words: Sequence[str], last: str = "or") -> str:
    """Words as a sentence lists them: "A, B or C"."""
    return f" {last} ".join(", ".join(words).rsplit(", ", 1))


def _noted(preference: Preference, value: str) -> str:
    choices = _values(preference)
    if value == BOTH:
        return f"Thank you, noted: {'both ' if len(choices) == 2 else ''}{listed(choices, 'and')}."
    if value == NEITHER:
        return f"Fair enough, noted: {'neither' if len(choices) == 2 else 'none of'} {listed(choices, 'nor')}."
    return f"Thank you, noted: {value}."


# -- deciding ------------------------------------------------------------------------------------------------------


async def answer(
    session: AsyncSession, contact_id: UUID, preference: Preference, value: str, content: Content
) -> Sequence[Value]:
    """Keep what the contact likes and give the code that goes with it, the one they have where they have one.

    `value` is what read_choice or read_liking found. Nobody gets a code for "neither".
    """
    noted = Say(text=_noted(preference, value))
    known = await session.scalar(select(Contact.profile).where(Contact.id == contact_id)) or {}
    kept: list[Value] = [] if known.get(preference.key) == value else [SetPreference(key=preference.key, value=value)]
    pool = content.code_pool(preference.code)
    if pool is None or value == NEITHER:
        return [*kept, noted]
    has = next((code for code in await codes.held(session, contact_id, content) if code.pool == pool), None)
    if has is not None:
        return [*kept, Say(text=f"{noted.text} {has.words}")]
    free = await codes.peek(session, contact_id, pool)
    if free is None:
        return [*kept, Say(text=f"{noted.text} The discounts that went with this are all given away, sorry.")]
    return [*kept, IssueCode(pool=pool.key, code=free.code), Say(text=f"{noted.text} {free.words}")]


# -- changing ------------------------------------------------------------------------------------------------------


async def apply(session: AsyncSession, contact_id: UUID, change: SetPreference | SetProfile, now: datetime) -> Changed:
    """Keep or forget what the contact told, in the caller's transaction; a name is the contact's own column."""
    mine = select(Contact).where(Contact.id == contact_id).with_for_update()
    contact = (await session.scalars(mine, execution_options={"populate_existing": True})).one()
    if isinstance(change, SetProfile) and change.field == "name":
        before, contact.name = contact.name, change.value
        name = "name"
    else:
        name = change.field if isinstance(change, SetProfile) else change.key
        before = contact.profile.get(name)
        kept = {key: value for key, value in contact.profile.items() if key != name}
        contact.profile = kept if change.value is None else {**kept, name: change.value}
    await session.flush()
    label = "field" if isinstance(change, SetProfile) else "key"
    return Changed(
        kind=change.kind,
        ref=name,
        before={label: name, "value": before},
        after={label: name, "value": change.value},
    )
