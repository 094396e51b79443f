"""Texts, through the provider's client."""

from engage.messaging import twilio
from engage.messaging.transports import Answer, Parcel


class Text:
    """The transport of the channel "sms"; one per event loop."""

    def __init__(self) -> None:
        self.provider = twilio.Provider()

    async def send(self, parcel: Parcel) -> Answer:
        return await self.provider.text(parcel)

    async def close(self) -> None:
        await self.provider.close()
