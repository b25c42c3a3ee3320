import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('voice_sessions', '0002_recording'),
    ]

    operations = [
        migrations.CreateModel(
            name='Waveform',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('peaks', models.BinaryField(default=b'')),
                ('energies', models.BinaryField(default=b'')),
                ('recording', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='waveform', to='voice_sessions.recording')),
            ],
        ),
    ]
