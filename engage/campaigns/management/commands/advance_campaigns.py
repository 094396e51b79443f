"""`advance_campaigns`: the campaigns' job in the foreground, until nothing is due."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.campaigns.jobs import advance


class Command(BaseCommand):
    help = "Takes in new care gaps, ends outreach for closed ones and makes every touch that is due. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        done = advance(budget=None, progress=self.show if self.stderr.isatty() else None)
        self.stdout.write(json.dumps(done))
        if done.get("failed"):
            raise CommandError(f"{done['failed']} could not be moved on; the log says which.")

    def show(self, what: str, count: int) -> None:
        self.stderr.write(f"\r{count:,} {what}", ending="")
