#!/bin/bash
# The service `backup-dump`: answers the requests of the service `backup`, which are files in a folder that both have.
#
#   list          the databases that hold Odoo, one on a line
#   stage NAME    prepare a folder with manifest.json, db.dump, checks.txt and filestore/; answers the identity of the cluster
#   drop NAME     remove that folder
#
# Database and files fit each other while Odoo runs: the files are hard-linked, the snapshot of the dump is taken, and what came
# since is linked, while a lock keeps Odoo from removing files. An answer is an exit code of odpm, then lines: those that were
# asked for, or what happened and what to do.
set -u
umask 077
ROOT=/var/tmp/odpm STORE=/var/lib/odoo/filestore STAGE=/var/lib/odoo/odpm-backup
export PGPASSWORD PGAPPNAME=odpm-backup PGCONNECT_TIMEOUT=20
PGPASSWORD=$(< /run/secrets/db_password)

fail() { # fail CODE WHAT NEXT
    printf '%s\n' "$1" "$2" "$3" > "$ROOT/reason"
    exit "$1"
}

query() { psql -XAtq -v ON_ERROR_STOP=1 -d "$1" 2> "$ROOT/stderr" || fail 5 "PostgreSQL refuses a query in $1: $(said)" "inv logs db"; }
said() { grep -v '^[[:space:]]*$' "$ROOT/stderr" | tail -n 1 | cut -c 1-300; }

databases() {
    local name
    query postgres <<< "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
        AND datname !~ '[/[:cntrl:]]' AND datname NOT IN ('.', '..') ORDER BY 1" | while IFS= read -r name; do
        [ -z "$(query "$name" <<< "SELECT to_regclass('ir_module_module')")" ] || printf '%s\n' "$name"
    done
}

# Link every file of a folder into another one, which may have some of them; one that Odoo removes meanwhile is left out.
link() { # link SOURCE TARGET
    perl -e '
        use strict; use Errno;
        sub tree {
            my ($source, $target) = @_;
            opendir(my $folder, $source) or return $!{ENOENT} || die "$source: $!\n";
            mkdir($target) or $!{EEXIST} or die "$target: $!\n";
            while (defined(my $name = readdir($folder))) {
                next if $name eq "." || $name eq ".." || $name eq "checklist";
                my ($from, $to) = ("$source/$name", "$target/$name");
                lstat($from) or next;
                if (-d _) { tree($from, $to) }
                elsif (-f _) { link($from, $to) or $!{EEXIST} or $!{ENOENT} or die "$from: $!\n" }
            }
            return 1;
        }
        tree(@ARGV)' "$1" "$2" 2> "$ROOT/stderr" || fail 5 "the files of a database cannot be linked: $(said)" "inv logs backup-dump"
}

