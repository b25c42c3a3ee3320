"""The form that opens a session."""

from __future__ import annotations

from django import forms
from django.conf.locale import LANG_INFO

# Languages the speech models know well, each named as its speakers name it.
SPOKEN = (  # noqa: SIM905 (thirty quoted codes read worse)
    "ar cs da de el en es fa fi fr he hi hu id it ja ko nb nl pl pt ro ru sv tr uk vi"
).split()
# Whisper writes Norwegian and Chinese with codes of its own.
CODES = {"nb": "no"}


def languages() -> list[tuple[str, str]]:
    named = [(CODES.get(c, c), str(LANG_INFO[c]["name_local"])) for c in SPOKEN]
    named.append(("zh", str(LANG_INFO["zh-hans"]["name_local"])))
    named.sort(key=lambda item: item[1].casefold())
    return [("", "Detect by itself"), *named]


class NewSessionForm(forms.Form):
    title = forms.CharField(max_length=200, required=False, strip=True)
    language = forms.ChoiceField(choices=languages, required=False)
    record = forms.BooleanField(required=False, initial=True)
