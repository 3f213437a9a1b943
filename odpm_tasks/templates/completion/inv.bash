# Completion of inv with the names of an odpm project, for bash.
_odpm_inv() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        [[ $word == "$2"* || $2 == = ]] && COMPREPLY+=("$word")
    done < <(ODPM_COMPLETION=1 "${1/#\~/$HOME}" --complete -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
}
complete -o default -F _odpm_inv inv invoke
