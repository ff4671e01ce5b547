"""Opening hours: what they allow, when they open next and how they are told; no database is needed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import text
from bot.shop.hours import WEEKDAYS, Hours, wall_time

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = date(2026, 11, 23)


def at(zone: ZoneInfo, *parts: int, fold: int = 0) -> datetime:
    """A moment on the wall clock of a zone."""
    year, month, day, hour, minute = parts
    return datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold)


def here(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026 in New York."""
    return at(NEW_YORK, 2026, 11, day, hour, minute)


def tailor() -> Hours:
    """A shop with a lunch break on Tuesdays, short Saturdays, and closed for Thanksgiving."""
    return Hours.parse(
        {
            "mon": ["9:00-18:00"],
            "tue": ["9:00-12:00", "13:00-18:00"],
            "wed": ["9:00-18:00"],
            "thu": ["9:00-18:00"],
            "fri": ["9:00-18:00"],
            "sat": ["10:00-16:00"],
            "sun": [],
            "dates": {"2026-11-26": [], "2026-11-29": ["12:00-15:30"]},
        },
        NEW_YORK,
    )


# -- the entries ---------------------------------------------------------------------------------------------------


def test_weekdays_that_are_missing_are_closed() -> None:
    """A weekday nobody wrote down is a day off."""
    hours = Hours.parse({"mon": ["9:00-18:00"]}, NEW_YORK)

    assert [((540, 1080),), (), (), (), (), (), ()] == [tuple(map(tuple, day)) for day in hours.week]


def test_hours_of_one_shape_are_equal() -> None:
    """Hours are a value: read twice, they compare equal and hash alike."""
    assert tailor() == tailor()
    assert hash(tailor()) == hash(tailor())


def test_dates_may_come_as_dates() -> None:
    """YAML reads an unquoted 2026-12-25 as a date; that names the same day as the quoted one."""
    quoted = Hours.parse({"dates": {"2026-12-25": ["10:00-12:00"]}}, NEW_YORK)

    assert quoted == Hours.parse({"dates": {date(2026, 12, 25): ["10:00-12:00"]}}, NEW_YORK)


@pytest.mark.parametrize(
    "raw, named",
    [
        ({"monday": ["9:00-18:00"]}, "'monday'"),
        ({"mon": "9:00-18:00"}, "'9:00-18:00' must be a list"),
        ({"mon": ["9-18"]}, "of mon: '9-18'"),
        ({"mon": [9]}, "of mon: 9"),
        ({"tue": ["18:00-9:00"]}, "of tue: '18:00-9:00' ends before it begins"),
        ({"tue": ["9:00-9:00"]}, "of tue: '9:00-9:00' ends before it begins"),
        ({"wed": ["9:00-25:00"]}, "of wed: '9:00-25:00'"),
        ({"wed": ["9:60-18:00"]}, "of wed: '9:60-18:00'"),
        ({"thu": ["9:00-13:00", "12:00-18:00"]}, "of thu: 9:00-13:00 and 12:00-18:00 overlap"),
        ({"dates": {"christmas": []}}, "'christmas' under dates"),
        ({"dates": {"2026-12-25": ["noon"]}}, "of 2026-12-25: 'noon'"),
        ({"dates": ["2026-12-25"]}, "dates must be a table"),
        (["mon"], "must be a table of weekdays"),
    ],
)
def test_a_wrong_entry_is_named_in_one_sentence(raw: dict[str, object], named: str) -> None:
    """Whoever edits the shop file is told which entry is wrong, in a single sentence."""
    with pytest.raises(ValueError) as caught:
        Hours.parse(raw, NEW_YORK)
    told = str(caught.value)

    assert named in told
    assert told.endswith(".")
    assert ". " not in told


# -- open or not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment, expected",
    [
        (here(23, 9), True),
        (here(23, 8, 59), False),
        (here(23, 17, 59), True),
        (here(23, 18), False),
        (here(24, 12, 30), False),
        (here(26, 11), False),
        (here(29, 12), True),
        (here(22, 12), False),
        (datetime(2026, 11, 23, 14, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), False),
    ],
    ids=str,
)
def test_the_shop_is_open_from_its_first_minute_to_its_last(moment: datetime, expected: bool) -> None:
    """The opening minute is open, the closing minute closed, dates go before weekdays, and any zone may ask."""
    assert expected == tailor().is_open(moment)


@pytest.mark.parametrize(
    "start, end, expected",
    [
        (here(23, 9), here(23, 18), True),
        (here(23, 17, 30), here(23, 18, 15), False),
        (here(24, 11, 30), here(24, 13, 30), False),
        (here(24, 13), here(24, 14), True),
        (here(23, 17), here(24, 10), False),
        (here(23, 11), here(23, 11), False),
        (here(23, 12), here(23, 11), False),
    ],
    ids=str,
)
def test_an_appointment_fits_only_inside_one_stretch(start: datetime, end: datetime, expected: bool) -> None:
    """No appointment runs over closing time, a lunch break or a night."""
    assert expected == tailor().fits(start, end)


def test_an_appointment_may_run_over_a_midnight_that_is_open() -> None:
    """A bar open until 24:00 and again from 0:00 is open through."""
    bar = Hours.parse({"fri": ["18:00-24:00"], "sat": ["0:00-3:00"]}, NEW_YORK)

    assert bar.fits(here(27, 23), here(28, 2))
    assert not bar.fits(here(27, 23), here(28, 4))


@pytest.mark.parametrize(
    "after, expected",
    [
        (here(23, 10, 17), here(23, 10, 17)),
        (here(23, 7), here(23, 9)),
        (here(24, 12), here(24, 13)),
        (here(25, 18), here(27, 9)),
        (here(28, 16), here(29, 12)),
    ],
    ids=str,
)
def test_the_next_opening_skips_breaks_nights_and_holidays(after: datetime, expected: datetime) -> None:
    """The next open moment is now where it is open, otherwise the next opening in the calendar."""
    assert expected == tailor().next_open(after)


