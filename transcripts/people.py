"""The pages of one's own data: what there is, downloading it, erasing it, receipts, and
no more mail. Parses, asks who it is, calls one service, draws."""

from __future__ import annotations

from uuid import UUID

from channels.db import database_sync_to_async
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from sessions.attachments import attachment
from sessions.errors import VoiceError
from sessions.models import Erasure, VoiceSession
from transcripts import forgetting, mydata, reporting


@require_safe
@never_cache
@login_required
def me(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    context = {
        "counts": forgetting.counted(forgetting.of_account(user)),
        "owned": VoiceSession.objects.filter(owner=user).count(),
        "waiting": forgetting.waiting_of(user),
        "told": request.GET.get("told", "") == "unconfirmed",
    }
    return render(request, "me.html", context)


@require_GET
@never_cache
@login_required
async def download(request: HttpRequest) -> HttpResponseBase:
    user = await request.auser()
    assert isinstance(user, User)
    own = await database_sync_to_async(mydata.collected)(user)
    name = f"my-data-{timezone.now():%Y-%m-%d}.zip"
    try:
        return await attachment(request, mydata.zipped(own), "application/zip", name)
    except VoiceError as e:
        return HttpResponse(e.message, status=e.status, content_type="text/plain")


@require_POST
@login_required
def erase(request: HttpRequest) -> HttpResponse:
    """Asked for twice: by the button, and by the word beside it."""
    if request.POST.get("word", "").strip().lower() != "erase":
        return redirect("/me/?told=unconfirmed")
    user = _user(request)
    subject = forgetting.of_account(user)
    made = forgetting.ask(subject, road=Erasure.Road.ACCOUNT, account_id=user.pk)
    return redirect("receipt", made.public_id)


@require_safe
@never_cache
def receipt(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """For whoever has its number: it names nobody."""
    found = get_object_or_404(Erasure, public_id=public_id)
    return render(request, "receipt.html", {"receipt": found})


@require_safe
@never_cache
def receipt_text(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = get_object_or_404(Erasure, public_id=public_id)
    response = HttpResponse(
        forgetting.receipt(found), content_type="text/plain; charset=utf-8"
    )
    name = f"receipt-{found.public_id}.txt"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@csrf_exempt  # a mail program posts here by itself (RFC 8058); the token is the proof
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """One click of a mail program is enough (POST); whoever opens the link in a browser
    is asked, for mail scanners open links, too."""
    is_on = request.POST.get("back") == "yes" if request.method == "POST" else None
    try:
        session = reporting.decide(token, is_on=is_on)
    except VoiceError as e:
        raise Http404 from e
    context = {"title": session.title or "Untitled session", "is_on": is_on}
    response = render(request, "unsubscribe.html", context)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # each view asks for a sign-in
    return request.user
