"""Two contacts, one pair of shoes: whoever confirms first has it, the other hears what is left; the whole engine."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock
from bot.tables import Order
from tests.engine import Engine

pytestmark = pytest.mark.xdist_group("engine")


@pytest.mark.parametrize("yes", ["1", "yes please do that"])
def test_the_last_pair_goes_to_one_and_the_other_is_told_what_is_left(engine: Engine, yes: str) -> None:
    """Both are asked to confirm, both do at the same moment; nobody is handed over and nothing is promised twice."""
    people = [engine.new_contact() for _ in range(2)]
    engine.run_sql("DELETE FROM order_requests")
    engine.run_sql("UPDATE variants SET stock = 1 WHERE size = '9' AND color = 'black'")
    engine.run_sql("DELETE FROM orders WHERE number IN ('8401', '8402')")
    for number, (contact, _) in zip(("8401", "8402"), people, strict=True):

        async def order(session: AsyncSession, number: str = number, contact: object = contact) -> None:
            runners = {"name": "Trail Runner sneakers", "product": "trail-runner", "size": "8", "color": "black"}
            session.add(
                Order(number=number, contact_id=contact, status="delivered", placed_at=clock.now(), items=[runners])
            )

        engine.run(order)
    for _, phone in people:
        asked = engine.text(phone, "can i exchange my trail runners for a size 9")
        assert "for size 9, black? Reply 1 to exchange" in asked["replies"][0], asked

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(lambda person: engine.send(person[1], yes), people))
    turns = [engine.turn(carrier_id) for carrier_id in sent]
    engine.run_sql("UPDATE variants SET stock = 3 WHERE size = '9' AND color = 'black'")

    done = [turn for turn in turns if [effect["kind"] for effect in turn["effects"]] == ["order.exchange_requested"]]
    (other,) = [turn for turn in turns if turn not in done]
    assert 1 == len(done), turns
    assert ([], None) == (other["effects"], other["ticket"])
    assert "size 9, black was just taken. Which one would you like instead?" in other["replies"][0]
    assert 1 == len(engine.rows("SELECT id FROM order_requests WHERE size = '9' AND color = 'black'"))
