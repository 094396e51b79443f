"""Questions about self-harm and safety: tables of questions and answers, both languages, every way to write the scale."""

from itertools import product

import pytest

from engage.inbox.triage import read

SELF_HARM = (
    "Over the last 2 weeks, how often have you had thoughts that you would be better off dead or of hurting yourself "
    "in some way? 0=not at all, 1=several days, 2=more than half the days, 3=nearly every day",
    "En las últimas 2 semanas, ¿con qué frecuencia ha pensado que estaría mejor muerto(a) o en hacerse daño? "
    "0=nunca, 1=varios días, 2=más de la mitad de los días, 3=casi todos los días",
    "The thought of harming myself has occurred to me: never, hardly ever, sometimes, or quite often?",
    "He pensado en hacerme daño: nunca, casi nunca, a veces, o muy a menudo.",
    "In the past month, have you wished you were dead or wished you could go to sleep and not wake up? Reply YES or NO.",
    "¿Ha deseado estar muerto(a) o poder dormirse y no despertar? Responda SI o NO.",
    "Have you thought about taking your own life?",
)
UNSAFE = (
    "How often does anyone, including family, physically hurt you? never / rarely / sometimes / often",
    "¿Con qué frecuencia alguien de su familia le lastima físicamente? nunca / rara vez / a veces / seguido",
    "Are you afraid of a partner or of anyone in your household?",
    "¿Le tiene miedo a su pareja o a alguien en su casa?",
    "In the past year, has anyone hit, kicked or hurt you? Reply YES or NO.",
    "En el último año, ¿alguien le ha pegado o lastimado? Responda SI o NO.",
)
SAFE = (
    "Do you feel safe at home? Reply YES or NO.",
    "¿Se siente seguro(a) en su casa? Responda SI o NO.",
)
STEPS = "How often does your partner threaten you with harm? 1=never, 2=rarely, 3=sometimes, 4=fairly often"

SOME = """el 3|a veces si|sometimes|hardly ever|casi nunca|quite often|muy a menudo|several days|varios dias|rarely|rara vez
seguido|a 2|yes|si|de vez en cuando|yes but i wouldnt do anything|only at night|nomas cuando toma|a veces, nomas cuando toma
no, well sometimes|nunca, bueno a veces|id rather not say|no se|not sure|mas de la mitad|casi todos los dias|once|una vez
nearly every day|more than half|ya no tanto|occasionally|un poco|kinda|prefiero no decir|2 or 3 times|a couple nights
no, not anymore|never say never|yes but id never do it|si pero no lo haria|daily but never acted on it
0 on paper|0, well sometimes"""
NONE = """never|no|not at all|0|nunca|nada|ninguna vez|el 0|0. not at all|zero, never|no never|None of that at all
gracias a dios no|jamas|para nada|nope never had that|Cero|nunca jamás|no, not once|i havent|thank god no|un 0|nada de eso
never ever|NO gracias a Dios|I never have|0 eso nunca. pero lloro mucho desde que se fue mi mamá
0, id never. but i cant quit crying since the layoff. is there a counselor"""
NOBODY = """no nobody has|no, nadie|nadie|nobody|never, not once|i feel safe|nope, just me and my cats|vivo sola|i live alone
me siento segura|no one|no|never|nunca|0 times|no le tengo miedo a nadie"""
SOMEBODY = """my grown son, when hes using|hes ok when sober|mi esposo, cuando toma|just my brother|my husband, is that bad?
u mean like shoving? yes|no, only when he drinks"""
IS_SAFE = """yes|si|yes very safe|muy segura|SI, muy segura gracias a Dios|always|siempre|of course i do|i feel safe
claro que si|100%|sí me siento segura, pero nos van a cortar la luz el viernes|im very safe thank you
Yes I'm safe here. Just cant afford it, rent went up 300 and we're behind"""
IS_NOT_SAFE = """no|not really no|pues no|i dont feel safe|sometimes|a veces|hardly ever|nunca|never|not when hes drinking
not at all|casi nunca|depends|im not safe|no me siento segura|when my son is gone|mas o menos|my grown son, when hes using
yes when hes not here|si, menos cuando toma|para nada"""
OPEN = """thanks|gracias|thank you so much|hola buenos dias|who is this?|quien es?|why are you asking me this
can i move my appointment to friday|puedo cambiar mi cita?|what time is my appointment|i need to reschedule my visit
necesito cambiar mi cita|is this the pharmacy?|what does this mean|do i have to answer these|can you send me the results
quién es?|¿me puede decir a qué hora es?|how do i log in"""


def table(*rows):
    """Each question of a group with each answer to it."""
    return [row for asked, said in rows for row in product(asked, said.replace("\n", "|").split("|"))]


@pytest.mark.parametrize(
    ("outbound", "text"),
    table(
        ((*SELF_HARM, *UNSAFE), SOME),
        (UNSAFE, SOMEBODY),
        (SAFE, IS_NOT_SAFE),
        ((STEPS,), "2|el 2|4|two|rarely"),
    ),
)
def test_what_is_not_plainly_none_is_urgent(outbound, text):
    assert read(text, outbound=outbound).level == "urgent"


@pytest.mark.parametrize(
    ("outbound", "text"),
    table((SELF_HARM, NONE), (UNSAFE, NOBODY), (SAFE, IS_SAFE), ((STEPS,), "1|a 1|one|never")),
)
def test_a_plain_none_is_not(outbound, text):
    assert read(text, outbound=outbound).level != "urgent"


@pytest.mark.parametrize(("outbound", "text"), table(((*SELF_HARM, *UNSAFE, *SAFE), OPEN)))
def test_no_answer_leaves_the_question_open_for_a_person(outbound, text):
    assert read(text, outbound=outbound).level == "significant"


def test_a_scale_counted_downwards_is_read_by_its_words():
    down = "Have you had thoughts of hurting yourself? 0=nearly every day, 1=sometimes, 2=never"
    assert read("0", outbound=down).level == "urgent" and read("2", outbound=down).level == "routine"


def test_a_question_after_if_is_one():
    outbound = "If you are having thoughts of hurting yourself, reply YES and we will call."
    assert read("YES", outbound=outbound).level == "urgent"


@pytest.mark.parametrize("text", ["see you then", "ok thank you", "running late"])
def test_advice_asks_nothing(text):
    advice = "Your visit is Tuesday at 9. If you have thoughts of suicide, call or text 988."
    assert read(text, outbound=advice).level != "urgent"


@pytest.mark.parametrize("text", ["i said stop last week", "wrong number", "no english please, spanish only"])
def test_who_speaks_of_something_else_answers_nothing(text):
    assert read(text, outbound=SELF_HARM[0]).level == "significant"


def test_a_stop_needs_no_second_flag():
    assert read("STOP", outbound=SELF_HARM[0]).labels == ("opt_out",)


@pytest.mark.parametrize("text", ["next week please", "my husband can drive me", "NO"])
def test_a_safe_vaccine_is_no_question_about_home(text):
    assert (
        read(text, outbound="The flu vaccine is safe in pregnancy. Reply YES to book.").level == "significant"
    )


def test_an_answer_in_a_language_we_do_not_read_goes_to_a_person():
    assert read("Tôi không hiểu tiếng Anh", outbound=SELF_HARM[0]).level == "significant"
