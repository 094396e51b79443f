"""The jobs that make delivery right when every wake-up was lost."""

import logging

from engage.messaging import health
from engage.messaging.reconcile import reconcile

log = logging.getLogger(__name__)


def sweep() -> dict[str, int]:
    """Each minute: leases that ran out, reports that came early, messages in doubt. Sending itself is `deliver`'s."""
    done = reconcile()
    if done:
        log.info("sweep: %s", done)
    return done


def cluster_heartbeat() -> None:
    """Shows that the queue's workers are alive."""
    health.beat("cluster")
