"""Time phrases as people text them; each case is a text somebody could send, on Monday 23 November 2026 at 10:00."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.shop.hours import Hours, wall_time
from bot.shop.when import MAX_READINGS, Reading, load, read

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=NEW_YORK)
#: Friday 27 November, 2 PM.
BOOKING = datetime(2026, 11, 27, 14, 0, tzinfo=NEW_YORK)
HOURS = Hours.parse(
    {
        **{name: ["9:00-18:00"] for name in ("mon", "tue", "wed", "thu", "fri")},
        "sat": ["10:00-16:00"],
        "dates": {"2026-11-26": []},
    },
    NEW_YORK,
)
NOTHING: list[str] = []


def short(reading: Reading) -> str:
    """A reading as "11-27 15:00 > 11-27 16:00 hour" on its own wall clock; "..." where open."""
    edges = [edge.strftime("%m-%d %H:%M") if edge else "..." for edge in (reading.start, reading.end)]
    return f"{edges[0]} > {edges[1]} {reading.grain}"


def told(
    text: str, *, booking: datetime | None = BOOKING, hours: Hours | None = HOURS, now: datetime = NOW
) -> list[str]:
    """What a text is read as."""
    return [short(reading) for reading in read(text, now, NEW_YORK, hours, booking)]


def day(date: int, month: int = 11) -> str:
    """A whole day of November 2026, or of another month."""
    start = datetime(2026, month, date)
    return f"{start:%m-%d} 00:00 > {start + timedelta(days=1):%m-%d} 00:00 day"


def hour(date: str, clock: int) -> str:
    """One whole hour of a day."""
    return f"{date} {clock:02}:00 > {date} {clock + 1:02}:00 hour"


def minute(date: str, clock: str) -> str:
    """One minute of a day."""
    hours, minutes = clock.split(":")
    return f"{date} {clock} > {date} {hours}:{int(minutes) + 1:02} minute"


TABLE = [
    # The days, spelled as people spell them.
    ("tuesday", [day(24)]),
    ("weds works", [day(25)]),
    ("wensday pls", [day(25)]),
    ("thurs?", [day(26)]),
    ("2moro", [day(24)]),
    ("tmrw", [day(24)]),
    ("tomoz is fine", [day(24)]),
    ("tommorow please", [day(24)]),
    ("2day if u can", [day(23)]),
    ("this fri", [day(27)]),
    ("nxt tues", [day(1, 12)]),
    ("next friday", [day(4, 12)]),
    ("day after tomorrow", [day(25)]),
    ("nov 30", [day(30)]),
    ("11/30", [day(30)]),
    ("the 1st", [day(1, 12)]),
    ("black friday", [day(27)]),
    ("thanksgiving", [day(26)]),
    ("in 3 days", [day(26)]),
    ("a week from monday", [day(30)]),
    ("2 weeks from friday", [day(11, 12)]),
    ("next wk sometime", ["11-30 00:00 > 12-07 00:00 week"]),
    ("in december", ["12-01 00:00 > 01-01 00:00 month"]),
    ("wknd", ["11-27 18:00 > 11-30 00:00 hour"]),
    ("mon-wed", ["11-23 00:00 > 11-26 00:00 day"]),
    ("any day after the 12th", ["12-13 00:00 > ... day"]),
    # Opening hours decide am or pm.
    ("thursday after 5", ["11-26 17:00 > 11-27 00:00 hour"]),
    ("next tues after 3", ["12-01 15:00 > 12-02 00:00 hour"]),
    ("tues b4 5", ["11-24 00:00 > 11-24 17:00 hour"]),
    ("2moro 3ish", [hour("11-24", 15)]),
    ("tmrw @ 9", [hour("11-24", 9)]),
    ("wed@2:30", [minute("11-25", "14:30")]),
    ("mon at 11", [hour("11-23", 11)]),
    ("monday at 8", [hour("11-30", 8)]),
    ("thurs 2", [hour("11-26", 14)]),
    ("tuesday at 1030", [minute("11-24", "10:30")]),
    ("dec 4 at 12", [hour("12-04", 12)]),
    ("sat 10-2", ["11-28 10:00 > 11-28 14:00 hour"]),
    ("btwn 2 n 4 tmrw", ["11-24 14:00 > 11-24 16:00 hour"]),
    ("tomorrow between 2 and 4pm", ["11-24 14:00 > 11-24 16:00 hour"]),
    ("sat 3:00-4:30", ["11-28 15:00 > 11-28 16:30 minute"]),
    ("fri 9a", [hour("11-27", 9)]),
    ("tues 3:30p", [minute("11-24", "15:30")]),
    ("tues 3.30", [minute("11-24", "15:30")]),
    ("sat 7am", [hour("11-28", 7)]),
    ("3pm est tomorrow", [hour("11-24", 15)]),
    # Parts of the day.
    ("tmrw mornin", ["11-24 00:00 > 11-24 12:00 hour"]),
    ("tues arvo", ["11-24 12:00 > 11-24 19:00 hour"]),
    ("tonite", ["11-23 18:00 > 11-24 00:00 hour"]),
    ("sat am", ["11-28 00:00 > 11-28 12:00 hour"]),
    ("noonish on sat", [hour("11-28", 12)]),
    ("lunchtime tomorrow", ["11-24 12:00 > 11-24 14:00 hour"]),
    ("tomorrow after lunch", ["11-24 13:00 > 11-25 00:00 hour"]),
    ("after work tomorrow", ["11-24 17:00 > 11-25 00:00 hour"]),
    ("december 10 after lunch", ["12-10 13:00 > 12-11 00:00 hour"]),
    ("first thing tmrw", ["11-24 00:00 > 11-24 12:00 hour"]),
    ("eod tues", ["11-24 12:00 > 11-24 19:00 hour"]),
    # Relative to the booking: Friday 2 PM.
    ("an hour later", [minute("11-27", "15:00")]),
    ("could i come in an hour earlier", [minute("11-27", "13:00")]),
    ("30 min earlier", [minute("11-27", "13:30")]),
    ("half an hour later pls", [minute("11-27", "14:30")]),
    ("an hour before that", [minute("11-27", "13:00")]),
    ("im gonna be 40 min late", [minute("11-27", "14:40")]),
    ("push it back a week", [minute("12-04", "14:00")]),
    ("move it up a day", [minute("11-26", "14:00")]),
    ("can we push it 2 days", [minute("11-29", "14:00")]),
    ("a month later", [minute("12-27", "14:00")]),
    ("same time monday", [minute("11-23", "14:00")]),
    ("same time on thurs", [minute("11-26", "14:00")]),
    ("same time friday", [minute("12-04", "14:00")]),
    ("same time next week", [minute("12-04", "14:00")]),
    ("tues or wed, same time", [minute("11-24", "14:00"), minute("11-25", "14:00")]),
    ("later that day", ["11-27 14:00 > 11-28 00:00 minute"]),
    ("same day but earlier", ["11-27 00:00 > 11-27 14:00 minute"]),
    ("same day at 5", [hour("11-27", 17)]),
    ("anything after 4 that day", ["11-27 16:00 > 11-28 00:00 hour"]),
    ("something earlier would be great", ["11-23 10:00 > 11-27 14:00 minute"]),
    ("need a later date", ["11-28 00:00 > ... day"]),
    ("the day after", [day(28)]),
    ("the day before at noon", [hour("11-26", 12)]),
    ("the week after?", ["11-30 00:00 > 12-07 00:00 week"]),
    ("another day that week", ["11-23 00:00 > 11-30 00:00 week"]),
    ("push it to the following monday", [day(30)]),
    # A clock time of no day is on the booking's day.
    ("3pm", [hour("11-27", 15)]),
    ("at 4", [hour("11-27", 16)]),
    ("make it 4 instead", [hour("11-27", 16)]),
    ("is 10 ok", [hour("11-27", 10)]),
    ("how about 430", [minute("11-27", "16:30")]),
    ("around 430?", [minute("11-27", "16:30")]),
    ("after 4 is best", ["11-27 16:00 > 11-28 00:00 hour"]),
    ("before noon works", ["11-27 00:00 > 11-27 12:00 hour"]),
    ("between 1 and 3", ["11-27 13:00 > 11-27 15:00 hour"]),
    ("2 to 4", ["11-27 14:00 > 11-27 16:00 hour"]),
    ("afternoon is better", ["11-27 12:00 > 11-27 19:00 hour"]),
    ("by 4", ["11-27 00:00 > 11-27 16:00 hour"]),
    ("can i stop by at 5", [hour("11-27", 17)]),
    # Several, in order.
    ("the 3rd or the 4th", [day(3, 12), day(4, 12)]),
    ("dec 3 or 4th", [day(3, 12), day(4, 12)]),
    ("tues or weds", [day(24), day(25)]),
    ("mon, tues or wed", [day(23), day(24), day(25)]),
    ("thursday at 3 or 4", [hour("11-26", 15), hour("11-26", 16)]),
    ("wed or thurs afternoon", ["11-25 12:00 > 11-25 19:00 hour", "11-26 12:00 > 11-26 19:00 hour"]),
    ("tues or thurs, after 3", ["11-24 15:00 > 11-25 00:00 hour", "11-26 15:00 > 11-27 00:00 hour"]),
    ("friday works, maybe around 3", [hour("11-27", 15)]),
    ("earlier, like 9 or 10", [hour("11-27", 9), hour("11-27", 10)]),
    (
        "any morning next week",
        [f"{d} 00:00 > {d} 12:00 hour" for d in ["11-30", "12-01", "12-02", "12-03", "12-04", "12-05"]],
    ),
    (
        "next week after 4",
        [
            "11-30 16:00 > 12-01 00:00 hour",
            "12-01 16:00 > 12-02 00:00 hour",
            "12-02 16:00 > 12-03 00:00 hour",
            "12-03 16:00 > 12-04 00:00 hour",
            "12-04 16:00 > 12-05 00:00 hour",
            "12-05 16:00 > 12-06 00:00 hour",
        ],
    ),
    ("mornings are best", [f"{d} 00:00 > {d} 12:00 hour" for d in ["11-23", "11-24", "11-25", "11-27", "11-28"]]),
    # Refused, corrected.
    ("not Tuesday, Wednesday instead", [day(25)]),
    ("wednesday not tuesday", [day(25)]),
    ("can't do friday, monday?", [day(23)]),
    ("cant do thurs or fri, how about sat", [day(28)]),
    ("I'm busy thursday and friday, tues ok?", [day(24)]),
    ("friday doesn't work, saturday?", [day(28)]),
    ("thursday isn't good for me, can i get wed", [day(25)]),
    ("saturday instead of friday", [day(28)]),
    ("anything but monday", NOTHING),
    ("not friday", NOTHING),
    ("i can't on friday i have class", NOTHING),
    ("no, Thursday", [day(26)]),
    ("no friday", [day(27)]),
    ("friday no wait saturday", [day(28)]),
    ("tuesday, sorry, i meant wed", [day(25)]),
    ("not 3, 4", [hour("11-27", 16)]),
    ("meant 11 not 1", [hour("11-27", 11)]),
    ("after work, so 5:30", [minute("11-27", "17:30")]),
    ("not before 3", ["11-27 15:00 > 11-28 00:00 hour"]),
    ("not in the morning, after 2", ["11-27 14:00 > 11-28 00:00 hour"]),
    ("can't we do tuesday?", [day(24)]),
    ("why not tuesday", [day(24)]),
    # The booking to be moved is not the time that is wanted.
    ("fri appt to next tues after 3", ["12-01 15:00 > 12-02 00:00 hour"]),
    ("can you move my fri appt to next tues after 3", ["12-01 15:00 > 12-02 00:00 hour"]),
    (
        "move my thurs 2pm to next wed after 5",
        ["12-02 17:00 > 12-03 00:00 hour", "11-25 17:00 > 11-26 00:00 hour"],
    ),
    ("move my 2:00 to 4:00", [minute("11-27", "16:00")]),
    ("change my time from 1 to 2:30", [minute("11-27", "14:30")]),
    ("switch my appointment from tues to thurs", [day(26)]),
    ("switch friday to monday", [day(23)]),
    ("pls change my friday one to thursday", [day(26)]),
    ("my appt is friday at 2 can i move it to 4", [hour("11-27", 16)]),
    ("I have an appointment on thursday at 3. could we do the week after?", ["11-30 00:00 > 12-07 00:00 week"]),
    ("can i change my friday appt", NOTHING),
    ("move my appointment to the 9th", [day(9, 12)]),
    # As soon as can be.
    ("asap", ["11-23 10:00 > ... second"]),
    ("next available slot pls", ["11-23 10:00 > ... second"]),
    ("the earliest you have on tuesday", [day(24)]),
    # Numbers and days that are no wanted times.
    ("2", NOTHING),
    ("9", NOTHING),
    ("1 please", NOTHING),
    ("number 2", NOTHING),
    ("4 but shipping was slow", NOTHING),
    ("5 stars", NOTHING),
    ("5 great service", NOTHING),
    ("4 of 5", NOTHING),
    ("10/10", NOTHING),
    ("4/5 would come again", NOTHING),
    ("order 1042", NOTHING),
    ("#1042", NOTHING),
    ("that was $3.30 too much", NOTHING),
    ("call me on 212-555-0123", NOTHING),
    ("i'd like 2 please", NOTHING),
    ("take it in by 2 inches", NOTHING),
    ("i waited 2 weeks", NOTHING),
    ("ordered on monday and nothing came", NOTHING),
    ("it was supposed to arrive monday", NOTHING),
    ("2 weeks ago", NOTHING),
    ("yesterday", NOTHING),
    ("thanks for today", NOTHING),
    ("have a great weekend", NOTHING),
    ("happy thanksgiving", NOTHING),
    ("good morning", NOTHING),
    ("see you later", NOTHING),
    ("open 24/7?", NOTHING),
    ("i sat there for ages", NOTHING),
    ("today at 9", NOTHING),
    ("", NOTHING),
    ("👍🏽", NOTHING),
]


@pytest.mark.parametrize("text, expected", TABLE, ids=[text or "empty" for text, _ in TABLE])
def test_a_text_about_a_booking_is_read_as_it_is_meant(text: str, expected: list[str]) -> None:
    """With the shop's hours and the booking known, a text gives the times its writer wants, best first."""
    assert expected == told(text)


