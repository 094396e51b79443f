"""Reads replies as JSON Lines on stdin and writes what triage makes of each on stdout."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from engage.inbox.triage.stream import lines


class Command(BaseCommand):
    help = "JSON Lines on stdin (id, channel, lang, context, outbound, text) to JSON Lines on stdout."

    def handle(self, *args: Any, **options: Any) -> None:
        source = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        for line in lines(source):
            self.stdout.write(line)
