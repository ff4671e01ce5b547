"""Reads shop.yml, keeps the shop's rows equal to it, and shows the shop to whoever decides; it changes no booking."""

import calendar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import SettingsError
from bot.shop.hours import WEEKDAYS, Hours
from bot.tables import Code, Location, Product, Resource, Service, Shop, Variant

#: Weekdays as people write them in full.
DAY_NAMES = dict(zip(WEEKDAYS, map(str.lower, calendar.day_name), strict=True))

# -- the file ------------------------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(_Part):
    """What HELP and the pages say of the shop."""

    about: str
    phone: str
    email: str
    frequency: str


class LocationPart(_Part):
    """A place with its opening hours, in the shape bot.shop.hours reads."""

    key: str
    name: str
    address: str
    hours: dict[str, Any]


class ServicePart(_Part):
    """Something that can be booked; `minutes` is its length."""

    key: str
    name: str
    minutes: int = Field(ge=5, le=600)


class StaffPart(_Part):
    """A person whose time is booked: where, and for which services (keys)."""

    key: str
    name: str
    location: str
    services: list[str]


class Topic(_Part):
    """An answer to a question about the shop: `about` are words or phrases of the question, lower case."""

    about: list[str] = Field(min_length=1)
    answer: str


class Answers(_Part):
    """What customers are told when they ask; each fits one text."""

    shipping: str
    returns: str
    payment: str
    privacy: str
    discounts: str
    contact: str
    topics: list[Topic] = []


class CodePool(_Part):
    """A list of single-use codes, each given to one contact; `worth` says what one is good for."""

    key: str
    worth: str
    rules: str
    codes: list[str] = []


class Contest(_Part):
    """A contest that is entered by texting its keyword; `ends` is the last day to enter, in the shop's zone."""

    keyword: str = Field(pattern=r"^[A-Z0-9]{3,20}$")
    prize: str
    winners: int = Field(ge=1)
    ends: date
    rules: str


class Choice(_Part):
    """One answer to a preference question: the word to text, and other words for the same."""

    word: str = Field(pattern=r"^[A-Z]{2,20}$")
    words: list[str] = []


class Preference(_Part):
    """A question about taste; who answers gets a code of the pool named, if one is."""

    key: str
    question: str
    choices: list[Choice] = Field(min_length=2)
    code: str | None = None


class VariantPart(_Part):
    """A product in one size and colour, and how many lie in the store."""

    size: str | None = None
    color: str | None = None
    stock: int = Field(ge=0)


class ProductPart(_Part):
    """Something on sale: `words` are other names people use for it; `price` in the shop's currency."""

    key: str
    name: str
    words: list[str] = []
    price: Decimal = Field(ge=0, decimal_places=2)
    about: str
    variants: list[VariantPart] = []


class Content(_Part):
    """What texts are answered from: everything of shop.yml that is neither a place, a service nor a person."""

    answers: Answers
    code_pools: list[CodePool] = []
    contests: list[Contest] = []
    preferences: list[Preference] = []

    def contest(self, keyword: str) -> Contest | None:
        """The contest with this keyword, in any case."""
        return next((item for item in self.contests if item.keyword == keyword.upper()), None)

    def preference(self, key: str) -> Preference | None:
        """The preference with this key."""
        return next((item for item in self.preferences if item.key == key), None)

    def code_pool(self, key: str | None) -> CodePool | None:
        """The list of codes with this key."""
        return next((item for item in self.code_pools if item.key == key), None)


class ShopFile(_Part):
    """shop.yml, checked."""

    brand: str = Field(min_length=1, max_length=40)
    zone: str
    facts: Facts
    locations: list[LocationPart] = Field(min_length=1)
    services: list[ServicePart]
    staff: list[StaffPart]
    content: Content
    products: list[ProductPart] = []

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(f"{value} is no time zone; write one like America/New_York") from exc
        return value

    @model_validator(mode="after")
    def _names_meet(self) -> "ShopFile":
        for location in self.locations:
            Hours.parse(location.hours, ZoneInfo(self.zone))
        places, services = {item.key for item in self.locations}, {item.key for item in self.services}
        for person in self.staff:
            if person.location not in places:
                raise ValueError(f"{person.key} works at {person.location}, which is no location of this file")
            if unknown := sorted(set(person.services) - services):
                raise ValueError(f"{person.key} does {unknown[0]}, which is no service of this file")
        for preference in self.content.preferences:
            if preference.code is not None and self.content.code_pool(preference.code) is None:
                raise ValueError(
                    f"preference {preference.key} gives a code of {preference.code}, which is no code pool"
                )
        return self


def load(path: Path) -> ShopFile:
    """The shop as the file says. Raises SettingsError naming the file, the place in it and the mend."""
    try:
        return ShopFile.model_validate(yaml.safe_load(path.read_text()))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read ({exc.strerror}); PARLEY_SHOP_FILE names the shop's file") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        raise SettingsError(f"{path} is not YAML{line}; check the indentation and quotes there") from exc
    except ValidationError as exc:
        error = exc.errors()[0]
        place = ".".join(str(part) for part in error["loc"])
        raise SettingsError(
            f"{path}: {place + ': ' if place else ''}{error['msg'].removeprefix('Value error, ')}"
        ) from exc


