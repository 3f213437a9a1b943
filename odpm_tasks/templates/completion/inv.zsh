#compdef inv invoke
# Completion of inv with the names of an odpm project, for zsh.
_odpm_inv() {
    local -a found
    found=(${(f)"$(ODPM_COMPLETION=1 "${words[1]/#\~/$HOME}" --complete -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)"})
    (( $#found )) && compadd -a found || _files
}
if [[ ${funcstack[1]} == _inv ]]; then
    _odpm_inv "$@"
else
    compdef _odpm_inv inv invoke
fi
