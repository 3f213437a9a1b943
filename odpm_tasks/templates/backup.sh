#!/bin/sh
# The service `backup`: copies every database of the stack with its files to a restic repository, each day at BACKUP_SCHEDULE.
#
#   backup.sh serve             wait for the time of the schedule; a run that was missed is made up for, a failed one repeated
#   backup.sh run [--unlock]    back up now, then remove what BACKUP_KEEP does not keep
#   backup.sh list | dump ID [FILE]   the backups as JSON | one of them as a tar archive, or one file of it
#   backup.sh state | health    what is known about the last runs | exit 1 where the last run failed or is missing
#
# The dumps are made by the service `backup-dump`, which has the password of PostgreSQL; this one has those of the repository.
# A failure ends with one of the exit codes of odpm and two lines on stderr: `error: WHAT` and `next: WHAT TO DO`.
set -u
umask 077
ROOT=/var/tmp/odpm STAGE=/var/lib/odoo/odpm-backup
GRACE=10800 RETRY=3600 TICK=15 # seconds: until a run counts as missed, after a failed run, between two looks at the clock
MADE=''                        # what a run has done before it failed
SNAPSHOTS=odpm                 # the tag of the snapshots that are made here

fail() { # fail CODE WHAT NEXT
    printf 'error: %s\nnext: %s\n' "$MADE$2" "$3" >&2
    printf '%s\n' "$1 $MADE$2" > "$LOGS/failure"
    exit "$1"
}

value() { cat "$ROOT/state/$1" 2>/dev/null || echo "${2:-}"; }
record() { printf '%s\n' "$2" > "$ROOT/state/$1.new" && mv "$ROOT/state/$1.new" "$ROOT/state/$1"; }

prepare() {
    mkdir -p "$ROOT/state" "$ROOT/cache" "$ROOT/requests"
    export RESTIC_CACHE_DIR="$ROOT/cache"
    LOGS=$(mktemp -d /tmp/backup.XXXXXX)
    trap 'rm -rf "$LOGS"' EXIT
    case $RESTIC_REPOSITORY in sftp:*) prepare_ssh ;; esac
}

# ssh reads the folder of its user, which is /tmp in /etc/passwd. The key of a server is never accepted unseen.
prepare_ssh() {
    mkdir -p "$HOME/.ssh"
    cat /run/secrets/backup_ssh_key > "$LOGS/key" && mv "$LOGS/key" "$HOME/.ssh/key" # ssh refuses one that others can read
    printf '%s\n' "IdentityFile $HOME/.ssh/key" 'IdentitiesOnly yes' 'StrictHostKeyChecking yes' 'UpdateHostKeys no' \
        'UserKnownHostsFile /run/secrets/backup_known_hosts' 'GlobalKnownHostsFile /dev/null' 'BatchMode yes' \
        'ConnectTimeout 20' 'ServerAliveInterval 20' 'ServerAliveCountMax 6' > "$LOGS/config"
    mv "$LOGS/config" "$HOME/.ssh/config"
}

restic_failed() { # the meaning of what restic said: restic_failed CODE
    text=$(tr '\n' ' ' < "$LOGS/restic")
    case $text in
    *panic:*) if nearly_full; then full; fi ;; # how restic 0.14 can end where it cannot write
    esac
    case $text in
    *"wrong password or no key found"*)
        fail 4 "the password does not open the repository $BACKUP_REPOSITORY" "name the file of its password: BACKUP_PASSWORD_FILE" ;;
    *"Host key verification failed"*)
        fail 4 "the server of the repository has another key than BACKUP_KNOWN_HOSTS_FILE says, or none is known: $BACKUP_REPOSITORY" \
            "compare its key with one from its administrator, then write that file: ssh-keyscan HOST" ;;
    *"Permission denied ("* | *"oo many authentication failures"*)
        fail 4 "the server of the repository refuses the key: $(first_line)" "name a file with a key that it accepts, without passphrase: BACKUP_SSH_KEY_FILE" ;;
    *"no space left on device"* | *"disk quota exceeded"* | *StorageFull* | *QuotaExceeded*)
        full ;;
    *"already locked"*)
        fail 6 "another program uses the repository: $(sed -n 's/.*already locked/locked/p;s/^lock was created/since/p' "$LOGS/restic" | tr '\n' ' ')" \
            "wait until it has ended; a lock that a dead program left ends after 30 minutes, or now with: inv backup.run --unlock" ;;
    *AccessDenied* | *"Access Denied"* | *InvalidAccessKeyId* | *SignatureDoesNotMatch* | *"Access Key Id you provided"* | *"signature we calculated"*)
        fail 4 "the server of the repository refuses the keys: $(first_line)" "name a file with keys that are valid: BACKUP_CREDENTIALS_FILE" ;;
    *"could be damaged"* | *"ciphertext verification failed"* | *"decrypting blob"*"failed"* | *"invalid data returned"* | *panic:* | *"unable to load index"* | *"load <"*"invalid"* | *"is not known"* | *"hash mismatch"* | *"nonce is invalid"* | *"id mismatch"*)
        rm -rf "$RESTIC_CACHE_DIR" # it may have damaged parts of it
        fail 5 "the repository $BACKUP_REPOSITORY is damaged: $(damage)" "keep a copy of it, then see https://restic.readthedocs.io/en/stable/077_troubleshooting.html" ;;
    *"ermission denied"* | *"read-only file system"*)
        case $RESTIC_REPOSITORY in
        sftp:*) fail 8 "the repository cannot be written: $(last_line)" "its folder must belong to the user on that server" ;;
        *) fail 8 "the repository cannot be written: $(last_line)" "its folder must belong to the user $(id -u)" ;;
        esac ;;
    *"no such host"* | *"connection refused"* | *"server misbehaving"* | *"i/o timeout"* | *"no route to host"* | *"network is unreachable"* | *"ssh: connect to host"* | *"ould not resolve hostname"* | *"Connection closed by"*)
        fail 5 "the server of the repository does not answer: $(first_line)" "check the address in odpm.json: backup.repository" ;;
    esac
    if absent; then gone; fi
    fail 5 "restic failed with code $1: $(last_line)" "inv logs backup"
}

