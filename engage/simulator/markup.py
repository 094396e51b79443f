"""What the handset pages are made of. Texts are somebody else's: everything is escaped here and nowhere else."""

import re
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from engage.simulator.book import Message
from engage.simulator.errors import FAILED

PAGES = Path(__file__).parent / "pages"
QUICK = (
    "Yes",
    "1",
    "I already had it in March",
    "Can someone call me?",
    "tengo dolor de pecho",
    "I have chest pain",
    "Who is this? Wrong number",
    "HELP",
    "STOP",
    "START",
)
LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")


@cache
def page(name: str) -> Template:
    return Template((PAGES / name).read_text())


def document(title: str, kind: str, content: str) -> str:
    return page("base.html").substitute(title=escape(title), kind=kind, content=content)


def shown(number: str) -> str:
    """`+1 555 222 0001` for an American number, any other as it is."""
    if re.fullmatch(r"\+1\d{10}", number):
        return f"+1 {number[2:5]} {number[5:8]} {number[8:]}"
    return number


def place(number: str) -> str:
    return f"/phones/{quote(number, safe='+')}/"


def moment(at: float) -> str:
    """The time for today, day and time before; in this machine's zone."""
    when = datetime.fromtimestamp(at).astimezone()
    text = f"{when:%H:%M}" if when.date() == datetime.now().astimezone().date() else f"{when:%-d %b, %H:%M}"
    return f'<time datetime="{when.isoformat(timespec="seconds")}">{text}</time>'


def linked(body: str) -> str:
    """The escaped text with its web addresses as links."""
    parts, end = [], 0
    for found in LINK.finditer(body):
        parts.append(escape(body[end : found.start()]))
        url = escape(found.group())
        parts.append(f'<a href="{url}" rel="noreferrer">{url}</a>')
        end = found.end()
    return "".join([*parts, escape(body[end:])])


def phone_item(phone: str, last: Message, opted_out: bool) -> str:
    mark = '<span class="mark">Opted out</span>' if opted_out else ""
    if last.note:
        mark += ' <span class="mark">The clinic was not told</span>'
    said = "You: " if last.inbound else ""
    text = last.body if last.arrived else f"({why_lost(last)})"
    return (
        f'<li id="p{escape(phone[1:])}"><a href="{place(phone)}#latest"><strong>{shown(phone)}</strong>'
        f'{moment(last.created)}<span class="last">{escape(said + text[:140])}</span>{mark}</a></li>'
    )


def why_lost(message: Message) -> str:
    if message.status == "canceled":
        return "a text was cancelled"
    if message.error:
        return f"a text did not arrive: {message.error}, {FAILED.get(message.error, '').rstrip('.').lower()}"
    return "a text is on its way"


def bubble(message: Message) -> str:
    """One entry of the conversation; what did not arrive is told as an event, since a phone would not know."""
    name = f'id="m{message.sid}"'
    if not message.arrived:
        return f'<li {name} class="event">{escape(why_lost(message).capitalize())} · {moment(message.created)}</li>'
    mine = "mine" if message.inbound else "theirs"
    body = linked(message.body) if message.body else "(empty)"
    who = "You" if message.inbound else shown(message.sender)
    return (
        f'<li {name} class="{mine}"><p class="bubble">{body}</p>'
        f'<p class="meta">{who} · {moment(message.created)}</p>{failure(message)}</li>'
    )


def failure(message: Message) -> str:
    """Why the clinic did not get a reply, with a way to send it again."""
    if not message.note:
        return ""
    return (
        f'<div class="failed" role="alert"><p>Not delivered to the clinic. {escape(message.note)}</p>'
        f'<form class="again" method="post" action="{place(message.sender)}">'
        f'<button name="again" value="{message.sid}">Send again</button></form></div>'
    )


def quick_buttons() -> str:
    button = '<button name="quick" value="{0}" formnovalidate>{0}</button>'
    return "".join(button.format(escape(text)) for text in QUICK)
