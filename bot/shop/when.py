"""The wanted times in a text, as people text them: Duckling reads the grammar, tables here read the texting.

It answers nothing, looks nothing up and never raises on a text; what it is not sure is a wanted time it leaves unread.

A text goes through stages: slang and words that name no time (tables), Duckling, which mention is wanted and which is
refused or only names the booking to be moved, then, where the shop is known, the day and am or pm of each. Where two
readings of the same words stand, the second follows the first and says so.
"Next tuesday" is Duckling's: the Tuesday of next week; "monday" on a Monday is today until the shop has closed. Left
unread on purpose: bare numbers, seasons where there is a shop, other time zones there, any language but English.
"""

import re
import signal
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from bot import text as texts
from bot.shop import texting
from bot.shop.hours import WEEKDAYS, Hours, Opening, wall_time

#: A text that names more times than this wants none of them in particular.
MAX_READINGS = 7
#: Taken for the day where opening hours are unknown or no day is open: 8 AM to 8 PM.
DAYTIME = Opening(8 * 60, 20 * 60)
#: Before this hour of the morning nobody means a time who does not say so.
SMALL_HOURS = 6

#: Words by the part they play in a phrase. One call of Duckling gets a stretch that plays each part once (clock times
#: and weekdays twice in a range): what contradicts itself ("until 4pm this weekend december 9am") sends Duckling
#: searching decades for a time that never comes, and a hundred such characters took it minutes. Nobody texts that.
_TOKEN = re.compile(
    rf"(?P<date>{texting.MONTH}\b(?: \d{{1,2}}(?:st|nd|rd|th)?\b)?|\d+/\d[\d/]*|\d{{4}}-\d\d-\d\d|{texting.HOLIDAY}\b"
    rf"|\d+(?:st|nd|rd|th)\b(?: of {texting.MONTH})?)"
    r"|(?P<weekend>weekends?\b)|(?P<unit>(?:\d+ )?(?:weeks?|months?|years?|days?|hours?|hrs?|min\w*|asap)\b)"
    rf"|(?P<weekday>(?:{texting.DAY}|\w*day)\b)"
    rf"|(?P<part>(?:{texting.PART}s?|night|noon|midnight|lunch)\b)"
    r"|(?P<clock>\d[\w:.]*|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b)"
    r"|(?P<bound>(?:after|before|since|by|past|ago|first|last)\b)"
    r"|(?P<range>(?:between|from|to|until|till?|thru|through)\b|-)"
    r"|(?P<cut>or\b|[~\n;?!]|[.](?!\d))"
    r"|(?P<joint>(?:the|on|at|of|in|an?|next|this|coming|and|around|about|[ap]m|o'?clock|ish|for|half|quarter"
    r"|couple|few)\b)"
    r"|(?P<other>[a-z']+)"
)
_TWICE = {"clock", "weekday"}
_DATED = {"date", "unit", "weekday", "weekend"}
_TIMED = {"clock", "part"}
_BOUNDED = {"bound", "range"}
#: Stretches of one text that are read; of a text that names still more times the rest is left.
_RUNS = 8
#: A text of at most so many such words and characters is not cut for their sake: any five of them took Duckling 0.2 s
#: at worst, six 0.5 s.
_WHOLE, _WHOLE_CHARACTERS = 5, 160


class _Span(NamedTuple):
    """A stretch of the shop's wall clock, naive; None where open. `point` where it is one whole grain.

    `doubt` where the words may mean this rather than the stretch before it.
    """

    start: datetime | None
    end: datetime | None
    grain: str
    point: bool = False
    doubt: bool = False

    def day(self) -> date:
        """The day it begins on; the day it ends on where its beginning is open."""
        if self.start is not None:
            return self.start.date()
        assert self.end is not None
        return (self.end - timedelta(seconds=1)).date()

    def on(self, day: date) -> "_Span":
        """The same clock times on another day."""
        by = day - self.day()
        return self._replace(start=self.start and self.start + by, end=self.end and self.end + by)

    def within(self, day: date) -> "_Span":
        """Bounded by its day where it is open."""
        midnight = datetime.combine(day, time())
        return self._replace(start=self.start or midnight, end=self.end or midnight + timedelta(days=1))


