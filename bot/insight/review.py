"""The texts worth a designer's look, and what designers and agents say they mean; it trains nothing and sends nothing.

What is worth a look is derived from turns, tickets and effects whenever it is asked for; only what people said of it is
kept (review_events, append-only). A label becomes one line of the training data; where those files cannot be written,
the label is kept and taken along as a patch.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args
from uuid import UUID

import yaml
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import BotError
from bot.insight import examples as training
from bot.insight import neighbours, personal
from bot.insight.examples import Change, Conflict, Example, Examples, ExamplesError
from bot.insight.neighbours import Neighbour, Neighbours
from bot.settings import ROOT

State = Literal["open", "labelled", "skipped"]
Why = Literal["proposed", "unclear", "corrected", "escalated", "unsure"]
STATES: Final[tuple[State, ...]] = get_args(State)
#: Why a text is here, in words.
WHYS: Final[dict[Why, str]] = {
    "proposed": "Agent corrected",
    "unclear": "Not understood",
    "corrected": "Taken back",
    "escalated": "Given to a person",
    "unsure": "Unsure",
}
#: A reading below this was right in 64 of 100 held-out texts (config.yml).
SURE = 0.6
#: Two readings nearer than this were all but a toss.
MARGIN = 0.2
#: No look goes further back than this many texts, whatever the days asked for.
MOST_TURNS = 20_000
PAGE = 50
#: How many labels are offered beside the list of all.
SUGGESTED = 5
#: How many texts before and after are shown with one.
BEFORE, AFTER = 4, 3

# -- the queue -----------------------------------------------------------------------------------------------------

#: One text gone through twice is one line; PostgreSQL alone makes keys, so that they always agree.
_KEY = "md5(lower(btrim(regexp_replace({0}, '\\s+', ' ', 'g'), ' .!?')))"
#: A burst is read as one text.
_BODY = """
    SELECT string_agg(s.body, ' ' ORDER BY s.seq) AS body FROM messages s
    WHERE s.turn_id = r.id AND s.direction = 'inbound'
"""
#: The next text, within three minutes and read otherwise, shares two words of four letters or more.
_REPHRASED = r"""
    r.next_at < r.ended_at + interval '3 minutes' AND r.next_intent IS DISTINCT FROM r.intent
    AND r.next_intent NOT IN ('thank', 'bye', 'affirm', 'greet')
    AND CASE WHEN r.decision IN ('bot', 'clarify') THEN (
        SELECT cardinality(ARRAY(
            SELECT w FROM regexp_split_to_table(lower(a.body), '\W+') w WHERE length(w) > 3
            INTERSECT SELECT w FROM regexp_split_to_table(lower(b.body), '\W+') w)) > 1
        FROM messages a, messages b WHERE a.id = r.id AND b.id = r.next_id) ELSE false END
