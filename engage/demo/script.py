"""What the demonstration's patients say, and what staff made of it. All invented."""

from dataclasses import dataclass

from engage.worklist.models import Outcome


@dataclass(frozen=True)
class Line:
    """A patient's reply; `answer` is what staff wrote back ("" for nothing), `outcome` how they ended the task."""

    language: str
    text: str
    weight: int
    answer: str = ""
    outcome: str = Outcome.ANSWERED


LINES = (
    # Wants it
    Line("en", "1", 12, "Thank you! We have Tue 9:20 or Thu 2:40. Which is better?", Outcome.BOOKED),
    Line("en", "Yes please", 7, "Great. A colleague will call you this afternoon to book.", Outcome.BOOKED),
    Line(
        "en",
        "ok what times do you have? mornings are best for me",
        6,
        "We have Wed 8:40 or Fri 9:00.",
        Outcome.BOOKED,
    ),
    Line("es", "1", 8, "¡Gracias! Tenemos el martes 9:20 o el jueves 14:40. ¿Cual prefiere?", Outcome.BOOKED),
    Line(
        "es", "si, por favor. puede ser en la tarde?", 5, "Claro. Tenemos el miercoles 15:20.", Outcome.BOOKED
    ),
    Line("pt", "Sim, quero marcar", 2, "", Outcome.HANDED_ON),
    # Has had it
    Line(
        "en",
        "I already had mine in March at the hospital",
        5,
        "Thank you, we have noted it.",
        Outcome.ALREADY_DONE,
    ),
    Line(
        "en",
        "did it last fall with Dr Lopez across town, all good",
        4,
        "Thank you, good to hear.",
        Outcome.ALREADY_DONE,
    ),
    Line("es", "Ya me la hice en mayo en otro lugar", 4, "Gracias, ya lo anotamos.", Outcome.ALREADY_DONE),
    # Asks
    Line(
        "en",
        "Does my insurance cover this? I cant pay right now",
        5,
        "Most plans cover it in full. We will check yours and call you.",
    ),
    Line("en", "What is this about?", 4, "You are due for a health check-up. I can call you and explain."),
    Line(
        "en",
        "Is this really from the clinic? How did you get my number",
        3,
        "Yes. Please call the number on your clinic card to be sure.",
    ),
    Line("es", "Cuanto cuesta? no tengo seguro", 4, "Tenemos un programa de descuento. Le llamamos hoy."),
    # Something in the way
    Line(
        "en",
        "I'd like to but I have no ride, the bus takes 2 hours",
        4,
        "We can arrange a free ride. May I call you?",
        Outcome.WILL_CALL,
    ),
    Line(
        "es",
        "No puedo, trabajo de lunes a sabado",
        3,
        "Abrimos martes y jueves hasta las 19:00.",
        Outcome.WILL_CALL,
    ),
    Line(
        "en", "honestly I'm scared of it", 2, "That is very common. Our nurse can talk it through with you."
    ),
    # Does not want it
    Line("en", "No thanks, not interested", 5, "", Outcome.DECLINED),
    Line("es", "no gracias", 3, "", Outcome.DECLINED),
    Line("en", "STOP", 5),
    Line("en", "please stop texting me", 2),
    Line("es", "ALTO", 3),
    # Not the right person
    Line("en", "Wrong number", 3, "", Outcome.WRONG_NUMBER),
    Line("es", "numero equivocado, yo no soy esa persona", 2, "", Outcome.WRONG_NUMBER),
    Line("en", "My mother passed away in January. Please take her off your list.", 1, "", Outcome.DECEASED),
    # Other business
    Line(
        "en",
        "I need to reschedule my appointment on Tuesday, my car broke down",
        4,
        "No problem. Is Friday at 10:40 good?",
        Outcome.BOOKED,
    ),
    Line(
        "en",
        "I ran out of my blood pressure pills and the pharmacy says no refills",
        3,
        "We are sending a refill today.",
    ),
    Line("es", "Se me acabaron las pastillas de la presion", 2, "Hoy enviamos la receta a su farmacia."),
    Line("en", "We moved, my new address is 12 Elm St", 2, "Thank you, changed.", Outcome.CONTACT_FIXED),
    Line(
        "en",
        "Third message this week. Why doesn't anyone just call me",
        2,
        "I am sorry. I will call you today.",
    ),
    Line("vi", "Tôi không nói được tiếng Anh", 1, "", Outcome.HANDED_ON),
    Line("ht", "Mwen pa konprann anglè", 1, "", Outcome.HANDED_ON),
    Line(
        "en", "been dizzy since i started the new pill", 2, "Please do not drive. A nurse is calling you now."
    ),
    # Noise
    Line("en", "Thank you!", 6),
    Line("en", "ok", 5),
    Line("es", "ok gracias", 4),
    Line("en", "👍", 3),
    Line("en", "I'm driving right now. I'll get back to you later.", 2),
    Line("en", "haha this waiting room is killing me, see you soon", 1, "", Outcome.NOT_SIGNIFICANT),
)
URGENT_PAST = (
    Line(
        "en",
        "having chest pain since last night, left arm feels numb",
        1,
        "We called you: help is on the way.",
        Outcome.EMERGENCY_HANDLED,
    ),
    Line(
        "es",
        "no puedo respirar bien desde la mañana",
        1,
        "Le llamamos: ya va la ambulancia.",
        Outcome.EMERGENCY_HANDLED,
    ),
    Line("en", "i dont want to be here anymore", 1, "I am calling you right now.", Outcome.EMERGENCY_HANDLED),
)
URGENT_TODAY = (
    Line("en", "I have chest pain and its hard to breathe", 1),
    Line("es", "mi esposo me pego otra vez, tengo miedo", 1),
)
UNKNOWN = (
    ("+14135550177", "Hi this is Dee, got a new phone. Can you call me about my appointment"),
    ("+14135550178", "quien es?"),
)
