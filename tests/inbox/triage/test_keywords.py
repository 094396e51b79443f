import pytest

from engage.inbox.triage.keywords import is_about_else, keyword, may_revoke


@pytest.mark.parametrize(
    "text", ["STOP", "stop", " Stop ", "STOPALL", "unsubscribe", "Cancel", "END", "quit", "REVOKE", "OptOut"]
)
def test_the_provider_has_acted_on_its_own_words(text):
    found = keyword(text)
    assert found.kind == "stop" and found.exact and found.provider_recognises


@pytest.mark.parametrize(
    "text",
    ["opt out", "opt-out", "stop.", "STOP!!!", "STOP 🛑", "stop stop stop", "Stop please", "Stop!! stop!! please"]
    + ["alto alto alto", "ya basta ya basta"]
    + ["ＳＴＯＰ", "s.t.o.p", "S T O P", "st\u200bop", "please stop", "STPO"]
    + ["ALTO", "pare", "BAJA", "no más", "NO MAS", "no ma\u0301s", "cancelar", "salir"]
    + ["st0p", "5top", "_STOP_", "*stop*", "#stop", "go away", "Hi, stop", "Hola, alto", "Buenas tardes, pare por favor"]
    + ["ya no más", "pare ya", "dame de baja", "desuscribirme", "bórrenme"],
)  # fmt: skip
def test_words_that_only_we_recognise(text):
    found = keyword(text)
    assert found.kind == "stop" and not found.provider_recognises


@pytest.mark.parametrize(
    "text",
    ["arrêter", "Désabonner", "abmelden", "aufhören", "отписаться", "kanpe", "sispann", "itigil", "ngừng", "huỷ"]
    + ["停", "停止", "退订", "退訂", "不要再发了", "停止してください", "그만하세요", "إيقاف", "إلغاء الاشتراك", "बंद करो"]
    + ["그만"],
)  # fmt: skip
def test_words_of_other_languages_as_the_whole_message(text):
    found = keyword(text)
    assert found.kind == "stop" and found.exact and not found.provider_recognises


@pytest.mark.parametrize(
    "text",
    [
        "Stop texting me",
        "please stop sending me these messages",
        "take me off your list",
        "remove me from your list please",
        "do not contact me",
        "just leave me alone already",
        "cease and desist",
        "I don't want any more texts",
        "ya no me manden mensajes",
        "no quiero más mensajes",
        "dejen de molestarme",
        "quiero darme de baja",
        "No, stop texting me",
        "No, remove me from your list",
        "no, borren mi numero",
        "quiero que dejen de escribirme",
        "no stop texting me",
        "No, dejen de mandarme mensajes",
        "no! dejen de molestar",
        "stop it stop it",
        "do not call or text me",
        "Don't text or call me anymore!",
        "I do not consent",
        "I don't consent to these messages",
        "leave me the hell alone",
        "no me contacten",
        "No me escriban más por favor",
        "no me molesten",
        "quiero que paren",
        "para de escribirme",
        "dejen de textearme",
        "detengan los mensajes",
        "cancelen mis mensajes",
        "alto a los mensajes",
        "no gracias, bórrenme",
        "I already text stop 3 times! stop texting me",
        "why don't you stop texting me",
        "why dont you take me off your list",
        "don't call me back",
    ],
)
def test_phrases_that_revoke(text):
    found = keyword(text)
    assert found.kind == "stop" and not found.exact and not found.provider_recognises


@pytest.mark.parametrize(
    "text",
    [
        "we have got to STOP this",
        "please cancel my appointment",
        "I can't stop the bleeding",
        "nomás quiero saber el precio",
        "ya no tengo seguro",
        "I want to end it all",
        "do not call my daughter about this",
        "don't call me until after 5",
        "dont send me the kit yet",
        "leave me alone with the nurse please",
        "my bus stop moved",
        "Reply STOP to opt out",
        "don't stop texting me",
        "please do not stop sending me the reminders",
        "did you stop texting me?",
        "no dejen de mandarme mensajes",
        "no dejen de escribirme",
        "no quiero que dejen de escribirme",
        "dont remove me from the list",
        "please do not take me off the list",
        "no borren mi numero",
        "no quiero darme de baja",
        "no me den de baja",
        "don't unsubscribe me",
        "please do not unsubscribe me",
        "never unsubscribe me",
        "don't you dare stop texting me lol",
        "do not call or text my mother",
        "do not call or text me until after 5",
        "you never call me back",
        "I do not consent to the surgery",
        "how do I make it go away",
        "can't stop coughing",
        "my bleeding won't stop",
        "I'll stop by at 3",
        "I quit smoking",
        "end of the month works",
        "I will be out, call later",
        "¿para qué?",
        "para mañana",
        "quiero que pare el dolor",
        "no para de escribirme mi ex",
        "tengo el azúcar alto",
        "no cancelen los recordatorios",
        "no quiero cancelar los mensajes",
        "cancelen la cita",
        "ALTO para cancelar mensajes",
        "Responda ALTO para no recibir más mensajes",
        "停药",
        "大便停了",
        "help help help",
        "no no no",
        "sí",
        "",
        "🛑",
        "\x00",
    ],
)
def test_what_is_no_keyword(text):
    assert keyword(text) is None