@dataclass(frozen=True)
class _Mention:
    """Words that name a time: a day or longer, a clock time of no day, a moment, one counted from the booking, hours of
    each day, or a length.
    """

    begin: int
    stop: int
    kind: Literal["day", "clock", "moment", "counted", "daily", "length"]
    spans: Sequence[_Span]
    length: tuple[str, int] = ("second", 0)


@dataclass(frozen=True)
class Reading:
    """A wanted time as aware instants in the shop's zone: start inclusive, end exclusive, None where open.

    `doubt` where the words may mean this rather than the reading before it, so that one has to ask.
    """

    start: datetime | None
    end: datetime | None
    grain: str
    doubt: bool = False

    def as_entity(self) -> dict[str, str | None]:
        """The shape turns, Rasa's context and `./parley when` use: ISO 8601 instants."""
        return {
            "from": self.start.isoformat() if self.start is not None else None,
            "to": self.end.isoformat() if self.end is not None else None,
            "grain": self.grain,
        }


def read(
    text: str,
    now: datetime,
    zone: ZoneInfo,
    hours: Hours | None,
    booking_start: datetime | None,
    offered: datetime | None = None,
) -> list[Reading]:
    """Wanted times, best first, at most seven; empty where none is named. `now` and `booking_start` are aware.

    Without hours and booking a text is read as Duckling reads it, texting included. With either, opening hours decide
    am or pm, phrases such as "an hour later" and clock times of no day count from the booking, and times gone by are
    left out. With neither bound named an end is None; a phrase bound to a day ends with it. `offered` is the time we
    proposed last: a bare weekday then means that week's. Raises nothing on any text.
    """
    wall = now.astimezone(zone).replace(tzinfo=None, microsecond=0)
    known = hours is not None or booking_start is not None
    local = booking_start.astimezone(zone) if booking_start is not None else None
    booked = local.replace(tzinfo=None) if local is not None else None
    words = _clean(text, known, booked)
    if known:
        words = _of_calendar(words, wall.date())
    if offered is not None:
        words = _that_week(words, offered.astimezone(zone).date(), wall.date())
    mentions = _mentions(words, wall, known)
    if not known:
        mentions = [_at_home(mention, words, zone) for mention in mentions]
    mentions = [_elapsed(mention, words, wall, now.astimezone(zone), known) for mention in mentions]
    if local is not None:
        mentions = _from_booking(words, mentions, local)
    wanted = _wanted(words, [mention for mention in mentions if mention.kind != "length"], known)
    spans = _Shop(hours, wall, booked).spans(words, wanted) if known else [mention.spans[0] for mention in wanted]
    readings = dict.fromkeys(_reading(span, zone) for span in spans)
    return [r for r in readings if r.start is None or r.end is None or r.start.astimezone(UTC) < r.end][:MAX_READINGS]


def _clean(text: str, known: bool, booked: datetime | None) -> str:
    """The text in Duckling's words: lower-case ASCII, slang written out, words that name no time blanked."""
    plain = unicodedata.normalize("NFKC", texts.plain(text[: texts.MAX_CHARACTERS])).lower()
    words = " ".join("".join(char if " " < char <= "~" or char == "\n" else " " for char in plain).split(" "))
    words = re.sub(r" {2,}", " ", words).strip()
    for pattern, replacement in [*texting.ALWAYS, *(texting.SHOP if known else ())]:
        words = pattern.sub(replacement, words)
    if booked is not None:
        words = _dated(words, booked.date())
    return (texting.BLANK_IN_SHOP if known else texting.BLANK).sub("~", words)


def _of_calendar(words: str, today: date) -> str:
    """Parts of months, weeks from a weekday and the week after next, in words Duckling knows."""

    def part(match: re.Match[str]) -> str:
        month = _add(datetime.combine(today, time()), "month", match["relative"] == "next").strftime("%B").lower()
        adjective = {"mid": "mid", "las": "late", "lat": "late", "end": "late"}.get(match["part"][:3], "early")
        return f"{adjective} {match['name'] or month}"

    def ahead(match: re.Match[str]) -> str:
        # Duckling begins to count at weekdays gone by, everybody else at the one to come.
        weeks = {"two": 2, "three": 3}.get(match[1]) or (int(match[1]) if match[1].isdigit() else 1)
        days = (WEEKDAYS.index(match[2][:3]) - today.weekday()) % 7 + 7 * weeks
        return f"on {today + timedelta(days=days)}"

    words = re.sub(rf"\b(?:on )?(an?|one|two|three|\d) weeks? from ({texting.WEEKDAY})\b", ahead, words)

    def between(match: re.Match[str]) -> str:
        first, last = (
            today + timedelta(days=7 - today.weekday() + WEEKDAYS.index(name[:3])) for name in match.groups()
        )
        return f"from {first} to {last}"

    words = texting.DAYS_NEXT_WEEK.sub(between, words)
    monday = today + timedelta(days=14 - today.weekday())
    words = re.sub(r"\b(?:the )?week after next\b", f"the week of {monday:%B} {monday.day}".lower(), words)
    return texting.PART_OF_MONTH.sub(part, words)