"""
_QUEUE = rf"""
WITH recent AS MATERIALIZED (
    SELECT t.*, lead(t.id) OVER later AS next_id, lead(t.intent) OVER later AS next_intent,
           lead(t.ended_at) OVER later AS next_at
    FROM (SELECT id, conversation_id, decision, intent, confidence, ranking, ticket_id, ended_at FROM turns
          WHERE ended_at >= :since ORDER BY ended_at DESC LIMIT :most) t
    WINDOW later AS (PARTITION BY t.conversation_id ORDER BY t.ended_at, t.id)
), judged AS (
    SELECT r.id, r.intent, r.ended_at, false AS proposed,
           r.decision = 'clarify' OR (r.intent = 'out_of_scope' AND r.decision <> 'keyword') AS unclear,
           coalesce(r.decision IN ('bot', 'clarify') AND r.next_intent IN ('deny', 'undo')
                    AND r.next_at < r.ended_at + interval '10 minutes', false)
             OR u.turn_id IS NOT NULL OR coalesce({_REPHRASED}, false) AS corrected,
           coalesce(r.decision = 'ticket' AND k.reason IN ('unclear', 'out_of_scope', 'failed_action'), false)
             AS escalated,
           coalesce(r.decision NOT IN ('keyword', 'flow', 'answer') AND (r.confidence < :sure OR
             (r.ranking->0->>'confidence')::float - (r.ranking->1->>'confidence')::float < :margin), false) AS unsure
    FROM recent r
    LEFT JOIN tickets k ON k.id = r.ticket_id
    LEFT JOIN (SELECT DISTINCT turn_id FROM effects WHERE undone_at >= :since) u ON u.turn_id = r.id
), worth AS (
    SELECT * FROM judged WHERE unclear OR corrected OR escalated OR unsure
    UNION ALL
    SELECT t.id, t.intent, t.ended_at, e.action = 'proposed', false, false, false, false
    FROM (SELECT DISTINCT message_id, action FROM review_events
          WHERE created_at >= :since AND message_id IS NOT NULL AND action <> 'reopened') e
    JOIN turns t ON t.id = e.message_id
), spoken AS (
    SELECT r.*, m.body, {_KEY.format("m.body")} AS key FROM worth r CROSS JOIN LATERAL ({_BODY}) m WHERE m.body ~ '\S'
), grouped AS MATERIALIZED (
    SELECT key, (array_agg(id ORDER BY ended_at DESC))[1] AS id, (array_agg(body ORDER BY ended_at DESC))[1] AS body,
           (array_agg(intent ORDER BY ended_at DESC))[1] AS intent, max(ended_at) AS last_at,
           count(DISTINCT id) AS times, bool_or(proposed) AS proposed, bool_or(unclear) AS unclear,
           bool_or(corrected) AS corrected, bool_or(escalated) AS escalated, bool_or(unsure) AS unsure
    FROM spoken GROUP BY key
), matched AS MATERIALIZED (
    SELECT g.*, l.intent AS label,
           CASE WHEN l.action IN ('labelled', 'skipped') THEN l.action ELSE 'open' END AS state
    FROM grouped g LEFT JOIN LATERAL (
        SELECT e.action, e.intent FROM review_events e WHERE e.key = g.key ORDER BY e.id DESC LIMIT 1) l ON true
    WHERE (:q = '' OR strpos(lower(g.body), :q) > 0) AND (:intent = '' OR coalesce(g.intent, 'none') = :intent)
)
"""  # noqa: S608  # made of the constants above


@dataclass(frozen=True)
class Wanted:
    """Which lines of the queue: `why` and `intent` (what it was read as) empty mean any, `days` back from now."""

    state: State = "open"
    why: str = ""
    intent: str = ""
    query: str = ""
    days: int = 90
    page: int = 1


@dataclass(frozen=True)
class Line:
    """One text of the queue, however often it came: `id` is the latest inbound message that said it."""

    id: UUID
    body: str
    intent: str | None
    label: str | None
    state: State
    last_at: datetime
    times: int
    whys: tuple[str, ...]


@dataclass(frozen=True)
class Queue:
    """A page of the queue, how many lines each state has, and how many of the chosen state each reason."""

    lines: Sequence[Line]
    states: dict[str, int]
    whys: dict[str, int]
    total: int


async def queue(session: AsyncSession, wanted: Wanted, now: datetime) -> Queue:
    """The lines wanted, what an agent corrected first, then what came most often; one query however many there are."""
    each = ", ".join(f"count(*) FILTER (WHERE state = '{state}') AS {state}" for state in STATES)
    each += "".join(f", count(*) FILTER (WHERE state = :state AND {why}) AS why_{why}" for why in WHYS)
    chosen = wanted.why if wanted.why in WHYS else "true"
    statement = (
        f"{_QUEUE} SELECT c.*, p.* FROM (SELECT {each}, count(*) FILTER (WHERE state = :state AND {chosen}) AS total"  # noqa: S608  # made of the constants above
        f" FROM matched) c LEFT JOIN LATERAL (SELECT * FROM matched WHERE state = :state AND {chosen}"
        " ORDER BY proposed DESC, times DESC, last_at DESC, key LIMIT :page OFFSET :offset) p ON true"
    )
    values = {
        "since": now - timedelta(days=wanted.days),
        "most": MOST_TURNS,
        "sure": SURE,
        "margin": MARGIN,
        "state": wanted.state,
        "q": " ".join(wanted.query.split()).lower(),
        "intent": wanted.intent,
        "page": PAGE,
        "offset": (wanted.page - 1) * PAGE,
    }
    rows = (await session.execute(text(statement), values)).mappings().all()
    counts = rows[0]
    return Queue(
        [_line(row) for row in rows if row["id"] is not None],
        {state: counts[state] for state in STATES},
        {why: counts[f"why_{why}"] for why in WHYS},
        counts["total"],
    )


def _line(row: RowMapping) -> Line:
    return Line(
        row["id"],
        row["body"],
        row["intent"],
        row["label"],
        cast(State, row["state"]),
        row["last_at"],
        row["times"],
        tuple(why for why in WHYS if row[why]),
    )


# -- one text ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A text of the conversation around it; `here` marks those that are labelled."""

    author: str
    body: str
    at: datetime
    here: bool


