# The Dockerfile. Read by run.

hadolint Dockerfile || fail Dockerfile
printf 'FROM debian\nRUN cd /tmp && sudo apt-get install curl\n' >"$work/Dockerfile"
refuses hadolint hadolint "$work/Dockerfile"
pass "Dockerfile, by hadolint"

# A variable of the image would have precedence over a settings file that is mounted.
variables=$(grep -oE 'WAYWISER_[A-Z_]+=[^ ]*' Dockerfile | sort -u)
[ "$variables" = WAYWISER_CONFIG=/etc/waywiser/waywiser.toml ] || fail "the image sets $variables"
grep -q '^COPY .*deploy/docker/waywiser.toml /etc/waywiser/waywiser.toml$' Dockerfile ||
    fail "the image has no file of settings"
"$program" config check --config deploy/docker/waywiser.toml --insecure >/dev/null || fail "settings of the image"
refuses "the image without --insecure" "$program" config check --config deploy/docker/waywiser.toml
pass "settings of the image"

# docker compose is not needed for this.
schema=(check-jsonschema --quiet --builtin-schema vendor.compose-spec)
"${schema[@]}" deploy/compose.yaml || fail "deploy/compose.yaml"
sed 's/^    healthcheck:/    healthcheckk:/' deploy/compose.yaml >"$work/compose.yaml"
refuses "the schema of compose files" "${schema[@]}" "$work/compose.yaml"
pass "deploy/compose.yaml, by its schema"

printf secret >"$work/password"
compose() { # FILE
    "$venv/bin/python" tests/packaging/check_compose.py "$1" "$program" "$work/password"
}
compose deploy/compose.yaml || fail "deploy/compose.yaml"
while read -r change; do
    case $change in
    *idle_in* | *--quiet*) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || continue ;;
    esac
    sed "$change" deploy/compose.yaml >"$work/compose.yaml"
    ! cmp -s deploy/compose.yaml "$work/compose.yaml" || fail "$change changes nothing in deploy/compose.yaml"
    refuses "after $change, the check of deploy/compose.yaml" compose "$work/compose.yaml"
done <<'CHANGES'
s/WAYWISER_LISTEN:/WAYWISER_LISTENN:/
s/WAYWISER_INSECURE: "true"/WAYWISER_INSECURE: "maybe"/
s/WAYWISER_STORE_PASSWORD_FILE/WAYWISER_STORE_PASSWORD/
s/:50051:50051/:50051:50052/
s/0.0.0.0:9464/0.0.0.0:9465/
s/store, migrate/store, migrat/
s/-c, idle_in/-c, idlee_in/
s/--quiet/--quiett/
s/--dbname=waywiser/--dbname=postgres/
s/POSTGRES_DB:/POSTGRES_DATABASE:/
s/server-2:/server-3:/
s/stop_grace_period: 30s/stop_grace_period: 10s/
s,./cluster/haproxy.cfg,./haproxy.cfg,
s/@database/@db/
s/\[database-password\]/[password]/
CHANGES
pass "services, settings and health checks of deploy/compose.yaml"

# The context has every file that the build of the program needs.
mkdir "$work/context"
sed -n 's/^!//p' .dockerignore | while read -r name; do
    mkdir -p "$work/context/$(dirname "$name")"
    cp -r "$name" "$work/context/$name"
done
cargo metadata --offline --no-deps --format-version 1 --manifest-path "$work/context/Cargo.toml" >/dev/null ||
    fail "the context of .dockerignore is not complete"
grep -roE 'include_(str|bytes)!\("[^"]*' src --include=*.rs | grep -v '/tests[./]' | sed 's/:[^"]*"/ /' >"$work/included"
while read -r source name; do
    [ -e "$work/context/$(dirname "$source")/$name" ] || fail ".dockerignore excludes $name, which $source includes"
done <"$work/included"
[ -e "$work/context/deploy/docker/waywiser.toml" ] || fail ".dockerignore excludes the settings of the image"
[ -s "$work/included" ] || fail "no file includes README.md"
pass ".dockerignore"

if docker info >/dev/null 2>&1; then
    # Base images come from a registry that a machine without access to the Internet does not reach.
    if docker build --quiet --tag waywiser-packaging-test . >"$work/docker" 2>&1; then
        docker run --rm waywiser-packaging-test --version >/dev/null || fail "the image does not run"
        pass "the image"
    else
        skip "the image: $(tail -n 1 "$work/docker")"
    fi
else
    skip "the image, because no Docker daemon runs"
fi