def _that_week(words: str, offered: date, today: date) -> str:
    """Weekdays of no week, written as dates of the week that was offered."""
    for ahead in range(7):
        day = offered + timedelta(days=ahead - offered.weekday())
        if day >= today:
            bare = rf"(?<!next )(?<!this )(?<!last )(?<!coming )(?<!following )\b{day:%a}(?:[a-z]*day|s|rs?|nes|ur)?\b"
            words = re.sub(
                bare + rf"(?!s| (?:the )?\d+(?:st|nd|rd|th)| the \d| {texting.MONTH})",
                f"{day}",
                words,
                flags=re.IGNORECASE,
            )
    return words


def _dated(words: str, day: date) -> str:
    """Days named from the booking, written as dates."""
    words = re.sub(
        rf"\b(?:the )?(?:next|following) (?={texting.PART}\b)", f"on {day + timedelta(days=1)} in the ", words
    )
    words = re.sub(r"\b(?:on )?(?:the )?same day next week\b", f"on {day + timedelta(days=7)}", words)
    words = re.sub(r"\b(?:in the day|(?:on )?(?:the )?(?:that|same) day)\b", f"on {day}", words)
    words = re.sub(
        rf"\b(?:the )?(?:(?:next|following) day|day after){texting.ALONE}", f"on {day + timedelta(days=1)}", words
    )
    words = re.sub(rf"\bthe week after(?! next\b){texting.ALONE}", "the following week", words)
    words = re.sub(rf"\bthe day before{texting.ALONE}", f"on {day - timedelta(days=1)}", words)
    for ahead in range(1, 8):
        later = day + timedelta(days=ahead)
        words = re.sub(rf"\b(?:the |that )?following {later:%a}[a-z]*", f"on {later}", words, flags=re.IGNORECASE)
    return words


def _runs(words: str, known: bool) -> Iterator[tuple[int, int]]:
    """Stretches short enough for Duckling: clauses, and of a text that names much those in which each part plays once.

    Where a shop is known, a clause that names no time by a word of ours is left to nobody's reading.
    """
    tokens = [token for token in _TOKEN.finditer(words) if token.lastgroup not in ("joint", "other")]
    if len(tokens) > _WHOLE or len(words) > _WHOLE_CHARACTERS:
        yield from _cut_runs(words)
        return
    begin = 0
    for stop, following in [(t.start(), t.end()) for t in tokens if t.lastgroup == "cut" and (known or t[0] != ".")] + [
        (len(words),) * 2
    ]:
        if not known or any(t.lastgroup not in ("cut", "range") and begin <= t.start() < stop for t in tokens):
            yield begin, stop
        begin = following


def _cut_runs(words: str) -> Iterator[tuple[int, int]]:
    """Stretches cut at the ends of clauses and where a part is played again.

    That last cut is made behind the last word that names no time, if there is one, for there no phrase is cut in two.
    """
    begin, gap, played = 0, 0, list[tuple[int, str]]()
    for token in _TOKEN.finditer(words):
        part = str(token.lastgroup)
        if part == "cut":
            if played:
                yield begin, token.start()
            begin, played = token.end(), []
        elif part == "other":
            gap = token.end()
        elif part != "joint":
            if _again(part, [other for _, other in played]):
                fresh = [other for at, other in played if at >= gap]
                cut = gap if begin < gap and not _again(part, fresh) else token.start()
                yield begin, cut
                begin, played = cut, [(at, other) for at, other in played if at >= cut]
            played.append((token.start(), part))
    if any(part != "range" for _, part in played):
        yield begin, len(words)