def test_a_shop_that_never_opens_has_no_next_opening() -> None:
    """Closed for good is told as such, not searched forever."""
    assert Hours.parse({}, NEW_YORK).next_open(here(23, 10)) is None


# -- the clocks change ---------------------------------------------------------------------------------------------


def test_the_short_night_keeps_its_opening_hours() -> None:
    """On the day the clocks go forward 9:00 is 9:00 daylight time, an hour less after midnight."""
    hours = Hours.parse({"sun": ["0:00-9:00"]}, NEW_YORK)
    [(start, end)] = hours.spans_on(date(2027, 3, 14))

    assert timedelta(hours=8) == end.astimezone(UTC) - start.astimezone(UTC)
    assert timedelta(hours=-4) == end.utcoffset()


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    """On the day the clocks go back both showings of 1:30 are open, and the night is an hour longer."""
    hours = Hours.parse({"sun": ["1:00-2:00"]}, NEW_YORK)
    [(start, end)] = hours.spans_on(date(2026, 11, 1))

    assert timedelta(hours=2) == end.astimezone(UTC) - start.astimezone(UTC)
    assert hours.is_open(at(NEW_YORK, 2026, 11, 1, 1, 30, fold=0))
    assert hours.is_open(at(NEW_YORK, 2026, 11, 1, 1, 30, fold=1))


def test_a_time_the_clocks_skip_moves_forward() -> None:
    """2:30 does not exist on 14 March 2027 in New York; it is read as 3:30 daylight time."""
    moment = wall_time(datetime(2027, 3, 14, 2, 30), NEW_YORK)

    assert "2027-03-14T03:30:00-04:00" == moment.isoformat()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"])
def test_opening_hours_are_those_of_the_zone(zone: str) -> None:
    """Half-hour zones and half-hour clock changes are zones like any other."""
    hours = Hours.parse({name: ["9:00-18:00"] for name in WEEKDAYS}, ZoneInfo(zone))
    [(start, end)] = hours.spans_on(MONDAY)

    assert (9, 18) == (start.hour, end.hour)
    assert hours.is_open(datetime(2026, 11, 23, 9, 0, tzinfo=ZoneInfo(zone)).astimezone(UTC))


# -- told in a text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "day, expected",
    [
        (23, "9:00 AM-6:00 PM"),
        (24, "9:00 AM-12:00 PM, 1:00 PM-6:00 PM"),
        (26, "closed"),
        (29, "12:00 PM-3:30 PM"),
    ],
)
def test_a_day_is_told_in_words(day: int, expected: str) -> None:
    """A contact reads the hours of one day as they stand, exceptions included."""
    assert expected == tailor().words_on(date(2026, 11, day))


@pytest.mark.parametrize(
    "raw, expected",
    [
        (
            {**{name: ["9:00-18:00"] for name in WEEKDAYS[:5]}, "sat": ["10:00-16:00"]},
            "Mon-Fri 9 AM-6 PM, Sat 10 AM-4 PM, Sun closed",
        ),
        ({name: ["0:00-24:00"] for name in WEEKDAYS}, "Mon-Sun 12 AM-12 AM"),
        ({}, "Mon-Sun closed"),
        (
            {"tue": ["9:30-12:00", "13:00-18:00"], "wed": ["9:30-12:00", "13:00-18:00"]},
            "Mon closed, Tue-Wed 9:30 AM-12 PM and 1 PM-6 PM, Thu-Sun closed",
        ),
    ],
)
def test_a_week_is_told_in_one_line(raw: dict[str, list[str]], expected: str) -> None:
    """Equal neighbours are joined, so that a week fits a text message."""
    told = Hours.parse(raw, NEW_YORK).week_words()

    assert expected == told
    assert "GSM-7" == text.measure(told).encoding


# -- whatever the hours --------------------------------------------------------------------------------------------


@st.composite
def weeks(draw: st.DrawFn) -> dict[str, list[str]]:
    """Weeks of up to two openings a day."""
    raw = {}
    for name in WEEKDAYS:
        edges = sorted(draw(st.sets(st.integers(0, 1440), min_size=0, max_size=4)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        raw[name] = [f"{a // 60}:{a % 60:02}-{b // 60}:{b % 60:02}" for a, b in pairs]
    return raw


@given(weeks(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))
def test_the_next_opening_is_open_and_nothing_before_it_is(raw: dict[str, list[str]], naive: datetime) -> None:
    """Whatever the week, the next opening lies ahead, is open, and the minute before it was not."""
    hours = Hours.parse(raw, NEW_YORK)
    asked = naive.replace(tzinfo=UTC)
    found = hours.next_open(asked)
    if found is None:
        assert not any(hours.week)
        return

    assert found.astimezone(UTC) >= asked
    assert hours.is_open(found)
    before = found.astimezone(UTC) - timedelta(minutes=1)
    assert before < asked or not hours.is_open(before)


@given(weeks(), st.dates(date(2026, 1, 1), date(2027, 12, 31)))
def test_openings_of_a_day_are_in_order_and_apart(raw: dict[str, list[str]], day: date) -> None:
    """Spans of a day never overlap, begin on that day, and end by the next midnight."""
    hours = Hours.parse(raw, NEW_YORK)
    spans = hours.spans_on(day)
    edges = [edge.astimezone(UTC) for span in spans for edge in span]

    assert sorted(edges) == edges
    assert all(start.date() == day for start, _ in spans)
    assert all(end <= datetime.combine(day + timedelta(days=1), time(), NEW_YORK) for _, end in spans)
