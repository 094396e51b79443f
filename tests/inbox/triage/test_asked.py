"""What our message asked, in many clinics' wordings, and what a figure on its scale is worth."""

import pytest

from engage.inbox.triage import read, scale
from engage.inbox.triage.asked import answer, kind_of

ASKED = {
    "self_harm": (
        "Do you ever feel like you can't go on? Yes/No",
        "How many days did you wish you weren't alive?",
        "In the past month have you felt you had no reason to live? Y/N",
        "¿Ha pensado que sería mejor no estar vivo? 0=nunca",
    ),
    "unsafe": (
        "Since your last visit have you felt unsafe with a partner, relative or caregiver? 1 = never, 3 = often",
        "Is anyone taking your money or medicine without asking? Y/N",
        "Has a partner ever made you do sexual things you did not want? Y/N",
        "Are you afraid to go home today?",
        "¿Su pareja controla su dinero, su teléfono o a quién ve? SI o NO",
        "¿Se ha sentido amenazado(a) o lastimado(a) por alguien en su casa? Responda SI o NO.",
        "¿Alguien en su casa le da miedo? SI/NO",
    ),
    "safe": (
        "Is it safe for you to go home today?",
        "How safe do you feel at home? Reply SAFE or NOT SAFE.",
        "¿En su casa se siente tranquila y segura?",
    ),
    "danger": ("¿Dolor de pecho o falta de aire hoy? SI/NO", "Any chest pain since yesterday?"),
    "mood": ("¿Se ha sentido triste o sin esperanza? 0 a 3", "Feeling nervous or on edge? 0-3"),
    "symptoms": ("Any bleeding since the procedure? YES or NO", "¿Tuvo algún problema con los puntos?"),
    "rating": (
        "How easy was it to get care? 1 very hard - 5 very easy",
        "Califique su visita de 1 (mala) a 5 (excelente).",
        "How did we do? 5 stars = best",
    ),
    "satisfied": ("Was the front desk helpful? YES or NO", "¿Le explicaron bien sus medicinas? SI o NO"),
    "confirm": (
        "See you Friday 3:20 PM at the Tifton office? Reply C.",
        "Su cita de terapia es mañana 7:30. Responda C o R.",
        "Just checking: can you still come Monday at 9?",
        "We are expecting you at 3:30 today. Text us if anything has changed.",
    ),
    "offer": (
        "A sooner appointment opened up: today at 1:45 PM. Reply YES to take it.",
        "It's time for your eye exam. Shall we book one?",
    ),
}


@pytest.mark.parametrize(("kind", "outbound"), [(k, o) for k, every in ASKED.items() for o in every])
def test_a_question_is_known_however_a_clinic_words_it(kind, outbound):
    assert kind_of(outbound) == kind


@pytest.mark.parametrize(
    ("context", "outbound", "kind"),
    [
        ("appointment_reminder", "Tamika, your follow-up: Tues 1:20 w/ NP Sorrell. Y?", "confirm"),
        ("appointment_reminder", "Visit tomorrow 7:40 AM, reply 1", "confirm"),  # else an offer
        ("appointment_reminder", "Your eye exam is due for scheduling. Reply YES to book.", "offer"),
        ("screening_reminder", "Ready for your FIT kit? Text back.", "offer"),
        ("refill", "Shall we send it again? Reply YES.", "refill"),
        ("refill", "It was sent to the pharmacy.", ""),  # tells, and asks nothing
        ("survey", "Did you get a ride? Reply YES or NO.", ""),  # a yes agrees to nothing
        ("", "Ready for your FIT kit? Text back.", ""),
    ],
)
def test_what_it_was_about_tells_where_its_words_do_not(context, outbound, kind):
    assert kind_of(outbound, context) == kind