@dataclass(frozen=True)
class Spoken:
    """A text with everything known of it: how it was read, what was done, who is behind it, what people said of it.

    `ranking` is the engine's, best first; `latest` is the last line about it, None where nobody said anything;
    `proposed` are (intent, agent's name), the latest first, while it is open.
    """

    id: UUID
    conversation_id: UUID
    key: str
    body: str
    names: tuple[str, ...]
    intent: str | None
    confidence: float | None
    ranking: tuple[tuple[str, float], ...]
    decision: str
    did: str
    at: datetime
    around: tuple[Said, ...] = ()
    latest: RowMapping | None = None
    proposed: tuple[tuple[str, str], ...] = ()

    @property
    def state(self) -> State:
        """Open until somebody labelled or skipped it."""
        action = self.latest["action"] if self.latest is not None else ""
        return cast(State, action) if action in ("labelled", "skipped") else "open"


_ONE = f"""
    SELECT r.*, m.body, {_KEY.format("m.body")} AS key, p.name, p.profile->>'name' AS told
    FROM turns r CROSS JOIN LATERAL ({_BODY}) m
    JOIN conversations c ON c.id = r.conversation_id JOIN contacts p ON p.id = c.contact_id
    WHERE r.id = :id AND m.body ~ '\\S'
"""  # noqa: S608  # made of the constants above
_SAID = """
    SELECT e.*, u.name FROM review_events e JOIN users u ON u.id = e.user_id WHERE e.key = :key
    ORDER BY e.id DESC LIMIT 20
"""


async def find(session: AsyncSession, message_id: UUID) -> Spoken | None:
    """A text by its turn's message, in three queries; None where there is no such turn or nothing to read in it."""
    found = await session.execute(text(_ONE), {"id": message_id})
    row = found.mappings().first()
    if row is None:
        return None
    about = await session.execute(text(_SAID), {"key": row["key"]})
    said = about.mappings().all()
    around = await session.execute(
        text(
            """
            SELECT author, body, created_at, turn_id = :id AND direction = 'inbound' AS here FROM (
                (SELECT * FROM messages WHERE conversation_id = :conversation
                   AND seq < (SELECT min(seq) FROM messages WHERE turn_id = :id AND direction = 'inbound')
                 ORDER BY seq DESC LIMIT :before)
                UNION ALL
                (SELECT * FROM messages WHERE conversation_id = :conversation
                   AND seq >= (SELECT min(seq) FROM messages WHERE turn_id = :id AND direction = 'inbound')
                 ORDER BY seq LIMIT :after + (SELECT count(*) FROM messages
                                              WHERE turn_id = :id AND direction = 'inbound'))) m
            ORDER BY seq
            """
        ),
        {"id": message_id, "conversation": row["conversation_id"], "before": BEFORE, "after": AFTER},
    )
    proposed = []
    for each in said:
        if each["action"] != "proposed":
            break
        proposed.append((each["intent"], each["name"]))
    return Spoken(
        id=row["id"],
        conversation_id=row["conversation_id"],
        key=row["key"],
        body=row["body"],
        names=tuple(name for name in (row["name"], row["told"]) if name),
        intent=row["intent"],
        confidence=row["confidence"],
        ranking=tuple((item["name"], float(item["confidence"])) for item in row["ranking"]),
        decision=row["decision"],
        did=row["why"],
        at=row["ended_at"],
        around=tuple(Said(each.author, each.body, each.created_at, bool(each.here)) for each in around),
        latest=said[0] if said else None,
        proposed=tuple(proposed),
    )


