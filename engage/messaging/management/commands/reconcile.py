"""reconcile: finds out what became of messages in doubt."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from engage.messaging.reconcile import reconcile


class Command(BaseCommand):
    help = "Reads the carrier's list for messages in doubt. Run again after LISTING_GAP for those it did not show."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(reconcile()))
