"""Checks what the schema of compose files cannot check in deploy/compose.yaml: that its services fit each other, and that
the programs accept their variables, arguments and health checks.

usage: check_compose.py COMPOSE_FILE PROGRAM PASSWORD_FILE
"""

import glob
import os
import pathlib
import re
import subprocess
import sys
from urllib.parse import urlsplit

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# The variables of the image postgres. Each of the first four can be the name of a file instead, with the suffix _FILE.
POSTGRES = ["POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS"]
POSTGRES += [f"{name}_FILE" for name in POSTGRES]
POSTGRES += ["POSTGRES_INITDB_WALDIR", "POSTGRES_HOST_AUTH_METHOD", "PGDATA"]
# An address without a server.
NOWHERE = "127.0.0.1:1"


def main(compose_file, program, password_file):
    with open(compose_file, encoding="utf-8") as file:
        compose = yaml.safe_load(file)
    services = compose["services"]
    servers = [name for name in services if name.startswith("server-")]
    assert len(servers) == 2 and services["server-1"] == services["server-2"], servers
    check_names(compose)
    settings = check_server(services[servers[0]], program, password_file)
    check_migration(services["migrate"], services[servers[0]], program, password_file)
    check_database(services["database"], settings)
    check_proxy(services["proxy"], servers, settings)


def check_names(compose):
    """Checks the names of services, volumes, secrets and files."""
    for name, service in compose["services"].items():
        for other in service.get("depends_on", []):
            assert other in compose["services"], f"{name} depends on {other}"
        for secret in service.get("secrets", []):
            assert secret in compose["secrets"], f"{name} has the secret {secret}"
            read = [value for value in service["environment"].values() if value == f"/run/secrets/{secret}"]
            assert read, f"{name} does not read the secret {secret}"
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            assert target.startswith("/"), volume
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], volume
    for secret in compose["secrets"].values():
        file = DEPLOY / secret["file"]
        # Git does not add the password, and the documents name this file.
        assert f"/{file.relative_to(ROOT)}" in (ROOT / ".gitignore").read_text().splitlines(), file
        assert f'> {file.relative_to(ROOT)}\n' in (DEPLOY / "README.md").read_text(), file


def run(program, *arguments, environment, check=True):
    result = subprocess.run([program, *arguments], capture_output=True, text=True, env={**os.environ, **environment})
    assert not check or result.returncode == 0, f"{arguments}: {result.stderr}"
    return result


def environment_of(service, password_file):
    """Returns the variables of a service, with a file that this machine has."""
    secrets = "/run/secrets/database-password"
    return {name: password_file if value == secrets else value for name, value in service["environment"].items()}


def check_server(service, program, password_file):
    """Checks the variables of a server. Returns its settings."""
    environment = environment_of(service, password_file)
    assert "command" not in service and "entrypoint" not in service
    entrypoint = re.search(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    assert entrypoint == '["/usr/bin/waywiser", "serve"]', entrypoint
    file = ["--config", DEPLOY / "docker/waywiser.toml"]
    run(program, "config", "check", *file, environment=environment)
    printed = run(program, "serve", *file, "--print-config", environment=environment).stdout
    for name in environment:
        assert printed.count(f" # environment, {name}\n") == 1, f"no setting has the variable {name}"
    # The store of the file of the image is replaced.
    assert "# data-dir is not set" in printed, printed
    settings = dict(re.findall(r"^([a-z-]+) = (.*?) # ", printed, re.MULTILINE))
    settings = {name: value.strip('"') for name, value in settings.items()}
    assert seconds(service["stop_grace_period"]) >= seconds(settings["drain-timeout"]) + 10, service
    return settings


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def check_migration(service, server, program, password_file):
    """Runs the command that prepares the database. It ends, because there is no database here."""
    path, *arguments = service["entrypoint"]
    assert path == "/usr/bin/waywiser", path
    environment = environment_of(service, password_file)
    assert environment.items() <= environment_of(server, password_file).items(), environment
    here = environment["WAYWISER_STORE"].replace("@database/", f"@{NOWHERE}/")
    assert NOWHERE in here, environment
    result = run(program, *arguments, environment={**environment, "WAYWISER_STORE": here}, check=False)
    assert result.returncode == 1 and "cannot be reached" in result.stderr, result
    help_text = run(program, *arguments, "--help", environment={}).stdout
    assert all(f"[env: {name}]" in help_text for name in environment), environment


def check_database(service, settings):
    """Checks user, database and health check of the database, and its arguments by PostgreSQL if it is installed."""
    environment = service["environment"]
    unknown = [name for name in environment if name not in POSTGRES]
    assert not unknown, f"the image postgres does not read {unknown}"
    url = urlsplit(settings["store"])
    store = (url.scheme, url.username, url.password, url.hostname, url.port, url.path)
    user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    assert store == ("postgres", user, None, "database", None, f"/{database}"), store
    kind, check, *options = service["healthcheck"]["test"]
    assert (kind, check) == ("CMD", "pg_isready"), kind
    assert {f"--username={user}", f"--dbname={database}"} <= set(options), options
    # At the first start, the image runs its scripts with a server that listens on a local socket only.
    assert "--host=127.0.0.1" in options, options
    program, *arguments = service["command"]
    assert program == "postgres" and set(arguments[::2]) <= {"-c"}, arguments
    installed = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not installed:
        print("SKIPPED: the arguments of PostgreSQL in deploy/compose.yaml, because it is not installed")
        return
    # 2 is the status without a server, and 3 that for wrong arguments.
    result = run(f"{installed[-1]}/{check}", *options, f"--port={NOWHERE.split(':')[1]}", environment={}, check=False)
    assert result.returncode == 2, result
    known = run(f"{installed[-1]}/postgres", "--describe-config", environment={}).stdout
    known = {line.split("\t")[0] for line in known.splitlines()}
    for argument in arguments[1::2]:
        assert argument.split("=")[0] in known, f"PostgreSQL has no setting {argument}"


def check_proxy(service, servers, settings):
    """Checks that HAProxy reaches the servers, and that its port is the one of the documents."""
    [volume] = service["volumes"]
    file, mounted, mode = volume.split(":")
    assert (mounted, mode) == ("/usr/local/etc/haproxy/haproxy.cfg", "ro"), volume
    text = (DEPLOY / file).read_text()
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    port = settings["listen"].rpartition(":")[2]
    named = [line[2] for line in lines if line[:1] == ["server"]]
    assert named == [f"{name}:{port}" for name in servers], named
    [check] = [line[line.index("port") + 1] for line in lines if line[:1] == ["default-server"]]
    assert check == settings["admin-listen"].rpartition(":")[2], check
    [bound] = [line[1] for line in lines if line[:1] == ["bind"]]
    [published] = service["ports"]
    address, host_port, container_port = published.rsplit(":", 2)
    assert (address, f":{container_port}") == ("127.0.0.1", bound), published
    assert f"--server http://127.0.0.1:{host_port} " in (DEPLOY / "README.md").read_text(), published
    assert list(service["depends_on"]) == servers, service["depends_on"]
    image, tag = service["image"].split(":")
    assert image == "haproxy" and f"Tested with HAProxy {tag};" in text, service["image"]


main(*sys.argv[1:])
