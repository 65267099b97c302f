# The units of systemd. Read by run.

if have systemd-analyze "units of systemd"; then
    mkdir -p "$work/units"
    for unit in waywiser.service waywiser.socket; do
        # The program is not installed in /usr/bin here; the Debian package is checked with the paths as they are.
        sed "s|/usr/bin/waywiser|$program|" "deploy/systemd/$unit" >"$work/units/$unit"
        systemd-analyze verify --man=no "$work/units/$unit" 2>"$work/verify" && [ ! -s "$work/verify" ] ||
            { cat "$work/verify"; fail "$unit"; }
    done
    sed 's/^Type=notify/Type=notfy/' "$work/units/waywiser.service" >"$work/units/broken.service"
    systemd-analyze verify --man=no "$work/units/broken.service" >"$work/verify" 2>&1 || true
    grep -q 'Failed to parse service type' "$work/verify" || fail "systemd-analyze accepts an error"
    pass "the units, by systemd-analyze verify"

    # The scale is 0 (most restricted) to 100.
    systemd-analyze security --no-pager --offline=true --threshold=15 "$work/units/waywiser.service" >"$work/security" ||
        { cat "$work/security"; fail "the service is not restricted enough"; }
    pass "the service, by systemd-analyze security:$(grep -o 'level for .*: [0-9.]*' "$work/security" | sed 's/.*://')"
    sed '/^Protect\|^Private\|^Capability\|^SystemCallFilter/d' "$work/units/waywiser.service" >"$work/units/open.service"
    refuses "systemd-analyze security" \
        systemd-analyze security --no-pager --offline=true --threshold=15 "$work/units/open.service"
fi

# The drain must end before systemd kills the server.
drain=$(sed -n 's/^drain-timeout = "\([0-9]*\)s"$/\1/p' deploy/debian/waywiser.toml)
stop=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' deploy/systemd/waywiser.service)
[ $((drain + 10)) -lt "$stop" ] || fail "TimeoutStopSec is $stop s, and the drain and last commits take $((drain + 10)) s"
pass "TimeoutStopSec"
