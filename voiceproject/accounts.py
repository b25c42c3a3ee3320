"""Settings of what signs people in, the same everywhere: Django, allauth, axes."""

from __future__ import annotations

from datetime import timedelta

SESSION_ENGINE = "sessions.signin.cookies"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: whoever is locked out stays out
    "allauth.account.auth_backends.AuthenticationBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Together: nobody locks others out by trying their names from somewhere else.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# Of one address, whatever the names: a whole school may stand behind it.
FAILURES_PER_ADDRESS = 100
AXES_HANDLER = "sessions.signin.lockout.Failures"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_USERNAME_CALLABLE = "sessions.signin.lockout.name"
AXES_CLIENT_IP_CALLABLE = "sessions.signin.lockout.address"
AXES_LOCKOUT_CALLABLE = "sessions.signin.lockout.refused"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator")
]
ACCOUNT_ADAPTER = "sessions.signin.adapters.Accounts"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
SOCIALACCOUNT_ADAPTER = "sessions.signin.adapters.DiscordAccounts"
SOCIALACCOUNT_PROVIDERS = {
    "discord": {"provider_class": "sessions.signin.discord.Discord"}
}