def read_hours(path: Path, zone: ZoneInfo) -> Hours:
    """Opening hours from a file: those of shop.yml's first location, or a YAML or JSON table of hours alone.

    A table of hours names weekdays in full or by three letters, each with one span ("9:00-18:00"), a list of them, or
    nothing. Raises SettingsError naming the file and the mend.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path} cannot be read; --hours names shop.yml or a table of opening hours") from exc
    except yaml.YAMLError as exc:
        raise SettingsError(f"{path} is not YAML; write lines such as mon: 9:00-18:00") from exc
    if isinstance(raw, dict) and "locations" in raw:
        return Hours.parse(load(path).locations[0].hours, zone)
    if isinstance(raw, dict) and set(raw) == {"hours"}:
        raw = raw["hours"]
    table = {_weekday(key): _spans(value) for key, value in raw.items()} if isinstance(raw, dict) else raw
    try:
        return Hours.parse(table, zone)
    except ValueError as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def _weekday(key: object) -> str:
    """The three letters a weekday is known by; anything else as it stands."""
    word = str(key).strip().lower()
    return next((name for name in WEEKDAYS if word in (name, DAY_NAMES[name])), word)


def _spans(value: object) -> object:
    """One span alone as a list of one; closed as an empty list."""
    if isinstance(value, str):
        return [] if value.strip().lower() == "closed" else [part.strip() for part in value.split(",")]
    return value


async def sync(session: AsyncSession, file: ShopFile) -> None:
    """Make the rows say what the file says; rows the file no longer names stay for the bookings that point at them."""
    row = {
        "brand": file.brand,
        "zone": file.zone,
        "facts": file.facts.model_dump(),
        "content": file.content.model_dump(mode="json"),
    }
    await _upsert(session, Shop, [{"id": 1, **row}], "id")
    await _upsert(session, Location, [item.model_dump() for item in file.locations], "key")
    await _upsert(session, Service, [item.model_dump() for item in file.services], "key")
    places = {row.key: row.id for row in await session.execute(select(Location.key, Location.id))}
    staff = [
        {"key": item.key, "name": item.name, "location_id": places[item.location], "services": item.services}
        for item in file.staff
    ]
    await _upsert(session, Resource, staff, "key")
    await _sync_products(session, file.products)
    codes = [{"pool": pool.key, "code": code} for pool in file.content.code_pools for code in pool.codes]
    if codes:
        await session.execute(insert(Code).values(codes).on_conflict_do_nothing(index_elements=["code"]))
    # Somebody who left does nothing any more, so no time of theirs is offered.
    await session.execute(
        update(Resource).where(Resource.key.not_in([item.key for item in file.staff])).values(services=[])
    )


async def _sync_products(session: AsyncSession, products: list[ProductPart]) -> None:
    """Make catalogue and stock what the file says; what it no longer names is not on sale, but orders still name it."""
    rows = [
        {
            "key": item.key,
            "name": item.name,
            "words": item.words,
            "price_cents": int(item.price * 100),
            "about": item.about,
            "listed": True,
        }
        for item in products
    ]
    await _upsert(session, Product, rows, "key")
    await session.execute(
        update(Product).where(Product.key.not_in([item.key for item in products])).values(listed=False)
    )
    ids = {row.key: row.id for row in await session.execute(select(Product.key, Product.id))}
    await session.execute(delete(Variant))
    variants = [{"product_id": ids[item.key], **variant.model_dump()} for item in products for variant in item.variants]
    if variants:
        await session.execute(insert(Variant).values(variants))


async def _upsert(session: AsyncSession, table: type[Any], rows: list[dict[str, Any]], key: str) -> None:
    if not rows:
        return
    statement = insert(table).values(rows)
    changes = {name: statement.excluded[name] for name in rows[0] if name != key}
    await session.execute(statement.on_conflict_do_update(index_elements=[key], set_=changes))


# -- the shop, as seen ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocationView:
    """A place and when it is open."""

    id: int
    name: str
    address: str
    hours: Hours


@dataclass(frozen=True)
class ShopView:
    """The shop in one value; the first location is the main one."""

    brand: str
    zone: ZoneInfo
    facts: dict[str, Any]
    content: Content
    locations: tuple[LocationView, ...]

    def location(self, location_id: int | None) -> LocationView:
        """The place with this id, else the main one."""
        return next((item for item in self.locations if item.id == location_id), self.locations[0])

    def hours_at(self, location_id: int | None) -> Hours:
        """Opening hours of a place, of the main one where none is named."""
        return self.location(location_id).hours

    def open_words(self, day: date) -> str:
        """When each place is open on a day, in one line."""
        return ", ".join(f"{item.name} {item.hours.words_on(day)}" for item in self.locations)


async def read(session: AsyncSession) -> ShopView:
    """The shop as it stands in the database."""
    shop = await session.get_one(Shop, 1)
    zone = ZoneInfo(shop.zone)
    rows = await session.scalars(select(Location).order_by(Location.id))
    places = tuple(LocationView(row.id, row.name, row.address, Hours.parse(row.hours, zone)) for row in rows)
    return ShopView(shop.brand, zone, dict(shop.facts), Content.model_validate(shop.content), places)
