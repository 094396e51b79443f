"""What most products do, for comparison: one queue job per message, the SDK's client made for each, one row saved."""

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


def send(pk: int) -> None:
    message = Message.objects.get(pk=pk)
    client = Client(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKENS[0], http_client=Here(timeout=15))
    made = client.messages.create(to=message.address, from_=settings.TWILIO_FROM, body=message.body)
    message.provider_sid, message.state = made.sid, Message.State.ACCEPTED
    message.save(update_fields=["provider_sid", "state"])
