"""What Rasa may ask the engine to decide, one file per topic; they read the shop and propose, they never write."""

from actions.appointments import Book, Cancel, Confirm, Reschedule, Time
from actions.base import ShopAction
from actions.contests import JoinContest, LeaveContest
from actions.opt_out import OptIn, OptOut
from actions.orders import CancelTheOrder, ChangeOrderAddress, Exchange, OrderStatus, Return
from actions.people import AskHuman, Complain, Praise, Serious
from actions.preferences import Preference
from actions.products import AskProduct
from actions.profile import Profile
from actions.ratings import Rating
from actions.shop import Discount, Hours, Location, ShopAnswer
from actions.smalltalk import Affirm, Bye, Deny, Greet, Thank
from actions.unclear import OutOfScope, Unclear, Undo
from bot.db import Database

ACTIONS: tuple[type[ShopAction], ...] = (
    Book,
    Time,
    Reschedule,
    Cancel,
    Confirm,
    OrderStatus,
    ChangeOrderAddress,
    CancelTheOrder,
    Exchange,
    Return,
    AskProduct,
    Hours,
    Location,
    ShopAnswer,
    Discount,
    Rating,
    JoinContest,
    LeaveContest,
    Preference,
    Profile,
    AskHuman,
    Complain,
    Serious,
    Praise,
    Affirm,
    Deny,
    Greet,
    Thank,
    Bye,
    OptOut,
    OptIn,
    OutOfScope,
    Unclear,
    Undo,
)


def all_actions(db: Database) -> list[ShopAction]:
    """Every action, each with the database it reads from."""
    return [action(db) for action in ACTIONS]