# -- the table of phrases ------------------------------------------------------------------------------------------


def phrases() -> Iterator[Any]:
    """Each phrase of the table with what is known of its shop."""
    for known in yaml.safe_load((Path(__file__).parent / "when.yml").read_text()):
        zone = ZoneInfo(known["zone"])
        now, booking = (datetime.fromisoformat(known[key]) if key in known else None for key in ("now", "booking"))
        hours = Hours.parse(known["hours"], zone) if "hours" in known else None
        for phrase, expected in known["phrases"].items():
            yield pytest.param(phrase, now, zone, hours, booking, expected, id=f"{known['about']}: {phrase}")


def told_short(reading: Reading) -> str:
    """A reading as the table has it."""
    start, end = (edge.replace(tzinfo=None) if edge else None for edge in (reading.start, reading.end))
    before = "or " if reading.doubt else ""
    if start and reading.start and reading.end and end:
        lasts = reading.end.astimezone(UTC) - reading.start.astimezone(UTC)
        if reading.grain == "day" and start.hour == 0 and end == start + timedelta(days=1):
            return f"{before}{start:%Y-%m-%d}"
        if reading.grain == "hour" and lasts == timedelta(hours=1):
            return f"{before}{start:%Y-%m-%d %H}"
        if reading.grain == "minute" and lasts == timedelta(minutes=1):
            return f"{before}{start:%Y-%m-%d %H:%M}"
    edges = [f"{edge:%Y-%m-%d %H:%M}" if edge else "..." for edge in (start, end)]
    return f"{before}{edges[0]} > {edges[1]} {reading.grain}"


