from django.db import migrations

from transcripts import searchindex


def build(apps, schema_editor):
    searchindex.build(schema_editor.connection)


def drop(apps, schema_editor):
    searchindex.drop(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("transcripts", "0001_initial")]
    operations = [migrations.RunPython(build, drop)]