def _again(part: str, played: Sequence[str]) -> bool:
    """Whether this part of a phrase was played before, itself or by another of the same weight."""
    dated = sum(other in _DATED for other in played)
    return (
        (part == "range" and played.count("range") >= 2)
        or (
            part in played and part != "range" and not (part in _TWICE and "range" in played and played.count(part) < 2)
        )
        or (part in _DATED and dated >= (1 if "weekend" in (part, *played) else 2))
        or (part in _TIMED and "range" in played and sum(other in _TIMED for other in played) >= 2)
        or (part in _BOUNDED and any(other in _BOUNDED and {part, other} != {"range"} for other in played))
    )


#: What the Haskell runtime takes over when Duckling is imported; without SIGINT, Ctrl-C would stop no process of ours.
_TAKEN_OVER = (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP)


@cache
def load() -> tuple[Any, Any, Any, Any]:
    """Duckling, its zones (those of the tzdata package), locale and dimensions; about 0.2 s once, then at hand.

    The first call belongs on the main thread: elsewhere Python cannot put back the signal handlers Duckling replaces.
    """
    handlers = {number: signal.getsignal(number) for number in _TAKEN_OVER}
    import duckling  # here, because importing it starts the Haskell runtime

    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
    zones = duckling.load_time_zones(str(resources.files("tzdata") / "zoneinfo"))
    locale = duckling.parse_locale("EN_US", duckling.default_locale_lang(duckling.parse_lang("EN")))
    return duckling, zones, locale, duckling.parse_dimensions(["time", "duration"])


def _mentions(words: str, wall: datetime, known: bool) -> list[_Mention]:
    """Every time and length Duckling finds, in order.

    Duckling runs on the wall clock as if it were UTC: it reads zone files without their rule for years to come, and so
    takes New York's winter for summer.
    """
    duckling, zones, locale, dimensions = load()
    reference = duckling.parse_ref_time(zones, "Etc/UTC", int(wall.replace(tzinfo=UTC).timestamp()))
    context = duckling.Context(reference, locale)
    mentions = []
    for begin, stop in list(_runs(words, known))[:_RUNS]:
        for found in duckling.parse(words[begin:stop], context, dimensions, False):
            mention = _mention(found, begin, known)
            if mention is not None:
                mentions.append(mention)
    if known:
        mentions += _parts_of_day(words, mentions, wall)
    taken = [m for m in mentions if m.kind != "length"]
    lengths = [
        m for m in mentions if m.kind == "length" and not any(t.begin < m.stop and m.begin < t.stop for t in taken)
    ]
    return sorted([*taken, *lengths], key=lambda mention: mention.begin)


def _mention(found: dict[str, Any], offset: int, known: bool) -> _Mention | None:
    begin, stop, value = offset + found["start"], offset + found["end"], found["value"]
    if found["dim"] == "duration":
        months = {"month": 1, "quarter": 3, "year": 12}.get(value["unit"])
        length = ("month", int(months * value["value"])) if months else ("second", value["normalized"]["value"])
        return _Mention(begin, stop, "length", (), length)
    body = found["body"].lower()
    try:
        spans = [_span(item, body, known) for item in value["values"]]
    except (ValueError, OverflowError):
        return None  # "In 9000 years" is beyond what a datetime holds.
    first, last = spans[0], spans[-1]
    if known and texting.BY_DAY.match(body) and first.end and first.end.time() == time():
        # "By friday" leaves friday out for Duckling, and for nobody else.
        return _Mention(begin, stop, "day", [_Span(first.start, first.end + timedelta(days=1), "day")])
    if known and first.grain == "hour" and first.point and re.search(r"\bin .*days?$|days? from now$", body):
        first = _point(first.start and _midnight(first.start.date()), "day")
        return _Mention(begin, stop, "day", [first])
    if first.grain not in {"hour", "minute", "second"}:
        if known and first.start and not first.end and body.startswith("after"):
            first = first._replace(start=_add(first.start, first.grain))
        return _Mention(begin, stop, "day", [first])
    recurs = (
        len(spans) == 3 and last.day() - first.day() <= timedelta(days=2) and not re.search(rf"\b{texting.DAY}\b", body)
    )
    if not recurs:
        return _Mention(begin, stop, "moment", spans)
    if re.search(r"week|month|" + texting.MONTH, body):
        return _Mention(begin, stop, "daily", [span for span in spans if span.day() == first.day()])
    return _Mention(begin, stop, "clock", spans)