@pytest.mark.parametrize("phrase, now, zone, hours, booking, expected", list(phrases()))
def test_a_phrase_is_read_as_its_writer_means_it(
    phrase: str,
    now: datetime,
    zone: ZoneInfo,
    hours: Hours | None,
    booking: datetime | None,
    expected: list[str],
) -> None:
    """Each phrase of the table gives what it says there, whatever is known of the shop."""
    assert expected == [told_short(reading) for reading in read(phrase, now, zone, hours, booking)]


def test_the_table_is_wide() -> None:
    """A hundred and fifty phrases at least, with and without a shop."""
    assert len(list(phrases())) >= 150


# -- Duckling's own grammar ----------------------------------------------------------------------------------------

GRAMMAR = yaml.safe_load((Path(__file__).parent / "duckling.yml").read_text())
UTC_ZONE = ZoneInfo("UTC")
#: A Tuesday.
MOMENT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC_ZONE)
ALL_DAY = Hours.parse({name: ["8:00-22:00"] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}, UTC_ZONE)


def as_duckling(phrase: str) -> tuple[datetime | None, datetime | None, str]:
    """What Duckling alone reads first: from, to where it has one, and the grain."""
    duckling, zones, locale, dimensions = load()
    context = duckling.Context(duckling.parse_ref_time(zones, "Etc/UTC", int(MOMENT.timestamp())), locale)
    found = duckling.parse(phrase, context, dimensions, False)
    value = next(item["value"]["values"][0] for item in found if item["dim"] == "time")
    if value["type"] == "value":
        return datetime.fromisoformat(value["value"]), None, value["grain"]
    start, end = (value.get(edge) for edge in ("from", "to"))
    edges = [datetime.fromisoformat(edge["value"]) if edge else None for edge in (start, end)]
    return edges[0], edges[1], (start or end)["grain"]


