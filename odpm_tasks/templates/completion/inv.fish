# Completion of inv with the names of an odpm project, for fish.
function __odpm_inv
    set -lx ODPM_COMPLETION 1
    set -l found (inv --complete -- (commandline -opc) (commandline -ct) 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command inv --no-files --arguments '(__odpm_inv)'
complete --command invoke --no-files --arguments '(__odpm_inv)'
