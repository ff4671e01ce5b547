"""Reads shop.yml, keeps the shop's rows equal to it, and shows the shop to whoever decides; it changes no booking."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import SettingsError
from bot.shop.hours import Hours
from bot.tables import Location, Resource, Service, Shop

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


class ShopFile(_Part):
    """shop.yml, checked."""

    brand: str = Field(min_length=1, max_length=40)
    zone: str
    facts: Facts
    locations: list[LocationPart] = Field(min_length=1)
    services: list[ServicePart]
    staff: list[StaffPart]

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


async def sync(session: AsyncSession, file: ShopFile) -> None:
    """Make the rows say what the file says; rows the file no longer names stay for the bookings that point at them."""
    row = {"brand": file.brand, "zone": file.zone, "facts": file.facts.model_dump()}
    await _upsert(session, Shop, [{"id": 1, **row}], "id")
    await _upsert(session, Location, [item.model_dump() for item in file.locations], "key")
    await _upsert(session, Service, [item.model_dump() for item in file.services], "key")
    places = {row.key: row.id for row in await session.execute(select(Location.key, Location.id))}
    staff = [
        {"key": item.key, "name": item.name, "location_id": places[item.location], "services": item.services}
        for item in file.staff
    ]
    await _upsert(session, Resource, staff, "key")
    # Somebody who left does nothing any more, so no time of theirs is offered.
    await session.execute(
        update(Resource).where(Resource.key.not_in([item.key for item in file.staff])).values(services=[])
    )


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
    return ShopView(shop.brand, zone, dict(shop.facts), places)
