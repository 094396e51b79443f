import pytest

from engage.campaigns import starters
from engage.lib import text
from engage.messaging import templates
from engage.messaging.models import Template
from tests.base import CastTestCase

ALL = [
    (m, which, lang, body) for m, texts in starters.WORDING.items() for (which, lang), body in texts.items()
]


@pytest.mark.parametrize(("measure", "which", "language", "body"), ALL, ids=lambda v: str(v)[:9])
def test_wording_keeps_the_contract_in_one_part(measure, which, language, body):
    assert templates.check(body) == []
    size = templates.size_of(body)
    assert (size.encoding, size.segments) == ("GSM-7", 1)
    assert text.size(body).encoding == "GSM-7"
    assert ("Responda ALTO" if language == "es" else "Reply STOP") in body


class EnsureTests(CastTestCase):
    def test_written_once_and_approved(self):
        assert starters.ensure_templates("supervisor") == 12
        assert starters.ensure_templates("supervisor") == 0
        row = Template.objects.get(key="cms130-first", language="es")
        assert (row.approved_by, row.version, row.approved_at is not None) == ("supervisor", 1, True)

    def test_edited_wording_is_left_alone(self):
        Template.objects.create(key="cms130-first", language="en", body="Ours", name="x", version=4)
        starters.ensure_templates("supervisor")
        assert Template.objects.filter(key="cms130-first", language="en").count() == 1
