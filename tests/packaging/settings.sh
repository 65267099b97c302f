# The files of settings that are shipped. Read by run.

# Every setting in a comment is valid too.
for file in deploy/debian/waywiser.toml deploy/docker/waywiser.toml deploy/kubernetes/*/waywiser.toml; do
    "$program" serve --config "$file" --print-config >"$work/printed.toml" || fail "$file"
    sed 's/^#\([a-z]\)/\1/' "$file" >"$work/uncommented.toml"
    "$program" serve --config "$work/uncommented.toml" --print-config >/dev/null || fail "$file with its comments"
    "$program" serve --config "$work/printed.toml" --print-config | sed 's/ # .*//' >"$work/again.toml"
    sed 's/ # .*//' "$work/printed.toml" | cmp - "$work/again.toml" || fail "$file does not survive --print-config"
    pass "settings of $file"
done
"$program" config check --config deploy/debian/waywiser.toml >/dev/null
echo 'lisen = "127.0.0.1:1"' >"$work/wrong.toml"
refuses "config check" "$program" config check --config "$work/wrong.toml"