@pytest.mark.parametrize(
    "text",
    ["CANCEL", "Cancel!!", "Cancel please", "please cancel", "Cancel, thanks", "CANCEL CANCEL", "cancelar por favor"]
    + ["cancel now", "cancel this", "cancel me", "cancel all", "取消", "Cancel my visit and stop texting me"],
)  # fmt: skip
def test_cancel_may_also_mean_the_visit(text):
    assert keyword(text).kind == "stop" and keyword(text).may_cancel_visit


@pytest.mark.parametrize("text", ["STOP", "cancel texts", "Cancel these messages", "cancelen los mensajes"])
def test_what_names_messages_or_no_cancelling_means_no_visit(text):
    assert keyword(text).kind == "stop" and not keyword(text).may_cancel_visit


def test_an_opt_out_counts_however_late_it_comes():
    complaint = "I waited for two hours and nobody came to tell me why, again. " * 20
    assert keyword(complaint) is None
    assert keyword(f"{complaint}Please stop texting me.").kind == "stop"
    assert keyword(f"Please stop texting me. {complaint}Your text says Reply STOP to opt out").kind == "stop"


@pytest.mark.parametrize(
    "text",
    ["🛑", " 🛑🛑 ", "désabonnez-moi svp", "отпишите меня пожалуйста", "请帮我退订", "arrêtez de m'écrire"]
    + ["수신거부 해주세요"],
)  # fmt: skip
def test_what_most_likely_revokes_is_for_a_person(text):
    assert keyword(text) is None and may_revoke(text)


@pytest.mark.parametrize(
    "text", ["", "👍", "ok", "停药", "病又再发", "特别发烧", "Hola", "医生你好" * 20 + "退订"]
)
def test_what_does_not_look_like_it(text):
    assert not may_revoke(text)


@pytest.mark.parametrize("text", ["wrong number", "Wrong number, sorry", "número equivocado"])
def test_a_wrong_number_is_an_opt_out_of_the_number(text):
    assert keyword(text).kind == "stop" and keyword(text).wrong_number


def test_yes_alone_opts_nobody_in():
    assert keyword("YES").kind == "start_ambiguous" and keyword("YES").provider_recognises
    assert keyword("alta").kind == "start_ambiguous"
    assert keyword("YES please") is None


@pytest.mark.parametrize(
    ("text", "kind", "ours"),
    [
        ("START", "start", False),
        ("unstop", "start", False),
        ("INICIO", "start", True),
        ("help", "help", False),
        ("INFO", "help", False),
        ("ayuda", "help", True),
    ],
)
def test_start_and_help(text, kind, ours):
    assert (keyword(text).kind, keyword(text).provider_recognises) == (kind, not ours)


def test_quoted_mail_is_not_the_answer():
    assert keyword("unsubscribe\n\nOn Mon the clinic wrote:\n> Flu shots are here!").kind == "stop"
    assert keyword("Thanks!\n\n> Reply\n> STOP") is None
    assert keyword("Liked “STOP texting me”") is None


@pytest.mark.parametrize(
    "text",
    [
        "My bleeding won't stop",
        "the pain doesn't stop",
        "I can't stop throwing up",
        "how do I stop the bleeding",
        "stop bleeding",
        "I want to stop smoking",
        "should I stop taking my blood thinner?",
        "I'll stop by at 3",
        "can I stop in tomorrow",
        "la sangre no para",
        "no puedo dejar de toser, no se me quita",
        "quiero dejar de fumar",
        "tengo el azúcar muy alto",
        "cancel my appt please",
        "quiero cancelar mi cita",
        "don't stop texting me",
        "please don't take me off your list",
        "no me quiten de la lista",
    ],
)
def test_stop_said_of_something_else(text):
    assert is_about_else(text)


@pytest.mark.parametrize(
    "text",
    [
        "your texts won't stop",
        "you won't stop",
        "they never stop texting me",
        "my bleeding won't stop and stop texting me",
        "cancel my appointment and take me off your list",
        "cancel my appointment reminders",
        "ustedes no paran",
        "no dejan de mandarme mensajes",
        "we have got to STOP this",
        "make it stop",
        "I said stop",
        "hello",
    ],
)
def test_stop_that_may_be_said_of_messages(text):
    assert not is_about_else(text)
