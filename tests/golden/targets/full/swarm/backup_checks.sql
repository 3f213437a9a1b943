-- A line for each table of a database: name, number of rows, a checksum of them. The restored copy must have the same lines.
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL search_path = '';
SELECT format('SELECT %L, count(*), coalesce(sum(%s), 0) FROM ONLY %s t', named, CASE
    WHEN current_setting('server_version_num')::int < 110000 THEN 'pg_catalog.hashtext(t::text)::bigint'
    ELSE 'pg_catalog.hashtextextended(t::text, 0)' END, named)
FROM (
    SELECT format('%I.%I', nspname, relname) AS named FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
) tables ORDER BY named COLLATE "C" \gexec