def reads_as(phrase: str, hours: Hours | None, expected: tuple[datetime | None, datetime | None, str]) -> bool:
    """Whether our first reading of a phrase is this; Duckling names the end of an interval alone."""
    readings = read(phrase, MOMENT, UTC_ZONE, hours, None)
    if not readings:
        return False
    start, end, grain = expected
    return (readings[0].start, readings[0].grain) == (start, grain) and end in (None, readings[0].end)


@pytest.mark.parametrize("phrase", [*GRAMMAR["same"].splitlines(), *GRAMMAR["differs"]])
def test_without_a_shop_ducklings_grammar_is_ducklings(phrase: str) -> None:
    """Our layer takes nothing from a phrase that Duckling reads by itself."""
    assert reads_as(phrase, None, as_duckling(phrase))


@pytest.mark.parametrize("phrase", GRAMMAR["same"].splitlines())
def test_with_a_shop_ducklings_grammar_survives(phrase: str) -> None:
    """What a shop's contacts can mean is read as Duckling reads it, but for what has gone by."""
    start, end, grain = as_duckling(phrase)
    gone = start is not None and start + timedelta(days=1) <= MOMENT and end is None and grain == "day"

    assert gone or reads_as(phrase, ALL_DAY, (start, end, grain))


@pytest.mark.parametrize("phrase", GRAMMAR["differs"])
def test_a_reading_of_ours_that_differs_from_ducklings_has_a_reason(phrase: str) -> None:
    """The list of differences holds nothing that no longer differs."""
    assert not reads_as(phrase, ALL_DAY, as_duckling(phrase))
    assert GRAMMAR["differs"][phrase]