def _span(item: dict[str, Any], body: str, known: bool) -> _Span:
    if item["type"] == "value":
        return _point(_wall(item["value"]), item["grain"])
    edges = {key: item[key] for key in ("from", "to") if item.get(key)}
    start, end = (_wall(edges[key]["value"]) if key in edges else None for key in ("from", "to"))
    grain = next(iter(edges.values()))["grain"] if "from" not in edges else edges["from"]["grain"]
    if known and start and end and edges["to"]["grain"] in {"hour", "minute"} and texting.RANGE.search(body):
        # "Between 2 and 4" ends at 5 for Duckling, which counts the last hour in; at 4 for everybody else.
        end -= timedelta(hours=1) if edges["to"]["grain"] == "hour" else timedelta(minutes=1)
    return _Span(start, end, grain)


def _at_home(mention: _Mention, words: str, zone: ZoneInfo) -> _Mention:
    """A clock time said with its own zone ("4pm CET"), which Duckling gives in UTC, on the wall clock of ours."""
    first = mention.spans[0] if mention.spans else None
    if not first or not first.point or not texting.ELSEWHERE.search(words[mention.begin : mention.stop]):
        return mention
    assert first.start is not None
    start = first.start.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return replace(mention, spans=[_point(start, first.grain)])


def _elapsed(mention: _Mention, words: str, wall: datetime, now: datetime, known: bool) -> _Mention:
    """A moment some hours or minutes from now, counted in time that passes, also where the clocks change meanwhile."""
    first = mention.spans[0] if mention.spans else None
    if not first or not first.point or not texting.FROM_NOW.search(words[mention.begin : mention.stop]):
        return mention
    assert first.start is not None
    grain = "minute" if known else first.grain
    return replace(mention, kind="counted", spans=[_point(_later(now, first.start - wall), grain)])


def _later(moment: datetime, by: timedelta) -> datetime:
    """An aware moment and time that passes, on its own wall clock, naive; `fold` tells a time that is shown twice."""
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo).replace(tzinfo=None)


def _wall(iso: str) -> datetime:
    return datetime.fromisoformat(iso).replace(tzinfo=None)


def _point(start: datetime | None, grain: str) -> _Span:
    assert start is not None
    return _Span(start, _add(start, grain), grain, point=True)


