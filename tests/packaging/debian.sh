# The Debian package: built, inspected, installed, run and purged. Read by run.

# Runs a server until it accepts connections, then records a track with it.
try_server() { # COMMAND...
    mkfifo "$work/address"
    "$@" --listen 127.0.0.1:0 --log-filter warn >"$work/address" &
    server=$!
    read -r _ _ address <"$work/address"
    "$program" record --server "$address" --name paths/packaged examples/legs.csv >/dev/null || fail "$1"
    kill "$server"
    wait "$server" || fail "$1 ends with status $?"
    server=
    rm "$work/address"
}

check_debian() {
    deploy/debian/build --output "$work" >"$work/deb" 2>&1 || { cat "$work/deb"; fail "cargo deb"; }
    package=$(echo "$work"/waywiser_*.deb)
    [ "$(dpkg-deb --field "$package" Package)" = waywiser ]
    # The archive has the numbers of owners, and may lack their names.
    dpkg-deb --fsys-tarfile "$package" | tar --list --verbose --numeric-owner |
        awk '{ print $1, $2, $6 }' >"$work/contents"
    local line
    while read -r line; do
        grep -qF -- "$line" "$work/contents" || { cat "$work/contents"; fail "the package lacks: $line"; }
    done <<'FILES'
-rwxr-xr-x 0/0 ./usr/bin/waywiser
-rw-r----- 0/0 ./etc/waywiser/waywiser.toml
-rw-r--r-- 0/0 ./usr/lib/systemd/system/waywiser.service
-rw-r--r-- 0/0 ./usr/lib/systemd/system/waywiser.socket
-rw-r--r-- 0/0 ./usr/share/man/man1/waywiser-serve.1.gz
-rw-r--r-- 0/0 ./usr/share/bash-completion/completions/waywiser
-rw-r--r-- 0/0 ./usr/share/zsh/vendor-completions/_waywiser
-rw-r--r-- 0/0 ./usr/share/fish/vendor_completions.d/waywiser.fish
-rw-r--r-- 0/0 ./usr/share/doc/waywiser/copyright
-rw-r--r-- 0/0 ./usr/share/doc/waywiser/changelog.gz
FILES
    dpkg-deb --control "$package" "$work/control"
    grep -qx /etc/waywiser/waywiser.toml "$work/control/conffiles" || fail "conffiles"
    grep -q 'libc6' "$work/control/control" || fail "the package does not depend on libc6"
    for script in "$work"/control/*inst "$work"/control/*rm; do
        sh -n "$script" || fail "$script"
        ! grep -q '#DEBHELPER#' "$script" || fail "$script was not completed"
    done
    pass "the Debian package: $(du -k "$package" | cut -f 1) KiB"

    dpkg-deb --extract "$package" "$work/root"
    try_server "$work/root/usr/bin/waywiser" serve --data-dir "$work/data"
    pass "the program of the package"

    if [ "$(id -u)" -ne 0 ]; then
        skip "the installation of the package, because this user is not root"
    elif [ -e /etc/waywiser ] || [ -e /var/lib/waywiser ] || getent passwd waywiser >/dev/null; then
        # The purge at the end would delete the settings and recordings of this machine.
        skip "the installation of the package, because this machine has settings, recordings or a user of it"
    else
        install_debian
    fi
}

install_debian() {
    apt-get install -q -y --no-install-recommends "$package" >"$work/apt" 2>&1 || { cat "$work/apt"; fail "installation"; }
    [ "$(stat -c '%U:%G %a' /etc/waywiser/waywiser.toml)" = "root:waywiser 640" ] || fail "rights of the settings"
    getent passwd waywiser >/dev/null || fail "the user was not made"
    if command -v systemd-analyze >/dev/null; then
        systemd-analyze verify --man=no waywiser.service waywiser.socket 2>"$work/verify" && [ ! -s "$work/verify" ] ||
            { cat "$work/verify"; fail "the installed units"; }
    fi
    # As systemd runs it: as the user, with the installed settings and the state directory.
    install -d -o waywiser -g waywiser -m 0700 /var/lib/waywiser
    local as_user=(setpriv --reuid=waywiser --regid=waywiser --clear-groups)
    "${as_user[@]}" /usr/bin/waywiser config check --config /etc/waywiser/waywiser.toml >/dev/null ||
        fail "the installed settings"
    try_server "${as_user[@]}" /usr/bin/waywiser serve --config /etc/waywiser/waywiser.toml
    [ -n "$(find /var/lib/waywiser -type f -user waywiser)" ] ||
        fail "the installed server stored nothing"

    # A changed file of settings survives a second installation and a removal, and not a purge.
    echo '# edited' >>/etc/waywiser/waywiser.toml
    dpkg --install --force-confdef "$package" >"$work/apt" 2>&1 || { cat "$work/apt"; fail "second installation"; }
    grep -qx '# edited' /etc/waywiser/waywiser.toml || fail "the settings were replaced"
    dpkg --remove waywiser >"$work/apt" 2>&1 || { cat "$work/apt"; fail "removal"; }
    [ ! -e /usr/bin/waywiser ] && [ -e /etc/waywiser/waywiser.toml ] || fail "removal"
    [ -e /var/lib/waywiser ] || fail "the removal deleted the recordings"
    dpkg --purge waywiser >"$work/apt" 2>&1 || { cat "$work/apt"; fail "purge"; }
    [ ! -e /etc/waywiser ] && [ ! -e /var/lib/waywiser ] || fail "the purge leaves files"
    deluser --quiet --system waywiser 2>/dev/null
    pass "installation, second installation, removal and purge of the package"
}

if have dpkg-deb "the Debian package" && have cargo-deb "the Debian package"; then
    check_debian
fi
