"""A text that a person wrote and that did not arrive: whoever wrote it believes that the patient knows."""

from datetime import timedelta

from engage.accounts.models import Role
from engage.lib import clock
from engage.messaging.models import Message
from engage.worklist import actions as worklist
from engage.worklist.models import Reason, Task

WITHIN = timedelta(hours=2)
LONGEST = 120  # characters of the text that are quoted
QUEUES: dict[str, Task.Queue] = {
    Role.NURSE: Task.Queue.NURSES,
    Role.ONCALL: Task.Queue.ONCALL,
    Role.SUPERVISOR: Task.Queue.SUPERVISORS,
}


def tell_author(message: Message) -> None:
    """Opens the task for the author's colleagues, with who wrote what and why it did not arrive; nothing for automatic ones.

    About the conversation where it answers one, which then waits for a person again (engage.inbox.jobs).
    """
    author = message.author
    if author is None:
        return
    talk = message.about.startswith("conversation:")
    words = " ".join(message.body.split())
    quoted = words if len(words) <= LONGEST else f"{words[: LONGEST - 1].rstrip()}…"
    worklist.open_task(
        reason=Reason.DELIVERY_REVIEW,
        summary=f"The text of {author.display_name} did not reach the patient: {message.state_reason[:100]} “{quoted}”.",
        about=message.about if talk else f"message:{message.pk}",
        due_at=clock.now() + WITHIN,
        clinic=message.clinic,
        patient=message.patient,
        queue=QUEUES.get(author.role, Task.Queue.COORDINATORS),
        priority=Task.Priority.ATTENTION,
        opened_by="delivery",
        link=f"/inbox/c/{message.about.partition(':')[2]}/" if talk else "",
    )
