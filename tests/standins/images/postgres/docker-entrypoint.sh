#!/bin/bash
# The contract of the official image, in the part projects rely on:
#   POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, each also as NAME_FILE (read while still root,
#   so a secret only root may read is fine), POSTGRES_HOST_AUTH_METHOD, PGDATA;
#   /docker-entrypoint-initdb.d/*.sh|*.sql|*.sql.gz run once, on an empty data folder, with no TCP port open;
#   afterwards whoever connects by the local socket is trusted and everyone else needs a password.
set -Eeuo pipefail

take_setting() {  # take_setting NAME DEFAULT: NAME from the environment or from the file that NAME_FILE names
    local name=$1 file_name=${1}_FILE value=${!1:-$2}
    if [[ -n ${!name:-} && -n ${!file_name:-} ]]; then
        echo >&2 "error: $name and $file_name are both set, one of them is enough"
        exit 1
    fi
    if [[ -n ${!file_name:-} ]]; then value=$(<"${!file_name}"); fi
    export "$name=$value"
    unset "$file_name"
}

first_word() { printf '%s' "${1%% *}"; }

if [[ ${1:-postgres} == -* ]]; then set -- postgres "$@"; fi
if [[ $(first_word "${1:-}") != postgres ]]; then exec "$@"; fi
for word in "$@"; do
    case $word in --help | -'?' | --version | -V | --describe-config) exec "$@" ;; esac
done

take_setting POSTGRES_PASSWORD ""
take_setting POSTGRES_USER postgres
take_setting POSTGRES_DB "$POSTGRES_USER"
take_setting POSTGRES_INITDB_ARGS ""
: "${POSTGRES_HOST_AUTH_METHOD:=}"

mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" || true
if [[ $(id -u) == 0 ]]; then
    find "$PGDATA" ! -user postgres -exec chown postgres {} +
    exec gosu postgres "${BASH_SOURCE[0]}" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
        echo >&2 "error: the database is empty and no superuser password was given."
        echo >&2 "       Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE."
        exit 1
    fi
    read -ra more <<<"$POSTGRES_INITDB_ARGS"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${more[@]}"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
    query() { PGHOST='' psql --no-psqlrc --no-password -v ON_ERROR_STOP=1 --username="$POSTGRES_USER" "$@"; }
    if [[ $POSTGRES_DB != postgres ]]; then
        query --dbname=postgres --set=name="$POSTGRES_DB" <<<'create database :"name";'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
            *.sql) query --dbname="$POSTGRES_DB" --file="$file" ;;
            *.sql.gz) gunzip --stdout "$file" | query --dbname="$POSTGRES_DB" ;;
        esac
    done
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@"
