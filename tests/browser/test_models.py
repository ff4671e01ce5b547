"""The pages of trained models: the list, a report with its pictures, a refusal with its reasons, for designers."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from bot import accounts
from bot.insight import evaluation, training
from bot.insight.evaluation import Read, Report
from bot.insight.training import Workshop
from bot.settings import ROOT
from tests.browser.conftest import PHONE, WIDE, aside, assert_accessible, assert_fits
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")
INTENTS = ("greet", "bye", "order_status", "reschedule_booking")


@pytest.fixture
def designer(page: Page, engine: Engine) -> Page:
    """A page a designer is logged in on."""
    email, password = f"{uuid4().hex}@example.com", "a long enough password"
    aside(engine.run, lambda session: accounts.create(session, email, "Dee Signer", "designer", password))
    page.goto("/login?next=/console/models")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/console/models")
    return page


@pytest.fixture
def refused(engine: Engine) -> Iterator[Report]:
    """A report of the model that runs, refused; what stood there before comes back."""
    model = training.newest_model(Workshop.at(ROOT))
    assert model is not None
    path = evaluation.report_path(model)
    before = path.read_bytes() if path.exists() else None
    readings = [
        Read(
            text=f"text {number} <b>of</b> {intent}",
            intent=intent,
            read=intent if number % 5 else "bye",
            confidence=(number + 1) / 21,
            unclear=number < 3,
        )
        for intent in INTENTS
        for number in range(20)
    ]
    report = Report(
        model=model.name.removesuffix(".tar.gz"),
        compared_with=None,
        readings=readings,
        conversations="broken",
        reasons=["Golden conversations no longer come out as written; ./parley test shows which."],
    )
    evaluation.keep(report, model)
    yield report
    path.unlink() if before is None else path.write_bytes(before)


def test_a_refused_model_says_why(designer: Page, refused: Report) -> None:
    """From the list to the report: verdict, reasons, figures, pictures, weakest intents first; readable by all."""
    row = designer.get_by_role("row", name=refused.model)
    # On a desk and on a phone in one test: the report is a file that every engine of the checkout shares.
    for viewport in (WIDE, PHONE):
        designer.set_viewport_size(viewport)  # type: ignore[arg-type]  # a ViewportSize
        designer.goto("/console/models")
        expect(row).to_contain_text("Refused")
        assert_accessible(designer)
        assert_fits(designer)
        row.get_by_role("link").click()

        expect(designer.locator(".verdict")).to_contain_text("Refused: 85.0% of 80 held-out texts are read right")
        expect(designer.locator(".reasons")).to_contain_text("Golden conversations no longer come out as written")
        expect(designer.locator("svg.confusion rect.wrong")).to_have_count(3)
        expect(designer.locator("svg.calibration circle")).to_have_count(len(refused.calibration))
        weakest = designer.get_by_role("region", name="Figures by intent").locator("tbody tr").first
        expect(weakest).to_contain_text("bye")
        assert_accessible(designer)
        assert_fits(designer)


def test_a_model_nobody_evaluated_has_no_report(designer: Page) -> None:
    """The sentence says how to make one."""
    designer.goto("/console/models/none")

    expect(designer.get_by_role("main")).to_contain_text("./parley train --evaluate makes one")