# -- bookings of one shop ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ("at 3", [hour("11-23", 15)]),
        ("at 9", [hour("11-24", 9)]),
        ("3pm", [hour("11-23", 15)]),
        ("after 5", ["11-23 17:00 > ... hour"]),
        ("before 11", ["... > 11-23 11:00 hour"]),
        ("before 10", ["... > 11-24 10:00 hour"]),
        ("an hour later", NOTHING),
        ("later that day", NOTHING),
        ("the day after", NOTHING),
        ("in an hour", [minute("11-23", "11:00")]),
    ],
)
def test_without_a_booking_a_clock_time_is_the_next_the_shop_is_open(text: str, expected: list[str]) -> None:
    """A contact who has no booking means the next such time, and nothing can be counted from a booking."""
    assert expected == told(text, booking=None)


OFFERED = datetime(2026, 12, 9, 11, 0, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    "text, start",
    [
        ("no, thursday", "2026-12-10T00:00"),
        ("wed", "2026-12-09T00:00"),
        ("tues works better", "2026-12-08T00:00"),
        ("sat 10am", "2026-12-12T10:00"),
        ("thurs at 3", "2026-12-10T15:00"),
        ("4pm", "2026-12-09T16:00"),
        ("next friday", "2026-12-04T00:00"),
        ("this friday", "2026-11-27T00:00"),
        ("thursday dec 17", "2026-12-17T00:00"),
        ("thursday the 17th", "2026-12-17T00:00"),
    ],
)
def test_a_weekday_answers_the_week_that_was_offered(text: str, start: str) -> None:
    """Asked about a Wednesday in a fortnight, "thursday" is the day after, unless the text names another week."""
    reading = read(text, NOW, NEW_YORK, HOURS, OFFERED, OFFERED)[0]

    assert datetime.fromisoformat(start).replace(tzinfo=NEW_YORK) == reading.start


def test_a_clock_time_skips_days_the_shop_is_closed() -> None:
    """On a Saturday evening "at 3" is Monday afternoon: the shop is closed on Sunday."""
    saturday = datetime(2026, 11, 28, 19, 0, tzinfo=NEW_YORK)

    assert [hour("11-30", 15)] == told("at 3", booking=None, now=saturday)


def test_a_clock_time_on_the_day_of_the_booking_may_have_gone_by() -> None:
    """At noon on the booking's day, "at 9" is the next morning the shop is open."""
    noon = datetime(2026, 11, 27, 12, 0, tzinfo=NEW_YORK)

    assert [hour("11-28", 9)] == told("at 9", now=noon)


