# Shared by the scripts of this folder; sourced, never run.
#
# Each step writes into a scratch name and renames it into place, then records in its stamp file a
# digest of everything that determines the result. So an interrupted step is simply run again, and
# a finished one costs one digest.

set -eu
export LC_ALL=C
umask 022

die()
{
    echo "${0##*/}: $*" >&2
    exit 1
}

say()
{
    echo "  DEPS    $*"
}

# absolute DIR: creates DIR and prints its absolute name.
absolute()
{
    mkdir -p "$1" && (cd "$1" && pwd -P)
}

# lock DEPS: one process at a time works in DEPS; held until this process ends.
lock()
{
    exec 9>"$1/lock"
    if ! flock -n 9; then
        say "waiting for another run"
        flock 9
    fi
}

# digest FILE...: one SHA-256 over the contents of the files, in the order given.
digest()
{
    cat -- "$@" | sha256sum | cut -d ' ' -f 1
}

# stamp_fresh STAMP DIGEST: true (and the stamp's time renewed, for make) when STAMP records DIGEST.
stamp_fresh()
{
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ] && touch "$1"
}
