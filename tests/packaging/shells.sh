# Completions and manual pages. Read by run.

for shell in bash zsh fish; do
    "$program" completions "$shell" >"$work/completions.$shell"
    if have "$shell" "completions of $shell"; then
        "$shell" -n "$work/completions.$shell" || fail "completions of $shell"
        pass "completions of $shell"
    fi
done
# The completion itself, as the shell calls it.
completes() { # SHELL OUTPUT
    grep -qx -- "--max-connections\b.*" <<<"$2" || fail "$1 completes: $2"
    pass "a completion in $1"
}
completes bash "$(bash -c '
    . "$1"
    COMP_WORDS=(waywiser serve --max-conn) COMP_CWORD=2
    _waywiser waywiser --max-conn serve
    printf "%s\n" "${COMPREPLY[@]}"' bash "$work/completions.bash")"
if command -v fish >/dev/null; then
    completes fish "$(HOME=$work fish --no-config --command "
        source $work/completions.fish
        complete --do-complete 'waywiser serve --max-conn'")"
fi
if command -v zsh >/dev/null; then
    # zsh completes only on a terminal. This finds the file as an installed one, and loads its function.
    mkdir "$work/zsh"
    cp "$work/completions.zsh" "$work/zsh/_waywiser"
    loaded=$(HOME=$work zsh -f -c '
        fpath=($1 $fpath)
        autoload -Uz compinit
        compinit -u -D
        autoload +X $_comps[waywiser]
        print -r -- $functions[_waywiser]' zsh "$work/zsh" 2>&1)
    grep -qF -- "--max-connections" <<<"$loaded" || fail "zsh loads: $loaded"
    pass "loading of the completions in zsh"
fi

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
