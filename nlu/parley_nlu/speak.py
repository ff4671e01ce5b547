"""What text-speak and missing apostrophes stand for; for features only, the text itself is never changed."""

from __future__ import annotations

import re

from rasa.nlu.constants import TOKENS_NAMES
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

#: As typed, in small letters, and as written. Words that are also others ("ill", "well", "were", "its") are not here.
STANDS_FOR: dict[str, str] = {
    typed: written
    for written, some in {
        "you": "u yu",
        "your": "ur yr",
        "you are": "youre",
        "are": "r",
        "please": "pls plz plse plss pleas plese",
        "thanks": "thx thnx tnx thnks thanx tks tx",
        "thank you": "ty tysm thankyou",
        "tomorrow": "2moro 2morrow 2morow 2mro 2mrw tmrw tmw tmr tmrow tomoro tomorow tommorow tommorrow tomorrw tomoz",
        "today": "2day tday",
        "tonight": "2nite 2night tonite",
        "night": "nite",
        "morning": "mornin",
        "afternoon": "arvo aft",
        "weekend": "wknd wkend",
        "week": "wk",
        "weeks": "wks",
        "hour": "hr",
        "hours": "hrs",
        "minutes": "mins",
        "monday": "mon",
        "tuesday": "tue tues tusday teusday",
        "wednesday": "weds wensday wednsday wenesday",
        "thursday": "thur thurs thu thrusday thirsday",
        "friday": "fri firday",
        "saturday": "saterday",
        "appointment": "appt appts apt appmt appnt apptmt appointmnt apointment appoinment appointmet apoint",
        "reschedule": "resched reshedule reschedual rescedule",
        "cancel": "cxl cncl cancle cancell",
        "available": "avail availible",
        "message": "msg",
        "messages": "msgs",
        "text": "txt",
        "texts": "txts",
        "before": "b4",
        "great": "gr8",
        "late": "l8",
        "later": "l8r",
        "wait": "w8",
        "because": "cuz coz bc becuz",
        "about": "abt",
        "people": "ppl",
        "sorry": "sry soz",
        "address": "addy adress addres",
        "package": "pkg pckg packge",
        "order": "ordr oder",
        "size": "sz",
        "quantity": "qty",
        "number": "nbr",
        "discount": "disc",
        "delivery": "delivry dlvry",
        "delivered": "deliverd dlvrd",
        "receive": "recieve",
        "received": "rcvd recieved recvd",
        "return": "retrun",
        "refund": "refnd",
        "what": "wat wut wht",
        "where": "whr wher",
        "when": "wen whn",
        "with": "w/ wit",
        "without": "w/o",
        "want to": "wanna",
        "going to": "gonna gunna",
        "got to": "gotta",
        "let me": "lemme",
        "give me": "gimme",
        "do not know": "dunno idk",
        "never mind": "nvm nvmd",
        "right now": "rn",
        "as soon as possible": "asap",
        "by the way": "btw",
        "could": "cud",
        "would": "wud",
        "should": "shud",
        "though": "tho",
        "through": "thru",
        "love": "luv",
        "don't": "dont",
        "doesn't": "doesnt",
        "didn't": "didnt",
        "can't": "cant cannot",
        "couldn't": "couldnt",
        "won't": "wont",
        "wouldn't": "wouldnt",
        "shouldn't": "shouldnt",
        "isn't": "isnt",
        "aren't": "arent",
        "wasn't": "wasnt",
        "haven't": "havent",
        "hasn't": "hasnt",
        "hadn't": "hadnt",
        "i'm": "im",
        "i've": "ive",
        "that's": "thats",
        "what's": "whats",
        "where's": "wheres",
        "when's": "whens",
        "how's": "hows",
        "who's": "whos",
        "there's": "theres",
        "they're": "theyre",
        "let's": "lets",
        "is not": "aint ain't",
    }.items()
    for typed in some.split()
}
_CURLY = str.maketrans("’‘“”", "''\"\"")
_DRAWN_OUT = re.compile(r"([a-z])\1{2,}")
#: "goood" keeps two of them, "sooo" one.
_DOUBLE = re.compile(r"([eo])\1{2,}(?=[a-z])")


def plain(word: str) -> str:
    """What a word stands for, in small letters; the word itself where nothing is known of it."""
    small = word.lower().translate(_CURLY)
    small = STANDS_FOR.get(small, small)
    if _DRAWN_OUT.search(small):
        small = _DRAWN_OUT.sub(r"\1", _DOUBLE.sub(r"\1\1", small))
        small = STANDS_FOR.get(small, small)
    return small


def spelled(message: Message) -> str:
    """A message's text with what its words stand for in their places, by its tokens' lemmas; blanks stay."""
    text: str = message.get(TEXT)
    pieces, end = [], 0
    for token in message.get(TOKENS_NAMES[TEXT], []):
        if token.lemma != token.text.lower():
            pieces += [text[end : token.start], token.lemma]
            end = token.end
    return "".join([*pieces, text[end:]])