def test_a_bar_reads_the_same_words_as_evening() -> None:
    """Opening hours, not a habit of ours, decide that "friday at 8" is eight in the evening."""
    bar = Hours.parse({name: ["17:00-24:00"] for name in ("thu", "fri", "sat")}, NEW_YORK)

    assert [hour("11-27", 20)] == told("friday at 8", hours=bar, booking=None)
    assert [hour("11-27", 8)] == told("friday at 8", booking=None)


def test_a_booking_alone_takes_the_working_day_for_granted() -> None:
    """Where no hours are known, three is three in the afternoon."""
    assert [hour("11-27", 15)] == told("at 3", hours=None)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("next tues after 3", ["12-01 03:00 > ... hour"]),
        ("thursday after 5", ["11-26 05:00 > ... hour"]),
        ("2moro 3ish", [hour("11-24", 3)]),
        ("at 3", [hour("11-23", 15)]),
        ("at 9", [hour("11-23", 21)]),
        ("nxt wk", ["11-30 00:00 > 12-07 00:00 week"]),
        ("not tuesday, wednesday instead", [day(25)]),
        ("the 3rd or the 4th", [day(3, 12), day(4, 12)]),
        ("any morning next week", ["11-30 00:00 > 11-30 12:00 hour"]),
        ("between 2 and 4", ["11-23 14:00 > 11-23 17:00 hour"]),
        ("an hour later", NOTHING),
        ("3", NOTHING),
    ],
)
def test_without_a_shop_a_text_is_read_as_duckling_reads_it(text: str, expected: list[str]) -> None:
    """Knowing neither hours nor booking, only the texting is added to Duckling."""
    assert expected == told(text, hours=None, booking=None)


# -- zones and clocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "zone, offset",
    [("America/New_York", -5), ("America/Los_Angeles", -8), ("Europe/London", 0), ("Asia/Tokyo", 9)],
)
def test_a_time_is_an_instant_of_the_shops_zone(zone: str, offset: int) -> None:
    """Tomorrow at 3 PM is winter time in winter, wherever the shop is and whatever zone the clock was read in."""
    place = ZoneInfo(zone)
    now = datetime(2026, 11, 23, 10, 0, tzinfo=place)
    [reading] = read("tomorrow at 3pm", now.astimezone(UTC), place, None, None)

    assert reading.start is not None
    assert (datetime(2026, 11, 24, 15, 0), timedelta(hours=offset)) == (
        reading.start.replace(tzinfo=None),
        reading.start.utcoffset(),
    )


def test_today_is_the_shops_today() -> None:
    """At 2 AM in London it is still the evening before in New York, and "tomorrow" is counted from there."""
    assert [day(23)] == told("tomorrow", now=datetime(2026, 11, 23, 2, 0, tzinfo=ZoneInfo("Europe/London")))


def test_a_reading_tells_its_instants_with_offsets() -> None:
    """The entity is ISO 8601 in the shop's zone, null where open."""
    [reading] = read("after 5", NOW, NEW_YORK, HOURS, None)

    assert {"from": "2026-11-23T17:00:00-05:00", "to": None, "grain": "hour"} == reading.as_entity()


@pytest.mark.parametrize(
    "now, text, expected",
    [
        ("2026-10-31T10:00:00-04:00", "tomorrow", ("2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00")),
        ("2026-10-31T10:00:00-04:00", "tomorrow at 1:30am", ("2026-11-01T01:30:00-04:00", "2026-11-01T01:31:00-04:00")),
        ("2026-10-31T10:00:00-04:00", "tomorrow at 3pm", ("2026-11-01T15:00:00-05:00", "2026-11-01T16:00:00-05:00")),
        ("2027-03-13T10:00:00-05:00", "tomorrow", ("2027-03-14T00:00:00-05:00", "2027-03-15T00:00:00-04:00")),
        ("2027-03-13T10:00:00-05:00", "tomorrow at 2:30am", ("2027-03-14T03:30:00-04:00", "2027-03-14T03:31:00-04:00")),
        ("2027-03-13T10:00:00-05:00", "tomorrow at 2am", ("2027-03-14T03:00:00-04:00", "2027-03-14T04:00:00-04:00")),
        ("2027-03-08T10:00:00-05:00", "next monday at 9am", ("2027-03-15T09:00:00-04:00", "2027-03-15T10:00:00-04:00")),
    ],
)
def test_a_change_of_clocks_loses_no_time(now: str, text: str, expected: tuple[str, str]) -> None:
    """A day of 23 or 25 hours is a day; a time that is skipped moves forward, one that comes twice is its first."""
    [reading] = read(text, datetime.fromisoformat(now), NEW_YORK, None, None)
    entity = reading.as_entity()

    assert expected == (entity["from"], entity["to"])


