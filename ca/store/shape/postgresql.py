"""The parts of a PostgreSQL database, as its server writes them out, without their schema.

Asked of the tables that the session itself would use: a namesake that stands before one in
`search_path` is found by where it lies. Not by `pg_get_functiondef`, whose layout is the server's.
"""

from __future__ import annotations

from sqlalchemy import Connection

from ca.store.shape.parts import Part, Shape
from ca.store.tables import metadata

#: oid, name and schema of each table as this session finds it; the others lie beside it.
_OURS = """
    WITH ours AS (
        SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, n.nspname,
               c.relnamespace, quote_ident(n.nspname) || '.' AS prefix
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid IN ({oids})
    )
"""

_TABLES = """
    SELECT 'table', relname, relname,
           CASE relpersistence WHEN 'p' THEN '' WHEN 'u' THEN 'UNLOGGED ' ELSE 'TEMPORARY ' END
           || CASE relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE 'NO TABLE' END
           || CASE WHEN relrowsecurity THEN ' WITH ROW LEVEL SECURITY' ELSE '' END
           || CASE WHEN nspname <> current_schema() THEN ' IN SCHEMA ' || nspname ELSE '' END
    FROM ours
    UNION ALL
    SELECT 'child', ours.relname, c.relname, 'TABLE INHERITS ' || ours.relname
    FROM ours JOIN pg_inherits ON inhparent = ours.oid JOIN pg_class c ON c.oid = inhrelid
"""

_COLUMNS = """
    SELECT 'column', relname, attname,
           format_type(atttypid, atttypmod)
           || CASE WHEN attcollation <> typcollation THEN ' COLLATE ANOTHER' ELSE '' END
           || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
           || CASE WHEN attidentity <> '' THEN ' IDENTITY' ELSE '' END
           || CASE WHEN attgenerated <> '' THEN ' GENERATED' ELSE '' END
           || coalesce(' DEFAULT ' || replace(pg_get_expr(adbin, adrelid), prefix, ''), '')
    FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type t ON t.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
"""

#: Not 'n': since PostgreSQL 18 that is what a column says of itself.
_CONSTRAINTS = """
    SELECT 'constraint', relname, conname,
           replace(pg_get_constraintdef(k.oid), prefix, '')
           || CASE WHEN EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = k.oid
                                AND tgenabled NOT IN ('O', 'A')) THEN ' DISABLED' ELSE '' END
    FROM ours JOIN pg_constraint k ON conrelid = ours.oid AND contype <> 'n'
"""

_INDICES = """
    SELECT 'index', ours.relname, c.relname,
           replace(pg_get_indexdef(c.oid), prefix, '')
           || CASE WHEN indisvalid AND indisready THEN '' ELSE ' INVALID' END
    FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class c ON c.oid = indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint
                      WHERE conindid = c.oid AND contype IN ('p', 'u', 'x'))
"""

#: ALWAYS is more than homeca asks for.
_TRIGGERS = """
    SELECT 'trigger', relname, tgname,
           replace(pg_get_triggerdef(t.oid), prefix, '')
           || CASE WHEN pronamespace <> relnamespace THEN ' IN ANOTHER SCHEMA' ELSE '' END
           || CASE tgenabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ON REPLICA' ELSE '' END
    FROM ours JOIN pg_trigger t ON tgrelid = ours.oid AND NOT tgisinternal
    JOIN pg_proc p ON p.oid = tgfoid
    UNION ALL
    SELECT 'rule', relname, rulename, replace(pg_get_ruledef(r.oid), prefix, '')
    FROM ours JOIN pg_rewrite r ON ev_class = ours.oid
"""

_FUNCTIONS = """
    SELECT 'function', '', proname,
           'CREATE OR REPLACE FUNCTION ' || proname || '() RETURNS '
           || format_type(prorettype, NULL) || ' LANGUAGE ' || lanname
           || CASE WHEN prosecdef THEN ' SECURITY DEFINER' ELSE '' END
           || coalesce(' SET ' || array_to_string(proconfig, ' SET '), '')
           || ' AS $$' || prosrc || '$$'
    FROM pg_proc JOIN pg_language l ON l.oid = prolang
    WHERE pronamespace IN (SELECT relnamespace FROM ours) AND pronargs = 0
      AND starts_with(proname, 'tr_')
"""


def shape(connection: Connection) -> Shape:
    """All that belongs to one of our tables, and the functions that its triggers call."""
    oids = ", ".join(f"to_regclass('{table.name}')" for table in metadata.sorted_tables)
    found: dict[Part, str] = {}
    for query in (_TABLES, _COLUMNS, _CONSTRAINTS, _INDICES, _TRIGGERS, _FUNCTIONS):
        rows = connection.exec_driver_sql(_OURS.format(oids=oids) + query)
        for kind, table, name, definition in rows:
            found[Part(kind, table, name)] = " ".join(definition.split())
    return found