# manifest.json as Odoo's database manager writes it, with what odpm records in the key `odpm`
MANIFEST="SELECT json_build_object('odoo_dump', '1', 'db_name', current_database(), 'version', series,
  'version_info', json_build_array(split_part(series, '.', 1), split_part(series, '.', 2)::int, 0, 'final', 0, ''),
  'major_version', series, 'pg_version', server / 10000 || '.' || server % 10000,
  'modules', (SELECT json_object_agg(name, latest_version ORDER BY name) FROM ir_module_module WHERE state = 'installed'),
  'odpm', json_build_object('created', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    'stack', (SELECT system_identifier::text FROM pg_control_system()),
    'uuid', coalesce((SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'), ''),
    'neutralized', EXISTS (SELECT FROM ir_config_parameter
      WHERE key = 'database.is_neutralized' AND lower(value) IN ('true', 't', '1')), 'lock', NULL))
  FROM (SELECT substring(latest_version FROM '^(?:saas~)?[0-9]+\.[0-9]+') AS series, current_setting('server_version_num')::int AS server
    FROM ir_module_module WHERE name = 'base') base"
SIZE="SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint / 1024 FROM pg_class WHERE relkind IN ('r', 'm')"
UNREADABLE="SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind IN ('r', 'p', 'm', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND (relforcerowsecurity OR NOT pg_has_role(relowner, 'USAGE') OR NOT has_schema_privilege(n.oid, 'USAGE'))"

stage() {
    local folder=$STAGE/$1 size free snapshot identity unreadable
    rm -rf "$STAGE" && mkdir -p "$folder/filestore" || fail 8 "the volume of Odoo's files cannot be written" "inv logs backup-dump"
    unreadable=$(query "$1" <<< "$UNREADABLE") || exit
    [ -z "$unreadable" ] || fail 5 "Odoo's role cannot read parts of $1: $unreadable" "give them to the role odoo: ALTER … OWNER TO odoo"
    size=$(query "$1" <<< "$SIZE") || exit
    free=$(df -Pk "$STAGE" | awk 'NR == 2 { print $4 }')
    [ "$size" -lt "$free" ] || fail 8 "the dump of $1 needs up to $((size / 1024)) MB, and the volume of Odoo's files has $((free / 1024)) MB free" \
        "free some space on the disk of Docker: inv prune shows what is unused"
    link "$STORE/$1" "$folder/filestore"
    coproc SESSION { exec psql -XAtq -v ON_ERROR_STOP=1 -d "$1" 2> "$ROOT/session"; }
    printf '%s;\n' "SET lock_timeout = '10s'" 'BEGIN ISOLATION LEVEL REPEATABLE READ' 'LOCK TABLE ir_attachment IN ROW EXCLUSIVE MODE' \
        'SELECT pg_export_snapshot()' >&"${SESSION[1]}"
    IFS= read -r snapshot <&"${SESSION[0]}" || { cp "$ROOT/session" "$ROOT/stderr"; fail 5 "no snapshot of $1 can be taken: $(said)" "inv backup.run"; }
    local here="BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot';"
    query "$1" <<< "$here $MANIFEST" > "$folder/manifest.json" || exit
    pg_dump --no-owner --no-privileges --no-publications --no-subscriptions --snapshot="$snapshot" --format=custom --compress=0 \
        --file="$folder/db.dump" --dbname="$1" 2> "$ROOT/stderr" || {
        grep -qi 'no space left' "$ROOT/stderr" && fail 8 "the volume of Odoo's files is full" "free some space on the disk of Docker: inv prune shows what is unused"
        fail 5 "pg_dump of $1 failed: $(said)" "inv logs db"
    }
    { printf '%s\n' "$here"; cat /odpm/checks.sql; } | query "$1" > "$folder/checks.txt" || exit
    link "$STORE/$1" "$folder/filestore"
    printf '%s\n' 'COMMIT;' '\q' >&"${SESSION[1]}"
    wait "$SESSION_PID" 2> /dev/null
    query postgres <<< 'SELECT system_identifier FROM pg_control_system()'
}

answer() { # answer FILE
    local words code
    mapfile -t words < "$1"
    rm -f "$ROOT/reason"
    (
        case ${words[0]} in
        list) set -o pipefail; databases ;;
        stage) stage "${words[1]}" ;;
        drop) rm -rf "$STAGE" ;;
        *) fail 1 "unknown request ${words[0]}" "inv up" ;;
        esac
    ) > "$ROOT/output"
    code=$?
    if [ "$code" -eq 0 ]; then
        { echo 0; cat "$ROOT/output"; } > "$ROOT/answer"
    elif [ -s "$ROOT/reason" ]; then
        mv "$ROOT/reason" "$ROOT/answer"
    else
        printf '%s\n' 5 "the dump ended with code $code" "inv logs backup-dump" > "$ROOT/answer"
    fi
    [ "$code" -eq 0 ] || rm -rf "$STAGE"
    mv "$ROOT/answer" "$1.answer" 2>/dev/null
    rm -f "$1"
}

trap 'exit 0' TERM INT
mkdir -p "$ROOT/requests"
rm -rf "$STAGE"
for request in "$ROOT"/requests/*; do
    case $request in *.answer | *'*' | */new) continue ;; esac
    printf '%s\n' 5 "the service backup-dump was restarted meanwhile" "inv backup.run" > "$request.answer"
    rm -f "$request"
done
(while :; do touch "$ROOT/alive"; sleep 5; done) &
while :; do
    for request in "$ROOT"/requests/*; do
        case $request in *.answer | *'*' | */new) continue ;; esac
        answer "$request"
    done
    sleep 0.3 &
    wait $!
done
