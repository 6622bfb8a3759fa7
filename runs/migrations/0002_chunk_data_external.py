"""Keep chunks uncompressed and sliceable on PostgreSQL.

With the default EXTENDED storage, pglz spends five times the CPU on floats it cannot compress, and
`substr` must unpack the whole value. The same command as a new table on SQLite needs nothing.
"""

from __future__ import annotations

from django.db import migrations


def set_external(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in ("runs_chunk", "runs_chunksummary"):
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN data SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [migrations.RunPython(set_external, migrations.RunPython.noop)]
