"""One carrier and one clinic's webhook for all of these tests; each begins with an empty carrier."""

from collections.abc import Iterator

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from .harness import Carrier
from .receiver import Receiver


class Rewritten(TwilioHttpClient):
    """The official client's own requests, with another host."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=10)
        self.base_url = base_url

    def request(self, method, url, *args, **kwargs):
        for host in ("https://api.twilio.com", "https://messaging.twilio.com"):
            url = url.replace(host, self.base_url)
        return super().request(method, url, *args, **kwargs)


def client_of(carrier: Carrier, token: str = "") -> Client:
    return Client(
        carrier.account,
        token or carrier.token,
        http_client=Rewritten(carrier.base_url),
        region=None,
        edge=None,
    )


@pytest.fixture(scope="session")
def _receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def _carrier(_receiver) -> Iterator[Carrier]:
    with Carrier(inbound_url=_receiver.inbound, sent_after=0.02, delivered_after=0.05, seed=7) as carrier:
        yield carrier


@pytest.fixture
def receiver(_receiver) -> Receiver:
    _receiver.reset()
    return _receiver


@pytest.fixture
def carrier(_carrier, receiver) -> Carrier:
    _carrier.reset()
    return _carrier


@pytest.fixture
def client(carrier) -> Client:
    return client_of(carrier)