def _add(moment: datetime, grain: str, count: int = 1) -> datetime:
    months = {"month": 1, "quarter": 3, "year": 12}.get(grain)
    if months is None:
        return moment + timedelta(**{f"{grain}s": count})
    years, month = divmod(moment.month - 1 + months * count, 12)
    last = (date(moment.year + years + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return moment.replace(year=moment.year + years, month=month + 1, day=min(moment.day, last))


def _parts_of_day(words: str, taken: Sequence[_Mention], wall: datetime) -> list[_Mention]:
    """Bare "afternoon" or "mornings", which Duckling leaves alone; with the hours it gives them elsewhere."""
    midnight = datetime.combine(wall.date(), time())
    found = []
    for match in re.finditer(rf"\b({texting.PART})s?\b", words):
        if not any(mention.begin < match.end() and match.start() < mention.stop for mention in taken):
            start, end = {"morning": (0, 12), "afternoon": (12, 19), "evening": (18, 24)}[match[1]]
            span = _Span(midnight + timedelta(hours=start), midnight + timedelta(hours=end), "hour")
            found.append(_Mention(match.start(), match.end(), "clock", [span]))
    return found


def _from_booking(words: str, mentions: Sequence[_Mention], local: datetime) -> list[_Mention]:
    """Lengths become moments counted from the booking where the words around say so, and its weeks become weeks."""
    booked = local.replace(tzinfo=None)
    monday = datetime.combine(booked.date() - timedelta(days=booked.weekday()), time())
    weeks = [
        _Mention(match.start(), match.end(), "day", [_point(_add(monday, "week", ahead), "week")])
        for pattern, ahead in (
            (rf"\bthe week before{texting.ALONE}", -1),
            (r"\b(?:that|(?:the )?same) week\b", 0),
            (r"\bthe following week\b", 1),
        )
        for match in re.finditer(pattern, words)
    ]
    counted = []
    for mention in mentions:
        if any(week.begin < mention.stop and mention.begin < week.stop for week in weeks):
            continue
        if mention.kind != "length":
            counted.append(mention)
        elif _sane(mention.length):
            unit, count = mention.length
            passes = unit == "second" and count % 86400
            starts = [
                _later(local, timedelta(seconds=sign * count)) if passes else _add(booked, unit, sign * count)
                for sign in _directions(words[: mention.begin], words[mention.stop :])
            ]
            clocked = any(other.kind == "clock" for other in mentions) and not passes
            if starts and clocked:
                counted.append(
                    _Mention(mention.begin, mention.stop, "day", [_point(_midnight(starts[0].date()), "day")])
                )
            elif starts and passes and any(other.kind == "day" for other in mentions):
                counted.append(_Mention(mention.begin, mention.stop, "clock", [_point(starts[0], "minute")]))
            elif starts:
                spans = [_point(start, "minute")._replace(doubt=start != starts[0]) for start in starts]
                counted.append(_Mention(mention.begin, mention.stop, "counted", spans))
    return sorted([*counted, *weeks], key=lambda mention: mention.begin)


def _sane(length: tuple[str, int]) -> bool:
    """At most about five years; nobody moves a booking further."""
    return length[1] <= (60 if length[0] == "month" else 5 * 366 * 86400)


def _directions(before: str, after: str) -> Sequence[int]:
    """1 where a length counts on from the booking, -1 where back, both where "forward" leaves it open, else none.

    To bring a booking forward makes it earlier; to move it forward makes it later for some and earlier for others.
    """
    pushed = texting.PUSHED.search(before)
    if texting.EARLIER.match(after) or texting.BROUGHT.search(before) or (pushed and pushed["up"]):
        return [-1]
    if pushed and after.startswith(" up"):
        return [-1]
    if texting.FORWARD.search(before) or re.match(r" forward\b", after):
        return [1, -1]
    if texting.LATER.match(after) or pushed or (texting.LATE.search(before) and after.startswith(" late")):
        return [1]
    return []


def _wanted(words: str, mentions: Sequence[_Mention], known: bool) -> list[_Mention]:
    """The mentions that are asked for: not refused, not past, not corrected, not the booking that is to be moved."""
    kept: list[_Mention] = []
    unsure: list[_Mention] = []
    refused, reached = False, 0
    nexts = [mention.begin for mention in mentions[1:]] + [len(words)]
    for mention, following in zip(mentions, nexts, strict=False):
        before, after = words[reached : mention.begin], words[mention.stop : following]
        refused = bool(
            (refused and texting.LISTED.match(before))
            or texting.REFUSED_BEFORE.search(before)
            or texting.REFUSED_AFTER.match(after)
        )
        reached = mention.stop
        gone = texting.MINE.search(before) or texting.PAST.search(before) or words.startswith("since", mention.begin)
        if refused or (known and gone):
            continue
        if texting.CORRECTED.search(before):
            kept = [other for other in kept if (other.kind == "clock") != (mention.kind == "clock")]
        kept.append(mention)
        theirs = texting.THEIRS_AFTER.match(after) and not texting.OFFERED.search(before)
        if not known:
            continue
        if theirs or texting.THEIRS_BEFORE.search(before) or before.endswith("no "):
            unsure.append(mention)
    return [mention for mention in kept if mention not in unsure] or kept


@dataclass(frozen=True)
class _Shop:
    """What puts a mention on a day and in a half of it: opening hours and the booking, on the shop's wall clock."""

    hours: Hours | None
    wall: datetime
    booked: datetime | None

    def spans(self, words: str, wanted: Sequence[_Mention]) -> list[_Span]:
        """The stretches that are asked for, in order, without those gone by."""
        named = [mention for mention in wanted if mention.spans[0].grain != "second" or mention.spans[0].end]
        placed = [span for mention in named or wanted for span in self._placed(words, mention, wanted)]
        if len(placed) == 1 and placed[0].start is not None:
            placed = self._standing(words, (named or wanted)[0], placed[0], wanted)
        return [span for span in self._compared(words, placed) if span.end is None or span.end > self.wall]

    def _standing(self, words: str, mention: _Mention, span: _Span, wanted: Sequence[_Mention]) -> list[_Span]:
        """A time with what its words may mean as well: the other half of the day, or this week's weekday for "next"."""
        assert span.start is not None  # the caller looks
        if span.point and self._both_halves(span.start, wanted):
            early = span.start.replace(hour=span.start.hour % 12)
            halves = [early, early + timedelta(hours=12)]
            # Bare, seven is rather the evening, and eight rather the morning.
            halves.sort(reverse=early.hour < 8)
            spans = [_point(start, span.grain) for start in halves]
            spans = [each for each in spans if not self._gone(each)] or spans[:1]
            return [spans[0], *(each._replace(doubt=True) for each in spans[1:])]
        sooner = span.day() - timedelta(days=7)
        if (
            texting.NEXT_WEEKDAY.match(words[mention.begin : mention.stop])
            and not texting.THIS_WEEKDAY.search(words)
            and sooner > self.wall.date() + timedelta(days=1)
            and (self.booked is None or sooner != self.booked.date())
            and (self.hours is None or self.hours.openings_on(sooner))
        ):
            return [span, span.on(sooner)._replace(doubt=True)]
        return [span]

    def _both_halves(self, start: datetime, wanted: Sequence[_Mention]) -> bool:
        """Whether a clock time was said without its half and both are open; nobody means the small hours unsaid."""
        other = (datetime.combine(start.date(), start.time()) + timedelta(hours=12)).time()
        said = {each.start.time() for one in wanted if one.kind != "counted" for each in one.spans if each.start}
        return (
            start.hour % 12 >= SMALL_HOURS
            and {start.time(), other} <= said
            and all(self._open(datetime.combine(start.date(), clock)) for clock in (start.time(), other))
        )

    def _open(self, moment: datetime) -> bool:
        openings = self.hours.openings_on(moment.date()) if self.hours else ()
        return any(opening.start <= moment.hour * 60 + moment.minute < opening.end for opening in openings)

    def _placed(self, words: str, mention: _Mention, wanted: Sequence[_Mention]) -> Iterable[_Span]:
        clocks = [other.spans for other in wanted if other.kind == "clock"]
        days = [other for other in wanted if other.kind == "day"]
        place = wanted.index(mention)
        if mention.kind == "day":
            span = self._still(mention.spans[0], words[mention.begin : mention.stop])
            following = wanted[place + 1] if place + 1 < len(wanted) else None
            if self.booked is not None and span.start is not None and texting.SAME_TIME.search(words):
                return [self._same_time(span, self.booked)]
            if following and following.kind == "moment" and texting.LISTED.match(words[mention.stop : following.begin]):
                clocks = [following.spans, *clocks]
            if not clocks or span.start is None:
                return [span]
            return [self._half(spans, day) for day in self._days(span) for spans in clocks]
        if mention.kind == "daily":
            first = mention.spans[0].day()
            return [
                self._half(mention.spans, day)
                for day in self._days(_Span(_midnight(first), None, "day"), first.weekday())
            ]
        if mention.kind == "counted":
            return mention.spans
        if mention.kind == "moment":
            if (moment := mention.spans[0]).grain == "second":
                return [moment]
            # "Monday at 8", on a Monday at 10, is the Monday to come.
            placed = [self._half(mention.spans, span.day()) for span in mention.spans]
            chosen = next((span for span in placed if not self._gone(span)), placed[0])
            return [self._after_midnight(chosen, words[mention.begin : mention.stop])]
        previous = wanted[place - 1] if place else None
        if (
            previous
            and previous.kind in ("moment", "counted")
            and texting.LISTED.match(words[previous.stop : mention.begin] + "at ")
        ):
            return [self._half(mention.spans, previous.spans[0].day())]
        if days:
            return []
        every = texting.EVERY.search(words[: mention.begin])
        if every or words[mention.begin : mention.stop].endswith("s"):
            coming = self._days(_Span(_midnight(self.wall.date()), None, "day"))
            working = every is not None and every["working"] is not None
            return [self._half(mention.spans, day) for day in coming if day.weekday() < 5 or not working]
        return [self._dayless(mention.spans)]

    def _days(self, span: _Span, skipped: int = 0) -> list[date]:
        """The days of a stretch, a week of them at most; of several only those the shop opens on."""
        assert span.start is not None
        count = (span.end - span.start).days if span.end else MAX_READINGS - skipped
        days = [span.start.date() + timedelta(days=ahead) for ahead in range(min(max(count, 1), MAX_READINGS))]
        return [day for day in days if len(days) == 1 or self.hours is None or self.hours.openings_on(day)]

    def _half(self, spans: Sequence[_Span], day: date) -> _Span:
        """A clock time on a day, am or pm as the shop is open, or nearest to when it is."""
        return min((span.on(day) for span in spans), key=lambda span: self._closed_for(span, day)).within(day)

    def _closed_for(self, span: _Span, day: date) -> int:
        """Minutes between a clock time and the day's nearest opening; 0 where it lies in one."""
        openings = self.hours.openings_on(day) if self.hours else ()
        if not openings:
            week = [opening for each in self.hours.week for opening in each] if self.hours else []
            week = week or [DAYTIME]
            openings = (Opening(min(o.start for o in week), max(o.end for o in week)),)
        edge = span.start or (span.end or self.wall) - timedelta(minutes=1)
        minute = edge.hour * 60 + edge.minute
        return min(max(o.start - minute, minute - o.end + 1, 0) for o in openings)

    def _dayless(self, spans: Sequence[_Span]) -> _Span:
        """A clock time of no day: on the booking's day, otherwise on the first open day it has not gone by."""
        if self.booked is not None:
            span = self._half(spans, self.booked.date())
            if not self._gone(span):
                return span
        today = self.wall.date()
        for ahead in range(2 * MAX_READINGS):
            day = today + timedelta(days=ahead)
            span = self._half(spans, day)
            if not self._gone(span) and (self.hours is None or self.hours.openings_on(day)):
                break
        # Of no day, so neither end is bound to one.
        return span._replace(start=spans[0].start and span.start, end=spans[0].end and span.end)

    def _still(self, span: _Span, said: str) -> _Span:
        """A day; said by the weekday that is today after the last opening, it is the one of next week."""
        today = self.wall.date()
        if self.hours is None or span.grain != "day" or span.day() != today or not texting.BARE_DAY.match(said):
            return span
        minute = self.wall.hour * 60 + self.wall.minute
        over = all(opening.end <= minute for opening in self.hours.openings_on(today))
        return span.on(today + timedelta(days=7)) if over else span

    def _after_midnight(self, span: _Span, said: str) -> _Span:
        """A clock time; "tonight at 1" is after midnight where the shop is open then."""
        if "tonight" not in said or not span.point or span.start is None or span.start.hour % 12 >= SMALL_HOURS:
            return span
        late = _midnight(self.wall.date() + timedelta(days=1)) + timedelta(
            hours=span.start.hour % 12, minutes=span.start.minute
        )
        return _point(late, span.grain) if self._open(late) else span

    def _gone(self, span: _Span) -> bool:
        return bool((span.end and span.end <= self.wall) or (span.point and span.start and span.start < self.wall))

    def _same_time(self, span: _Span, booked: datetime) -> _Span:
        """The booking's clock time on the day named, on its weekday in a week named; never the booking itself."""
        assert span.start is not None
        if span.grain == "month":
            return _point(_add(booked, "month", (span.start.month - booked.month) % 12 or 1), "minute")
        ahead = booked.weekday() if span.grain == "week" else 0
        start = datetime.combine(span.start.date() + timedelta(days=ahead), booked.time())
        return _point(start + timedelta(days=7) if start == booked else start, "minute")

    def _compared(self, words: str, placed: list[_Span]) -> list[_Span]:
        """What "earlier" or "later" makes of the booking's day, or alone of the time before or after the booking."""
        compared = texting.COMPARED.search(words)
        if compared is None or self.booked is None:
            return placed
        later = "later" in (compared[1], compared[3])
        day = _point(_midnight(self.booked.date()), "day")
        if placed:
            rest = _Span(self.booked, day.end, "minute") if later else _Span(day.start, self.booked, "minute")
            return [rest if span == day else span for span in placed]
        if compared["day"]:
            return [_Span(day.end, None, "day") if later else _Span(self.wall, day.start, "minute")]
        return [_Span(self.booked, day.end, "minute") if later else _Span(self.wall, self.booked, "minute")]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _reading(span: _Span, zone: ZoneInfo) -> Reading:
    start = wall_time(span.start, zone, last=bool(span.start.fold)) if span.start is not None else None
    end = wall_time(span.end, zone) if span.end is not None else None
    if start is not None and span.point and span.grain in {"hour", "minute", "second"}:
        # An hour is an hour where the clocks change, too.
        end = (start.astimezone(UTC) + timedelta(**{f"{span.grain}s": 1})).astimezone(zone)
    return Reading(start, end, span.grain, span.doubt)
