"""sweep: what the schedule does each minute, by hand."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from engage.messaging.jobs import sweep


class Command(BaseCommand):
    help = "Ends leases that ran out, applies early reports, reconciles messages in doubt."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(sweep()))