# -- the training data beside it -----------------------------------------------------------------------------------


class Library:
    """The examples of one folder with their neighbours, read again only where a file changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[Path, Any] = {}
        self._near: Neighbours | None = None
        self._of: list[Example] = []
        self._lock = asyncio.Lock()

    async def examples(self) -> Examples:
        """The examples as they stand now. Raises ExamplesError where they cannot be read."""
        async with self._lock:
            return await asyncio.to_thread(training.read, self.folder, self._files)

    async def neighbours(self, examples: Examples) -> Neighbours:
        """These examples, ready to be compared with; the first time takes a second or two."""
        async with self._lock:
            return await asyncio.to_thread(self._renewed, examples)

    def _renewed(self, examples: Examples) -> Neighbours:
        if self._near is None:
            self._near = Neighbours(examples.all)
        elif self._of != examples.all:
            self._near.renew(examples.all)
        self._of = examples.all
        return self._near

    async def writable(self) -> bool:
        """Whether labels become lines at once."""
        return await asyncio.to_thread(training.writable, self.folder)


def known_intents() -> list[str]:
    """The intents of the domain, for where no example can be read."""
    named = yaml.safe_load((ROOT / "domain.yml").read_bytes()).get("intents", [])
    return [next(iter(each)) if isinstance(each, dict) else str(each) for each in named]


@dataclass(frozen=True)
class Suggestion:
    """A label worth a look: `share` 0 to 1, and who says so."""

    intent: str
    share: float
    by: str = ""


@dataclass(frozen=True)
class Advice:
    """What to make of a text: it without what says who wrote it, labels, and the examples most like it.

    `conflict` is an example that is all but the same under another intent than the best label, `trouble` why there are
    no examples to compare with.
    """

    example: str
    replaced: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    near: tuple[Neighbour, ...] = ()
    conflict: Neighbour | None = None
    intents: tuple[str, ...] = ()
    trouble: str = ""


async def advise(spoken: Spoken, library: Library) -> Advice:
    """Labels for a text, an agent's word first, then the model's ranking blended with the nearest examples' labels."""
    example = training.as_written(personal.without(spoken.body, spoken.names))
    replaced = tuple(dict.fromkeys(found.kind for found in personal.find(spoken.body, spoken.names)))
    near: list[Neighbour] = []
    trouble = ""
    try:
        there = await library.examples()
        intents = there.intents
        index = await library.neighbours(there)
        near = await asyncio.to_thread(index.of, example)
    except ExamplesError as exc:
        intents, trouble = await asyncio.to_thread(known_intents), str(exc)
    said = dict(reversed(spoken.proposed))
    blended = [(intent, share) for intent, share in neighbours.blend(spoken.ranking, near) if intent in intents]
    shares = dict(blended)
    first = [Suggestion(intent, shares.get(intent, 0.0), name) for intent, name in reversed(said.items())]
    more = [Suggestion(intent, share) for intent, share in blended if intent not in said and share >= 0.01]
    suggestions = tuple([*first, *more][:SUGGESTED])
    best = suggestions[0].intent if suggestions else None
    return Advice(
        example,
        replaced,
        suggestions,
        tuple(near),
        next((each for each in near if each.same and each.example.intent != best), None),
        tuple(sorted(intents)),
        trouble,
    )


# -- saying what it means ------------------------------------------------------------------------------------------


class Refused(BotError):
    """The label was not taken; the message says why. `instead` is a text that would be, `move` a conflict to settle."""

    def __init__(self, reason: str, instead: str | None = None, conflict: Example | None = None) -> None:
        super().__init__(reason)
        self.instead = instead
        self.conflict = conflict


@dataclass(frozen=True)
class Told:
    """What a label, a skip or its undoing came to: words for people, the diff of the files, and whether it stands."""

    words: str
    diff: str
    stands: bool


