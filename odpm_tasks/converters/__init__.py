"""Read the files of other tools for `init --from`; the conversions are in `odpm_tasks.core.init`."""