full() {
    fail 8 "the repository $BACKUP_REPOSITORY is full; the backups in it are as before" "free some space there, or lower \`keep\` of \`backup\`; then: inv backup.run"
}
nearly_full() { # less than two packs of restic are free; for a folder only
    case $RESTIC_REPOSITORY in /*) [ "$(df -Pk "$RESTIC_REPOSITORY" 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d " " -f 4)" -lt 32768 ] 2> /dev/null ;; *) false ;; esac
}

# restic asks "Is there a repository at the following location?" also where the server refuses or does not answer
absent() { grep -qE 'config file: .*(no such file or directory|file does not exist|specified (key|bucket) does not exist|NoSuchBucket|NoSuchKey)' "$LOGS/restic"; }
first_line() { grep -m 1 -v '^[[:space:]]*$' "$LOGS/restic" | sed 's/^Fatal: //' | cut -c 1-300; }
last_line() { grep -v '^[[:space:]]*$' "$LOGS/restic" | tail -n 1 | cut -c 1-300; }
damage() { grep -m 1 -E 'damaged|verification|decrypting|invalid|panic|unable to load|not known|mismatch' "$LOGS/restic" | cut -c 1-200; }
gone() {
    fail 8 "there is no repository at $BACKUP_REPOSITORY, where the backups were" \
        "connect the disk or server that has it; or begin a new one there: inv backup.run --new"
}

quiet() { # run restic; its output is kept for messages
    restic "$@" > "$LOGS/out" 2> "$LOGS/restic" < /dev/null || restic_failed $?
}

known_repository() { # the identity of the repository that was used at this address
    case $(value repository) in *" $BACKUP_REPOSITORY") value repository | cut -d ' ' -f 1 ;; esac
}

open_repository() { # create the repository where none was ever used
    known=$(known_repository)
    if restic cat config > "$LOGS/out" 2> "$LOGS/restic" < /dev/null; then
        id=$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' "$LOGS/out")
        if [ -n "$known" ] && [ "$known" != "$id" ] && [ -z "$NEW" ]; then
            fail 8 "there is another repository at $BACKUP_REPOSITORY than the one of the last backup" \
                "connect the disk or server that has it; or go on with this one: inv backup.run --new"
        fi
        record repository "$id $BACKUP_REPOSITORY"
        return
    fi
    absent || restic_failed 1
    if [ -n "$known" ] && [ -z "$NEW" ]; then gone; fi
    quiet init
    quiet cat config
    record repository "$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' "$LOGS/out") $BACKUP_REPOSITORY"
}

ask() { # a request to backup-dump; its answer is in $LOGS/answer
    number=$(date +%s).$$.$1
    rm -f "$ROOT"/requests/*
    printf '%s\n' "$@" > "$ROOT/requests/new" && mv "$ROOT/requests/new" "$ROOT/requests/$number"
    until [ -e "$ROOT/requests/$number.answer" ]; do
        now=$(date +%s)
        alive=$(stat -c %Y "$ROOT/alive" 2>/dev/null || echo 0)
        if [ $((now - alive)) -gt 60 ]; then
            fail 5 "the service backup-dump does not run" "inv up, or see why it ended: inv logs backup-dump"
        fi
        sleep 0.2
    done
    mv "$ROOT/requests/$number.answer" "$LOGS/answer"
    { read -r code && cat > "$LOGS/lines"; } < "$LOGS/answer"
    if [ "$code" != 0 ]; then
        fail "$code" "$(sed -n 1p "$LOGS/lines")" "$(sed -n 2p "$LOGS/lines")"
    fi
}

save() { # one database to one snapshot
    echo "database $1"
    ask stage "$1"
    stack=$(sed -n 1p "$LOGS/lines")
    # every file is named after its content; a hard link changes the time of the inode only
    cd "$STAGE/$1" || fail 5 "the files of $1 are gone" "inv backup.run"
    restic backup --host "$BACKUP_HOST" --tag "$SNAPSHOTS,stack=$stack" --ignore-ctime . > "$LOGS/out" 2> "$LOGS/restic" < /dev/null
    code=$?
    cd /
    if [ "$code" -eq 3 ]; then # restic has kept what it could read
        restic forget "$(sed -n 's/^snapshot \([0-9a-f]*\) saved$/\1/p' "$LOGS/out")" > /dev/null 2>&1
    fi
    [ "$code" -eq 0 ] || restic_failed "$code"
    ask drop "$1"
}

run() {
    NEW='' UNLOCK=''
    for word in "$@"; do
        case $word in --new) NEW=1 ;; --unlock) UNLOCK=1 ;; esac
    done
    exec 9> "$ROOT/lock"
    flock -n 9 || fail 6 "another backup of this stack runs" "wait until it has ended: inv status"
    rm -f "$LOGS/failure"
    record attempt "$(date +%s)"
    record running 1
    ( run_locked ) 9>&-
    code=$?
    if [ "$code" -eq 0 ]; then
        record result 0 && record message "" && record success "$(date +%s)"
    else
        record message "$(cut -d ' ' -f 2- "$LOGS/failure" 2>/dev/null || echo "the backup was interrupted")" && record result "$code"
    fi
    record running ""
    return "$code"
}

run_locked() {
    open_repository
    if [ -n "$UNLOCK" ]; then quiet unlock --remove-all; else quiet unlock; fi
    ask list
    cp "$LOGS/lines" "$LOGS/databases"
    [ -s "$LOGS/databases" ] || fail 5 "no database of this stack holds Odoo" "inv db.list"
    while IFS= read -r name; do save "$name"; done < "$LOGS/databases"
    MADE="the databases are backed up, but older backups are not removed: "
    # shellcheck disable=SC2086 - several words
    quiet forget --prune --tag "$SNAPSHOTS,stack=$stack" --group-by host,paths $BACKUP_KEEP
    echo "done $(wc -l < "$LOGS/databases")"
}

slot() { # the last time of the schedule before now
    now=$(date +%s)
    found=$(date -d "$(date +%F) $BACKUP_SCHEDULE" +%s)
    [ "$found" -le "$now" ] || found=$(date -d "$(date -d "@$((now - 86400))" +%F) $BACKUP_SCHEDULE" +%s)
    echo "$found"
}

due() {
    last=$(slot) now=$(date +%s)
    if [ "$(value attempt 0)" -lt "$last" ]; then [ "$(value since)" -lt "$last" ] && return; fi
    [ "$(value result 0)" -ne 0 ] && [ "$now" -ge $(($(value attempt 0) + RETRY)) ]
}

serve() {
    trap 'exit 0' TERM INT
    [ -n "$(value since)" ] || record since "$(date +%s)"
    if [ -n "$(value running)" ]; then # it ended with the container
        record message "the backup was interrupted" && record result 130 && record attempt 0 && record running ""
    fi
    while :; do
        if due; then
            echo "$(date '+%F %T') the backup begins"
            ( run )
            echo "$(date '+%F %T') the backup has ended with code $?"
        fi
        sleep "$TICK" &
        wait $!
    done
}

problem() { # what is wrong with the backups, if anything
    last=$(slot) now=$(date +%s)
    if [ "$(value result 0)" -ne 0 ]; then
        value message
    elif [ "$(value since "$now")" -lt "$last" ] && [ "$(value success 0)" -lt "$last" ] && [ "$now" -gt $((last + GRACE)) ]; then
        echo "the backup of $(date -d "@$last" '+%F %H:%M') was not made"
    fi
}

prepare
command=${1:-serve}
[ $# -eq 0 ] || shift
case $command in
serve) serve ;;
run) run "$@" ;;
list)
    restic snapshots --json --no-lock --tag "$SNAPSHOTS" 2> "$LOGS/restic" > "$LOGS/out" || {
        code=$?
        if absent && [ -z "$(known_repository)" ]; then echo '[]' > "$LOGS/out"; else restic_failed "$code"; fi
    }
    cat "$LOGS/out" ;;
dump)
    restic dump --archive tar --no-lock "$1" "${2:-/}" 2> "$LOGS/restic" || restic_failed $? ;;
state)
    for key in since attempt running success result message verified; do echo "$key=$(value $key)"; done
    echo "problem=$(problem)" ;;
health)
    found=$(problem)
    echo "$found"
    [ -z "$found" ] ;;
verified) record verified "$(date +%s)" ;;
*) fail 1 "unknown command $command" "serve, run, list, dump, state or health" ;;
esac