def test_a_week_later_keeps_the_clock_time_over_a_change_of_clocks() -> None:
    """Pushed back a week over the end of summer time, 2 PM stays 2 PM."""
    booking = datetime(2026, 10, 28, 14, 0, tzinfo=NEW_YORK)
    now = datetime(2026, 10, 26, 10, 0, tzinfo=NEW_YORK)
    [reading] = read("push it back a week", now, NEW_YORK, HOURS, booking)

    assert "2026-11-04T14:00:00-05:00" == reading.as_entity()["from"]


ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))
AROUND_THE_CLOCK = {name: ["0:00-24:00"] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
#: Quarters of an hour around a change of clocks, in New York, London and on Lord Howe, which changes by half an hour.
NEAR_A_CHANGE = st.sampled_from(
    [
        (zone, datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes))
        for zone, days in {
            NEW_YORK: ("2026-11-01", "2027-03-14"),
            ZoneInfo("Europe/London"): ("2026-10-25", "2027-03-28"),
            ZoneInfo("Australia/Lord_Howe"): ("2026-10-03", "2027-04-03"),
        }.items()
        for day in days
        for minutes in range(0, 24 * 60, 15)
    ]
)
DAYS = ("monday", "tues", "weds", "thursday", "fri", "saturday", "sunday", "tomorrow", "2moro")


@settings(max_examples=150, deadline=None)
@given(ZONES, MOMENTS, st.sampled_from(DAYS), st.integers(1, 12), st.sampled_from(("am", "pm")))
def test_a_day_at_a_time_is_that_wall_clock_wherever_the_shop_is(
    zone: ZoneInfo, now: datetime, day_said: str, clock: int, half: str
) -> None:
    """A weekday or tomorrow at a clock time lies ahead, within a week, and shows that time if the clocks do."""
    hours = Hours.parse(AROUND_THE_CLOCK, zone)
    [reading] = read(f"{day_said} at {clock}{half}", now, zone, hours, None)
    assert reading.start is not None
    assert reading.end is not None

    assert now < reading.end.astimezone(UTC)
    assert timedelta(hours=1) == reading.end.astimezone(UTC) - reading.start.astimezone(UTC)
    assert reading.start.utcoffset() == reading.start.astimezone(UTC).astimezone(zone).utcoffset()
    assert reading.start.astimezone(UTC) - now < timedelta(days=8, hours=2)
    said = datetime.combine(reading.start.date(), datetime.min.time()).replace(hour=clock % 12 + 12 * (half == "pm"))
    assert wall_time(said, zone) == reading.start


@settings(max_examples=150, deadline=None)
@given(ZONES, MOMENTS)
def test_tomorrow_is_the_day_after_the_shops_today(zone: ZoneInfo, now: datetime) -> None:
    """In any zone, at any moment of any year, tomorrow is a whole day and begins where the shop's today ends."""
    today, tomorrow = (read(text, now, zone, None, None)[0] for text in ("today", "tomorrow"))

    assert today.start is not None
    assert tomorrow.end is not None
    assert today.end == tomorrow.start
    assert today.start.astimezone(UTC) <= now < tomorrow.end.astimezone(UTC)
    assert today.start.date() == now.astimezone(zone).date()


@settings(max_examples=150, deadline=None)
@given(NEAR_A_CHANGE, st.integers(1, 5), st.sampled_from(("later", "earlier")))
def test_hours_from_a_booking_are_hours_that_pass(place: tuple[ZoneInfo, datetime], count: int, way: str) -> None:
    """Two hours later is two hours later, also where the clocks change in between."""
    zone, booking = place
    now = booking - timedelta(days=2)
    [reading] = read(f"{count} hours {way}", now, zone, None, booking)
    assert reading.start is not None

    assert booking + timedelta(hours=count if way == "later" else -count) == reading.start.astimezone(UTC)


@settings(max_examples=150, deadline=None)
@given(NEAR_A_CHANGE, st.sampled_from(("in {} hours", "{} hours from now")), st.integers(1, 5), st.booleans())
def test_hours_from_now_are_hours_that_pass(
    place: tuple[ZoneInfo, datetime], phrase: str, count: int, in_shop: bool
) -> None:
    """In two hours is two hours from now, also where the clocks change in between."""
    zone, now = place
    hours = Hours.parse(AROUND_THE_CLOCK, zone) if in_shop else None
    [reading] = read(phrase.format(count), now, zone, hours, None)
    assert reading.start is not None

    assert now + timedelta(hours=count) == reading.start.astimezone(UTC)


