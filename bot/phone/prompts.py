"""What a call says by itself, in the language of the caller.

Texts only: who turns them into sound, and when, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_LANGUAGE = "en"
ANY_LANGUAGE = "*"
NOTICE_PLACE = "{notice}"


class Prompt(StrEnum):
    """Something that is said without the responder."""

    GREETING = "greeting"
    STILL_THERE = "still_there"
    FILLER = "filler"
    APOLOGY = "apology"
    GOODBYE = "goodbye"
    OPTED_OUT = "opted_out"


RECORDED = {
    "en": "This call is recorded.",
    "uk": "Ця розмова записується.",
    "de": "Dieses Gespräch wird aufgezeichnet.",
    "fr": "Cet appel est enregistré.",
    "es": "Esta llamada se graba.",
    "pl": "Ta rozmowa jest nagrywana.",
}
NOT_RECORDED = {
    "en": "This call is not recorded.",
    "uk": "Ця розмова не записується.",
    "de": "Dieses Gespräch wird nicht aufgezeichnet.",
    "fr": "Cet appel n'est pas enregistré.",
    "es": "Esta llamada no se graba.",
    "pl": "Ta rozmowa nie jest nagrywana.",
}
# Behind the notice, where a key ends the recording.
OPT_OUT = {
    "en": "Press {digit} if you do not want to be recorded.",
    "uk": "Натисніть {digit}, якщо не хочете запису.",
    "de": "Drücken Sie {digit}, wenn Sie nicht aufgezeichnet werden möchten.",
    "fr": "Appuyez sur {digit} si vous ne voulez pas être enregistré.",
    "es": "Pulse {digit} si no quiere que se le grabe.",
    "pl": "Proszę nacisnąć {digit}, aby nie być nagrywanym.",
}
# Where nobody answers, nobody can help either: the greeting is the notice alone.
UNANSWERED_GREETING = dict.fromkeys(RECORDED, NOTICE_PLACE)
BUILT_IN: dict[Prompt, dict[str, str]] = {
    Prompt.GREETING: {
        "en": "Hello! {notice} How can I help you?",
        "uk": "Вітаю! {notice} Чим можу допомогти?",
        "de": "Guten Tag! {notice} Wie kann ich Ihnen helfen?",
        "fr": "Bonjour ! {notice} Comment puis-je vous aider ?",
        "es": "¡Hola! {notice} ¿En qué puedo ayudarle?",
        "pl": "Dzień dobry! {notice} W czym mogę pomóc?",
    },
    Prompt.STILL_THERE: {
        "en": "Are you still there?",
        "uk": "Ви ще на лінії?",
        "de": "Sind Sie noch am Apparat?",
        "fr": "Vous êtes toujours là ?",
        "es": "¿Sigue usted ahí?",
        "pl": "Czy nadal Państwo tam są?",
    },
    Prompt.FILLER: {
        "en": "One moment, please.",
        "uk": "Хвилинку, будь ласка.",
        "de": "Einen Moment, bitte.",
        "fr": "Un instant, s'il vous plaît.",
        "es": "Un momento, por favor.",
        "pl": "Chwileczkę, proszę.",
    },
    Prompt.APOLOGY: {
        "en": "I'm sorry, I could not find an answer. Please try again.",
        "uk": "Перепрошую, мені не вдалося знайти відповідь. Спробуйте ще раз.",
        "de": "Es tut mir leid, ich habe keine Antwort. Bitte noch einmal.",
        "fr": "Désolé, je n'ai pas trouvé de réponse. Veuillez réessayer.",
        "es": "Lo siento, no tengo respuesta. Inténtelo de nuevo, por favor.",
        "pl": "Przepraszam, nie mam odpowiedzi. Proszę spróbować jeszcze raz.",
    },
    Prompt.OPTED_OUT: {
        "en": "You are not recorded any more.",
        "uk": "Вас більше не записують.",
        "de": "Sie werden nicht mehr aufgezeichnet.",
        "fr": "Vous n'êtes plus enregistré.",
        "es": "Ya no se le graba.",
        "pl": "Nie są już Państwo nagrywani.",
    },
    Prompt.GOODBYE: {
        "en": "Thank you for calling. Goodbye!",
        "uk": "Дякую за дзвінок. До побачення!",
        "de": "Danke für Ihren Anruf. Auf Wiederhören!",
        "fr": "Merci de votre appel. Au revoir !",
        "es": "Gracias por su llamada. ¡Adiós!",
        "pl": "Dziękuję za telefon. Do widzenia!",
    },
}


@dataclass(frozen=True, slots=True)
class Prompts:
    """The texts of one installation.

    `given` are the settings' texts, by language (`*`: any other); what they do not
    have is said as it is built in. `records` and `answers`: whether the call is
    recorded, and whether somebody answers; `optout_digit` the key that ends recording.
    """

    given: Mapping[Prompt, Mapping[str, str]] = field(default_factory=dict)
    records: bool = True
    answers: bool = True
    optout_digit: str = ""

    def text(self, prompt: Prompt, *, language: str) -> str:
        """The words of a prompt; "" where nothing is to be said.

        `language` is a code such as `uk` or `uk-UA`; one that nobody translated gets
        the words of English.
        """
        short = language.strip().lower().replace("_", "-").partition("-")[0]
        given = self.given.get(prompt, {})
        words = given.get(short, given.get(ANY_LANGUAGE))
        if words is None:
            words = _in(self._built_in(prompt), short)
        notice = _in(RECORDED if self.records else NOT_RECORDED, short)
        if self.records and self.optout_digit:
            offer = _in(OPT_OUT, short).format(digit=self.optout_digit)
            notice = f"{notice} {offer}"
        return words.replace(NOTICE_PLACE, notice).strip()

    def _built_in(self, prompt: Prompt) -> Mapping[str, str]:
        if prompt is Prompt.GREETING and not self.answers:
            return UNANSWERED_GREETING
        return BUILT_IN[prompt]


def _in(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language, texts[DEFAULT_LANGUAGE])