def told(spoken: Spoken, folder: str) -> Told | None:
    """What was last said of a text; None where nobody said anything that counts. `folder` is that of the examples."""
    latest = spoken.latest
    if latest is None or latest["action"] == "proposed":
        return None
    plain, diff = _plain(latest["intent"] or ""), latest["diff"] or ""
    if latest["action"] == "skipped":
        return Told("Skipped; it is not for training.", "", stands=True)
    if latest["action"] == "reopened":
        return Told("Taken back; the text is open again.", diff, stands=False)
    if not latest["written"]:
        words = (
            f"Labelled {plain}. {folder}/ cannot be written from here, so the label waits; take it along as a patch."
        )
    elif not diff:
        words = f"It is an example of {plain} already; nothing had to be written."
    else:
        words = f"{'Moved' if latest['moved_from'] else 'Added'} to {plain} in {folder}/{latest['file']}."
    return Told(words, diff, stands=True)


@dataclass(frozen=True)
class _Line:
    """What is kept of something said."""

    action: str
    intent: str | None = None
    text: str | None = None
    moved: Example | None = None
    file: str | None = None
    diff: str | None = None
    written: bool = False


async def propose(session: AsyncSession, spoken: Spoken, intent: str, user_id: UUID, now: datetime) -> None:
    """An agent says what a text means; it waits for a designer, even where it was labelled or skipped before."""
    if intent not in await asyncio.to_thread(known_intents):
        raise BotError("There is no such meaning. Choose one of the list.")
    await _keep(session, spoken, _Line("proposed", intent), user_id, now)


async def label(
    session: AsyncSession,
    library: Library,
    spoken: Spoken,
    intent: str,
    words: str,
    user_id: UUID,
    now: datetime,
    *,
    move: bool = False,
) -> None:
    """Make the text, as `words`, an example of an intent; `move` takes it from the intent that has it.

    The line is in the files when this returns, where they can be written; the label is in the caller's transaction.
    Raises Refused where the words say who somebody is, where another intent has them and `move` is false, or where they
    are no example.
    """
    # One label at a time, whichever web process takes it: files know no transactions.
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('review'))"))
    safe = training.as_written(words)
    if found := personal.find(safe, spoken.names):
        named = ", ".join(dict.fromkeys(f"{each.kind} ({each.words})" for each in found))
        raise Refused(
            f"This has {named}. Training data is kept and shared, so another was put in its place; add it like this.",
            instead=personal.without(safe, spoken.names),
        )
    try:
        there = await library.examples()
    except ExamplesError as exc:
        if intent not in await asyncio.to_thread(known_intents):
            raise Refused("There is no such intent. Choose one of the list.") from exc
        await _keep(session, spoken, _Line("labelled", intent, safe), user_id, now)
        return
    moved = next((each for each in there.find(safe) if each.intent != intent), None) if move else None
    try:
        change = there.move(safe, intent) if moved is not None else there.add(safe, intent)
    except training.AlreadyThere:
        await _keep(session, spoken, _Line("labelled", intent, safe, written=True), user_id, now)
        return
    except Conflict as exc:
        raise Refused(str(exc), conflict=exc.example) from exc
    except ExamplesError as exc:
        raise Refused(str(exc)) from exc
    # The file with the new line, which a move names after the old one's.
    file = there.file_of(intent)
    written = await library.writable()
    line = _Line("labelled", intent, change.text, moved, file, change.diff, written=written)
    await _keep(session, spoken, line, user_id, now)
    if written:
        await _write(change)


async def skip(session: AsyncSession, spoken: Spoken, user_id: UUID, now: datetime) -> None:
    """Not for training: the text leaves the queue and no file changes."""
    await _keep(session, spoken, _Line("skipped"), user_id, now)


