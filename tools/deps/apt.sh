# A private apt, for the scripts that download packages; sourced after common.sh, never run.
#
# Packages come from the mirror that this machine already uses (or PARVUS_DEBIAN_URI, the mirror's
# address up to and without "dists"), through an apt configuration of its own, so nothing of the
# system changes. The caller sets: apt (the folder of the configuration; the log is "$apt.log"),
# apt_for (what is wanted, for the message) and apt_sources (lines TYPE SUITE, e.g. "deb bookworm").

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror: the first of the machine's own sources that carries a release of Debian itself.
mirror()
{
    if [ -n "${PARVUS_DEBIAN_URI:-}" ]; then
        echo "$PARVUS_DEBIAN_URI"
        return
    fi
    apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)' |
        awk '$1 == "Packages" && $2 == "main" &&
             $3 ~ /^(bookworm|trixie|oldstable|stable|testing|unstable|sid)$/ { print $4; exit }'
}

# try COMMAND...: up to three times, as mirrors fail now and then. Its words go to the log.
try()
{
    for pause in 2 5 0; do
        if "$@" >"$apt.log" 2>&1; then
            return 0
        fi
        sleep $pause
    done
    return 1
}

# The first error in the log, to stand in a message of one line.
apt_error()
{
    sed -n 's/^E: //p' "$apt.log" | head -n 1
}

# Its own sources, lists and cache; the machine's proxy and authentication settings still apply. The
# hooks cleared below would work on the system's own cache.
apt_setup()
{
    [ -d "$apt/ready" ] && return
    command -v apt-get >/dev/null || die "apt-get is needed to download $apt_for"
    uri=$(mirror)
    [ -n "$uri" ] || die "apt has no Debian mirror configured; set PARVUS_DEBIAN_URI to one"
    say "package lists"
    rm -rf "$apt"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    signed=
    [ -r "$keyring" ] && signed="[signed-by=$keyring] "
    echo "$apt_sources" | while read -r type suite; do
        echo "$type ${signed}$uri $suite main"
    done >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$apt/state";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
APT::Architecture "amd64";
APT::Sandbox::User "$(id -un)";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
END
    try apt-get -c "$apt/apt.conf" -q update --error-on=any ||
        die "could not fetch Debian's package lists: $(apt_error)"
    mkdir "$apt/ready"
}

sha256_of()
{
    sha256sum "$1" | cut -d ' ' -f 1
}

# package NAME VERSION SHA256 FOLDER: unpacks it into FOLDER, from the folder $downloads or, by way of
# the folder $scratch, from the mirror.
package()
{
    deb=$downloads/$1.deb
    if ! [ -f "$deb" ] || [ "$(sha256_of "$deb")" != "$3" ]; then
        apt_setup
        say "$1 $2"
        (cd "$scratch" && try apt-get -c "$apt/apt.conf" -q download "$1=$2") ||
            die "could not download $1 $2: $(apt_error)"
        found=$(sha256_of "$scratch/$1"_*.deb)
        [ "$found" = "$3" ] || die "$1 $2 has SHA-256 $found, pinned is $3"
        mv "$scratch/$1"_*.deb "$deb"
    fi
    dpkg-deb -x "$deb" "$4"
}

# tarball_download SUITE PACKAGE FILE: FILE of the source PACKAGE, or of a PACKAGE named *-source that holds
# it, comes into the current folder.
tarball_download()
{
    case $2 in
    *-source)
        try apt-get -c "$apt/apt.conf" -q download "$2/$1" && dpkg-deb --fsys-tarfile "$2"_*.deb |
            tar -x --no-same-owner --wildcards --transform 's|.*/||' "*/$3"
        ;;
    *) try apt-get -c "$apt/apt.conf" -q source --download-only --tar-only "$2/$1" ;;
    esac
}

# tarball SUITE PACKAGE FILE SHA256: sees to it that the file is in $deps/downloads; no second run needs
# the network.
tarball()
{
    [ -f "$deps/downloads/$3" ] && [ "$(sha256_of "$deps/downloads/$3")" = "$4" ] && return
    apt=$deps/$3-apt
    apt_for="$3"
    case $2 in
    *-source) apt_sources="deb $1" ;;
    *) apt_sources="deb-src $1" ;;
    esac
    rm -rf "$apt"
    mkdir -p "$deps/downloads"
    apt_setup
    say "$3"
    mkdir "$apt/new"
    (cd "$apt/new" && tarball_download "$1" "$2" "$3") || die "could not download $3: $(apt_error)"
    found=$(sha256_of "$apt/new/$3")
    [ "$found" = "$4" ] || die "$3 has SHA-256 $found, pinned is $4"
    mv "$apt/new/$3" "$deps/downloads/$3"
    rm -rf "$apt" "$apt.log"
}
