"""The group of moderators, with just the rights they need.

Permissions are otherwise made after all migrations have run: those named here are made
if they are missing, and Django finds them there.
"""

from django.db import migrations

GROUP = "Moderators"
RIGHTS = (
    ("admin", "logentry", "view", "Can view log entry"),
    ("bot", "call", "view", "Can view call"),
    ("bot", "discordcall", "view", "Can view discord call"),
    ("bot", "erasure", "view", "Can view erasure"),
    ("transcripts", "utterance", "view", "Can view utterance"),
    ("voice_sessions", "auditentry", "view", "Can view access by others"),
    ("voice_sessions", "erasure", "add", "Can add erasure"),
    ("voice_sessions", "erasure", "view", "Can view erasure"),
    ("voice_sessions", "job", "view", "Can view job"),
    ("voice_sessions", "participant", "view", "Can view participant"),
    ("voice_sessions", "recording", "view", "Can view recording"),
    ("voice_sessions", "sessionevent", "view", "Can view session event"),
    ("voice_sessions", "voicerequest", "view", "Can view voice request"),
    ("voice_sessions", "voicesession", "view", "Can view voice session"),
    ("voice_sessions", "voicesession", "delete", "Can delete voice session"),
    ("voice_sessions", "voicesession", "moderate", "Can moderate every session"),
)


def make(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    Group = apps.get_model("auth", "Group")
    db = schema_editor.connection.alias
    group, _ = Group.objects.using(db).get_or_create(name=GROUP)
    for app, model, what, name in RIGHTS:
        kind, _ = ContentType.objects.using(db).get_or_create(
            app_label=app, model=model
        )
        codename = what if what == "moderate" else f"{what}_{model}"
        right, _ = Permission.objects.using(db).get_or_create(
            content_type=kind, codename=codename, defaults={"name": name}
        )
        group.permissions.add(right)


class Migration(migrations.Migration):

    dependencies = [
        ("voice_sessions", "0007_privacy"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
