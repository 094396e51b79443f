"""Every periodic job: name, function, when. Rows are the truth; a job is only a wake-up that may be lost or doubled."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    name: str
    function: str  # dotted path; takes no arguments
    minutes: int = 0  # every so many minutes, or
    cron: str = ""  # five fields, UTC


JOBS = (
    Job("sweep", "engage.messaging.jobs.sweep", minutes=1),
    Job("nightly gaps", "engage.caregaps.jobs.nightly", cron="15 6 * * *"),  # 01:15 or 02:15 in New York
    Job("advance campaigns", "engage.campaigns.jobs.advance", minutes=5),
    Job("finish unsorted replies", "engage.inbox.jobs.finish_unsorted", minutes=1),
    Job("escalate urgent replies", "engage.inbox.jobs.escalate", minutes=1),
    Job("reopen what was not answered", "engage.inbox.jobs.reopen_unanswered", minutes=1),
    Job("ask the second reader", "engage.inbox.jobs.ask_second_reader", minutes=1),
    Job("wake the snoozed", "engage.inbox.jobs.wake_snoozed", minutes=5),
    Job("follow patients and staff who moved", "engage.inbox.jobs.follow_moves", minutes=1),
    Job("draw the week's samples", "engage.inbox.jobs.draw_samples", minutes=60),
    Job("recover lost replies", "engage.webhooks.jobs.recover_inbound", minutes=5),
    Job("heartbeat of the cluster", "engage.messaging.jobs.cluster_heartbeat", minutes=1),
)