async def undo(session: AsyncSession, library: Library, spoken: Spoken, user_id: UUID, now: datetime) -> None:
    """Take the latest label or skip back, its line in the files included. Raises Refused where it is not labelled."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('review'))"))
    latest = spoken.latest
    if latest is None or spoken.state == "open":
        raise Refused("There is nothing to take back; somebody may have been faster.")
    change: Change | None = None
    if latest["diff"] and latest["written"]:
        try:
            there = await library.examples()
            if latest["moved_from"]:
                change = there.move(latest["moved"], latest["moved_from"])
            elif any(each.intent == latest["intent"] for each in there.find(latest["text"])):
                change = there.remove(latest["text"], latest["intent"])
        except ExamplesError as exc:
            raise Refused(str(exc)) from exc
    diff = change.diff if change is not None else None
    await _keep(session, spoken, _Line("reopened", latest["intent"], diff=diff, written=bool(diff)), user_id, now)
    if change is not None:
        await _write(change)


async def _write(change: Change) -> None:
    try:
        await asyncio.to_thread(change.write)
    except ExamplesError as exc:
        raise Refused(str(exc)) from exc


def _plain(intent: str) -> str:
    return intent.replace("_", " ")


async def _keep(session: AsyncSession, spoken: Spoken, line: _Line, user_id: UUID, now: datetime) -> None:
    await session.execute(
        text(
            "INSERT INTO review_events (key, message_id, action, intent, text, moved_from, moved, file, diff,"
            " written, user_id, created_at) VALUES (:key, :message_id, :action, :intent, :text, :moved_from, :moved,"
            " :file, :diff, :written, :user_id, :now)"
        ),
        {
            "key": spoken.key,
            "message_id": spoken.id,
            "action": line.action,
            "intent": line.intent,
            "text": line.text,
            "moved_from": line.moved.intent if line.moved is not None else None,
            "moved": line.moved.text if line.moved is not None else None,
            "file": line.file,
            "diff": line.diff,
            "written": line.written,
            "user_id": user_id,
            "now": now,
        },
    )


# -- what was said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One line of the history; `words` is the example, or the contact's text where none was made."""

    id: int
    action: str
    intent: str | None
    moved_from: str | None
    words: str
    file: str | None
    diff: str | None
    written: bool
    by: str
    at: datetime
    message_id: UUID | None


async def history(session: AsyncSession, page: int) -> tuple[list[Entry], int]:
    """Who said what when, the latest first, a page of it, and how many lines there are."""
    rows = await session.execute(
        text(
            "SELECT e.*, u.name, coalesce(e.text, m.body, '') AS words, count(*) OVER () AS total FROM review_events e"
            " JOIN users u ON u.id = e.user_id LEFT JOIN messages m ON m.id = e.message_id"
            " ORDER BY e.id DESC LIMIT :page OFFSET :offset"
        ),
        {"page": PAGE, "offset": (page - 1) * PAGE},
    )
    found = rows.all()
    entries = [
        Entry(
            row.id,
            row.action,
            row.intent,
            row.moved_from,
            row.words,
            row.file,
            row.diff,
            row.written,
            row.name,
            row.created_at,
            row.message_id,
        )
        for row in found
    ]
    return entries, found[0].total if found else 0


async def unwritten(session: AsyncSession) -> list[tuple[str, str]]:
    """Labels that stand and are in no file yet, as (text, intent), in the order they were given."""
    rows = await session.execute(
        text(
            "SELECT l.text, l.intent FROM (SELECT DISTINCT ON (key) * FROM review_events ORDER BY key, id DESC) l"
            " WHERE l.action = 'labelled' AND NOT l.written ORDER BY l.id"
        )
    )
    return [(row.text, row.intent) for row in rows]


async def patch(session: AsyncSession, library: Library) -> tuple[str, str]:
    """The labels that are in no file yet: a file name, and a diff against the files, or a file where there are none."""
    wanted = await unwritten(session)
    try:
        there = await library.examples()
    except ExamplesError:
        by_intent: dict[str, list[str]] = {}
        for words, intent in wanted:
            by_intent.setdefault(intent, []).append(words)
        return training.NEW_FILE, training.as_file(by_intent)
    return "labels.patch", await asyncio.to_thread(training.as_patch, there, wanted)


async def taught(session: AsyncSession, conversation_id: UUID) -> dict[UUID, str]:
    """What became of each text of a conversation somebody corrected, in words, by its message."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT ON (e.message_id) e.message_id, e.action, e.intent FROM review_events e"
            " JOIN messages m ON m.id = e.message_id WHERE m.conversation_id = :id ORDER BY e.message_id, e.id DESC"
        ),
        {"id": conversation_id},
    )
    return {
        row.message_id: _TAUGHT[row.action].format(_plain(row.intent or "")) for row in rows if row.action in _TAUGHT
    }


_TAUGHT: dict[str, str] = {
    "proposed": "Corrected to {}, waits for review",
    "labelled": "Learned as {}",
    "skipped": "Not for training",
}