@pytest.mark.parametrize(
    ("outbound", "good", "bad"),
    [
        ("How likely are you to recommend us? 0 to 10", (5, 10), (0, 4)),
        ("How was your visit? 1 = excellent, 5 = poor.", (1, 2), (3, 5)),
        ("Rate us: 1 = great, 2 = ok, 3 = bad", (1,), (2, 3)),
        ("Del 1 (malo) al 5 (excelente), ¿cómo fue su visita?", (4, 5), (1, 3)),
        ("Was your room clean? 5 very clean - 1 very dirty", (4, 5), (1, 3)),
        ("How hard was it to find us? 1 = no trouble, 5 = very hard", (1, 2), (4, 5)),
        ("¿Cómo le pareció la espera? 1 corta - 5 larguísima", (1, 2), (4, 5)),
        ("How did we do? 5 stars = best", (4, 5), (1, 2)),
    ],
)
def test_a_scale_may_run_either_way(outbound, good, bad):
    assert all(scale.is_good(n, outbound) for n in good)
    assert not any(scale.is_good(n, outbound) for n in bad)


def test_a_step_named_twice_is_no_scale():
    assert scale.ends("How was it? 1 = yes, or 1 = maybe") is None
    assert read("1", outbound="How was your visit? 1 = good, or 1 = great").level == "significant"  # of ten


def test_a_bad_figure_is_for_a_person_whichever_way_it_runs():
    down = "How was your visit? 1 = excellent, 5 = poor."
    assert read("1", outbound=down).level == "routine" and read("5", outbound=down).level == "significant"


@pytest.mark.parametrize(
    ("outbound", "none", "some"),
    [
        ("In the past year, were you afraid of a partner? 1 never - 5 always", "1", "4"),
        ("Do you feel safe at home? 1 always 2 usually 3 rarely 4 never", "1", "2"),
        ("How safe do you feel at home? 0 = not safe at all, 10 = completely safe", "10", "4"),
    ],
)
def test_a_step_without_a_mark_is_read_by_the_words_beside_it(outbound, none, some):
    assert read(none, outbound=outbound).level == "routine"
    assert read(some, outbound=outbound).level == "urgent"


def test_where_nothing_was_asked_nothing_is_answered():
    said = "feel like i got hit by a truck but its just the flu"
    assert "survey_answer" in read(said, outbound="How are you feeling since your visit?").labels
    assert "survey_answer" not in read(said).labels


@pytest.mark.parametrize("text", ["y cuanto cuesta", "no tengo carro", "no insurance rn", "no hablo ingles"])
def test_and_is_no_yes_and_what_is_lacking_no_refusal(text):
    assert answer(text, "You're due for a mammogram. Reply YES to schedule.") is None


@pytest.mark.parametrize(
    ("outbound", "urgent", "others"),
    [
        ("¿Tiene dolor de pecho? Responda 1 para sí, 2 para no", "1|si", "2|no"),
        ("Are you short of breath? 1 Yes 2 No", "1|yes", "2|no"),
        ("Are you short of breath? 1=Yes, 2=No", "1", "2"),
        ("Reply 1 if you have chest pain, 2 if you do not.", "1|yes", "2|no"),
        ("Reply 1 if no chest pain, 2 if you have chest pain.", "2", "1"),
        ("Reply A if well, B if you are having chest pain", "B|b", "A"),
        ("How are you today? 1 = great, 2 = ok, 3 = bad, 4 = emergency", "4|four|el 4", "1|2|3"),
        ("How are you feeling? Reply 1 good, 2 not sure, 3 I need help now", "3|a 3", "1|2"),
        ("¿Cómo sigue? Responda 1 si está bien, 2 si tiene dolor de pecho", "2|el 2", "1"),
        ("Reply 1 to confirm, 2 to update your emergency contact", "", "1|2"),
        ("Visit at 3 for chest pain follow-up. Reply 1 to confirm or 2 to change", "", "1|2|3"),
        ("Are you coming tomorrow? If you have chest pain call 911", "", "yes|no"),
        ("Responda 1 si desea confirmar, 2 si desea cancelar", "", "1|2"),
    ],
)
def test_an_option_that_names_a_danger_is_urgent_and_its_opposite_is_not(outbound, urgent, others):
    assert all(read(text, outbound=outbound).level == "urgent" for text in urgent.split("|") if text)
    assert all(read(text, outbound=outbound).level != "urgent" for text in others.split("|"))
