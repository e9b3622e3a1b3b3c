"""How alembic runs here: on the connection and in the transaction it is given, never its own.

`ca.store.migrate` opens both, with foreign keys not enforced, and commits when all is well.
For a new revision: change the tables, run `python -m ca.store.migrate draft "what it does"`,
make the file it writes say what you mean, set `REVISION` in `ca.store.schema`, and write
`shape/` anew: `python -m ca.store.migrate shape URL`, with the URL of an empty database.
"""

from __future__ import annotations

from alembic import context

from ca.store.rules import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # not SQLite's default: a migration that fails leaves nothing
    compare_type=True,
    compare_server_default=True,
    autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
)
with context.begin_transaction():
    context.run_migrations()
