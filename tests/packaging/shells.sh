# Completions and manual pages. Read by run.

for shell in bash zsh fish; do
    "$program" completions "$shell" >"$work/completions.$shell"
    if have "$shell" "completions of $shell"; then
        "$shell" -n "$work/completions.$shell" || fail "completions of $shell"
        pass "completions of $shell"
    fi
done
# The completion itself, as bash calls it.
completed=$(bash -c '
    . "$1"
    COMP_WORDS=(waywiser serve --max-conn) COMP_CWORD=2
    _waywiser waywiser --max-conn serve
    printf "%s\n" "${COMPREPLY[@]}"' bash "$work/completions.bash")
grep -qx -- --max-connections <<<"$completed" || fail "bash completes: $completed"
pass "a completion in bash"

"$program" man --output "$work/man"
pages=("$work"/man/*.1)
[ ${#pages[@]} -gt 8 ] || fail "${#pages[@]} manual pages"
if have mandoc "lint of the manual pages"; then
    # Warnings are about style and about macros that the generator uses.
    mandoc -Tlint -W error "${pages[@]}" || fail "manual pages"
    printf '.TH x 1\n.TS\nbroken\n' >"$work/broken.1"
    refuses mandoc mandoc -Tlint -W error "$work/broken.1"
    pass "${#pages[@]} manual pages, by mandoc"
fi
if have groff "rendering of the manual pages"; then
    for page in "${pages[@]}"; do
        groff -man -Tutf8 -Kutf8 -ww -z "$page" 2>"$work/groff" && [ ! -s "$work/groff" ] ||
            { cat "$work/groff"; fail "$page"; }
    done
    pass "${#pages[@]} manual pages, by groff"
fi
