"""shop.yml: taken over whole, or refused in one sentence."""

from pathlib import Path

import pytest
import yaml
from sqlalchemy import select

from bot.db import Database
from bot.errors import SettingsError
from bot.settings import ROOT
from bot.shop import shopfile
from bot.tables import Resource, Service

SHIPPED = (ROOT / "shop.yml").read_text()


def written(folder: Path, text: str) -> Path:
    """A shop file with this text."""
    path = folder / "shop.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text, named",
    [
        ("brand: [", "is not YAML at line"),
        (SHIPPED.replace("zone: America/New_York", "zone: New York"), "no time zone"),
        (SHIPPED.replace("location: elm", "location: oak"), "works at oak"),
        (SHIPPED.replace("[styling, fitting]", "[styling, massage]"), "does massage"),
        (SHIPPED.replace("10:00-20:00", "20:00-10:00"), "thu"),
        (SHIPPED.replace("minutes: 60", "minutes: 0"), "minutes"),
        (SHIPPED.replace("brand: Juniper Lane", "brand: ''"), "brand"),
        (SHIPPED + "\ncolour: green\n", "colour"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_place(tmp_path: Path, text: str, named: str) -> None:
    """One sentence says which file, where in it, and what is wrong."""
    with pytest.raises(SettingsError) as refused:
        shopfile.load(written(tmp_path, text))

    assert named in str(refused.value)
    assert "shop.yml" in str(refused.value)


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    """The operator learns which setting points at it."""
    with pytest.raises(SettingsError, match="PARLEY_SHOP_FILE"):
        shopfile.load(tmp_path / "none.yml")


async def test_a_changed_file_changes_the_shop_and_keeps_what_is_booked(db: Database, tmp_path: Path) -> None:
    """New names are taken over; who left is no longer offered, and their row stays for their bookings."""
    raw = yaml.safe_load(SHIPPED)
    raw["brand"] = "Juniper & Co"
    raw["services"][0]["minutes"] = 45
    raw["staff"] = [person for person in raw["staff"] if person["key"] != "lena"]
    async with db.begin() as session:
        await shopfile.sync(session, shopfile.load(written(tmp_path, yaml.safe_dump(raw))))

    async with db.begin() as session:
        shop = await shopfile.read(session)
        minutes = await session.scalar(select(Service.minutes).where(Service.key == "styling"))
        lena = await session.scalar(select(Resource.services).where(Resource.key == "lena"))

    assert ("Juniper & Co", 45, []) == (shop.brand, minutes, lena)
