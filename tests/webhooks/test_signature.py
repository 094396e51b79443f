"""The provider's published signature, through our own check."""

from django.test import RequestFactory, override_settings

from engage.webhooks.proof import signed

FORM = {
    "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
    "To": "+18005551212",
}  # fmt: skip
VECTOR = "RSOYDt4T1cUTdK1PDd93/VVr8B8="  # of the provider's documentation
published = override_settings(PUBLIC_BASE_URL="https://mycompany.com", TWILIO_AUTH_TOKENS=["12345"])


def request(form=FORM, address="/myapp.php?foo=1&bar=2", **headers):
    return RequestFactory().post(address, form, headers=headers)


@published
def test_the_published_vector():
    assert signed(request(**{"X-Twilio-Signature": VECTOR}))


@published
def test_behind_a_proxy_only_the_configured_address_counts():
    """Plain http inside, other hosts and ports in the headers: what the provider called stays what it is."""
    inside = {"Host": "10.0.0.7:8000", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert signed(request(**inside, **{"X-Twilio-Signature": VECTOR}))


@published
def test_what_was_not_signed_is_not():
    assert not signed(request())
    assert not signed(request(**{"X-Twilio-Signature": ""}))
    assert not signed(request(**{"X-Twilio-Signature": "ÿ"}))
    assert not signed(
        request(FORM | {"Blank": ""}, **{"X-Twilio-Signature": VECTOR})
    )  # a blank is signed too
    assert not signed(request(FORM | {"Digits": "1234 "}, **{"X-Twilio-Signature": VECTOR}))
    assert not signed(request(address="/myapp.php?bar=2&foo=1", **{"X-Twilio-Signature": VECTOR}))
    with override_settings(PUBLIC_BASE_URL="http://mycompany.com"):
        assert not signed(request(**{"X-Twilio-Signature": VECTOR}))


def test_either_of_two_tokens_while_they_change():
    with override_settings(PUBLIC_BASE_URL="https://mycompany.com", TWILIO_AUTH_TOKENS=["new", "12345"]):
        assert signed(request(**{"X-Twilio-Signature": VECTOR}))
    with override_settings(PUBLIC_BASE_URL="https://mycompany.com", TWILIO_AUTH_TOKENS=["new"]):
        assert not signed(request(**{"X-Twilio-Signature": VECTOR}))
