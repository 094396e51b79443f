"""What most products do, for comparison: one queue job per message, one call of the SDK, one row saved."""

from functools import cache

from django.conf import settings
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from engage.messaging.models import Message


class Here(TwilioHttpClient):
    """The SDK's own client, sent to the bench's carrier."""

    def request(self, method, url, *args, **kwargs):
        return super().request(
            method, url.replace("https://api.twilio.com", settings.TWILIO_API_BASE_URL), *args, **kwargs
        )


def client() -> Client:
    return Client(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKENS[0], http_client=Here(timeout=15))


shared = cache(client)


def send(pk: int) -> None:
    """As the SDK's documentation shows it: a client for each message."""
    _send(pk, client())


def send_shared(pk: int) -> None:
    """The best of its kind: one client, with its connection, in each worker."""
    _send(pk, shared())


def _send(pk: int, through: Client) -> None:
    message = Message.objects.get(pk=pk)
    made = through.messages.create(to=message.address, from_=settings.TWILIO_FROM, body=message.body)
    message.provider_sid, message.state = made.sid, Message.State.ACCEPTED
    message.save(update_fields=["provider_sid", "state"])