@settings(max_examples=150, deadline=None)
@given(ZONES, MOMENTS, st.integers(1, 6), st.sampled_from(("day", "week")))
def test_days_from_a_booking_keep_its_clock_time(zone: ZoneInfo, booking: datetime, count: int, unit: str) -> None:
    """Two days or weeks later is the same time on the wall clock, unless the clocks skip it."""
    [reading] = read(f"{count} {unit}s later", booking - timedelta(hours=5), zone, None, booking)
    local = booking.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)

    assert wall_time(local + timedelta(**{f"{unit}s": count}), zone) == (
        reading.start and reading.start.replace(second=0, microsecond=0)
    )


@settings(max_examples=100, deadline=None)
@given(
    MOMENTS, st.sampled_from(("jan 5 at 3pm", "march 3 at 3pm", "dec 31 at 3pm", "the 31st at 3pm", "feb 29 at 3pm"))
)
def test_a_date_of_no_year_is_the_next_of_its_name(now: datetime, phrase: str) -> None:
    """Over the end of a year and to the next leap year a date lies ahead."""
    [reading] = read(phrase, now, NEW_YORK, HOURS, None)

    assert reading.end is not None
    assert now < reading.end.astimezone(UTC) < now + timedelta(days=366 * 5)


# -- the process it runs in ----------------------------------------------------------------------------------------

_INTERRUPTED = """
import os, signal
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
from bot.shop.when import read
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
assert read("friday", datetime.now(timezone.utc), ZoneInfo("America/New_York"), None, None)
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.sigtimedwait([signal.SIGUSR1], 5)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_still_stops_a_process_that_has_read_a_text() -> None:
    """Duckling's runtime takes SIGINT for itself; a process that read a text has it back."""
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, check=True, timeout=30)

    assert "interrupted" == done.stdout.strip()


def test_importing_the_reader_starts_nothing() -> None:
    """Commands that read no text do not pay for Duckling's runtime."""
    script = "import sys; import bot.shop.when; print('duckling' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)

    assert "False" == done.stdout.strip()


# -- whatever the text ---------------------------------------------------------------------------------------------

_VOCABULARY = """next tues after before 3 4pm 3:30 between and from to on the 3rd at 5 in morning week 2moro until
december 10/12 day - , or . noon 2 hours later earlier same time not can't my appt friday move it no wait any every
that half past"""
_WORDS = st.sampled_from(_VOCABULARY.split())
_TEXTS = st.one_of(st.text(max_size=1600), st.lists(_WORDS, max_size=14).map(" ".join))


@settings(max_examples=300, deadline=None)
@given(_TEXTS, st.booleans(), st.booleans())
def test_any_text_gives_sound_readings(text: str, with_hours: bool, with_booking: bool) -> None:
    """Whatever is texted, nothing is raised, and every reading is aware and ends after it starts."""
    readings = read(text, NOW, NEW_YORK, HOURS if with_hours else None, BOOKING if with_booking else None)

    assert len(readings) <= MAX_READINGS
    assert len(set(readings)) == len(readings)
    for reading in readings:
        assert reading.start is not None or reading.end is not None
        assert all(edge is None or edge.tzinfo is NEW_YORK for edge in (reading.start, reading.end))
        if reading.start is not None and reading.end is not None:
            assert reading.start.astimezone(UTC) < reading.end.astimezone(UTC)
        if (with_hours or with_booking) and reading.end is not None:
            assert reading.end.astimezone(UTC) > NOW.astimezone(UTC)


@pytest.mark.parametrize(
    "text",
    [
        "next tues after 3 to 4pm between 5 and 6 from 7 on the 3rd of " * 26,
        "until 4pm this weekend december 9am " * 45,
        "summer morning weekend 3:30 " * 57,
        "1 2 3 4 5 6 7 8 9 " * 88,
        "monday tuesday wednesday " * 64,
        "3-4-5-6-7-" * 160,
        "1:1:1:1:" * 200,
        "move from " * 160,
    ],
)
def test_no_text_keeps_the_reader_busy(text: str) -> None:
    """Texts made to be hard, which Duckling alone takes up to minutes for, are read well within a second."""
    read("friday", NOW, NEW_YORK, HOURS, BOOKING)
    began = time.process_time()
    read(text, NOW, NEW_YORK, HOURS, BOOKING)

    assert time.process_time() - began < 0.5
