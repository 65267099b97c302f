"""Databases that cannot be used, passwords, and migrations."""

import shutil
import signal

from clients import Client, Live
from programs import PASSWORD, WRONG_PASSWORD, Server, wait_until


def an_unusable_database_is_refused(cluster):
    """Starts servers with databases that never work. Each ends with advice."""
    postgres = cluster.postgres
    password = cluster.password_arguments
    wrong = cluster.folder / "wrong-password"
    wrong.write_text(WRONG_PASSWORD)
    wrong.chmod(0o600)
    for arguments, advice in [
        (["--store", postgres.url(), *password], "waywiser store migrate"),
        (["--store", postgres.url(), "--store-password-file", wrong], "password"),
        (["--store", postgres.url(password=WRONG_PASSWORD)], "password"),
        (["--store", postgres.url()], "password"),
        (["--store", postgres.url("no_such_database"), *password], "no_such_database"),
        (["--store", postgres.url(user="no_such_role"), *password], "no_such_role"),
        # The server has no TLS.
        (["--store", postgres.url(options="?sslmode=verify-full"), *password], "TLS"),
    ]:
        errors = cluster.serve_to_its_end(*arguments, environment={"HOME": str(cluster.folder)})
        assert advice in errors, f"{arguments}: {errors}"
    # A newer program has upgraded the schema.
    postgres.create_database("newer")
    newer = ["--store", postgres.url("newer"), *password]
    cluster.program("store", "migrate", *newer)
    [known] = postgres.sql("SELECT max(version) FROM waywiser_schema", "newer")
    newest = int(known) + 1
    postgres.sql(f"UPDATE waywiser_schema SET version = {newest}", "newer")
    refusal = f"has version {newest}, and this program uses versions up to {known}: use the newer program"
    for message in [
        cluster.serve_to_its_end(*newer),
        cluster.serve_to_its_end(*newer, "--migrate"),
        cluster.program("store", "migrate", *newer, check=False)[2],
        cluster.program("store", "check", *newer, check=False)[2],
    ]:
        assert refusal in message, message
    # Nothing was changed.
    assert postgres.sql("SELECT version FROM waywiser_schema", "newer") == [str(newest)]
    # A table that is missing, and a role without privileges.
    postgres.create_database("broken")
    broken = ["--store", postgres.url("broken"), *password]
    cluster.program("store", "migrate", *broken)
    postgres.sql(f"CREATE ROLE without_privileges LOGIN PASSWORD '{PASSWORD}'")
    errors = cluster.serve_to_its_end("--store", postgres.url("broken", user="without_privileges"), *password)
    assert "privilege" in errors or "permission" in errors, errors
    postgres.sql("DROP TABLE waywiser_recording CASCADE", "broken")
    assert "waywiser store migrate" in cluster.serve_to_its_end(*broken)


def a_password_comes_from_each_source(cluster):
    """Connects with the password of each source, and replaces wrong ones by the precedence of the sources."""
    postgres = cluster.postgres
    postgres.create_database("passwords")
    cluster.program("store", "migrate", "--store", postgres.url("passwords"), *cluster.password_arguments)
    home = cluster.folder / "home"
    home.mkdir()
    pgpass = home / ".pgpass"
    check = ["store", "check", "--store"]
    url = postgres.url("passwords")

    def entry(password, mode=0o600):
        pgpass.write_text(f"# comment\n127.0.0.1:{postgres.port}:other:*:no\n*:*:passwords:waywiser:{password}\n")
        pgpass.chmod(mode)

    environment = {"HOME": str(home)}
    entry(PASSWORD)
    cluster.program(*check, url, environment=environment)
    # The variable comes before ~/.pgpass, the file before the variable, and the URL before the file.
    entry(WRONG_PASSWORD)
    environment["PGPASSWORD"] = PASSWORD
    cluster.program(*check, url, environment=environment)
    environment["PGPASSWORD"] = WRONG_PASSWORD
    environment["WAYWISER_STORE_PASSWORD_FILE"] = str(cluster.password_file)
    cluster.program(*check, url, environment=environment)
    wrong = cluster.folder / "wrong-password"
    environment["WAYWISER_STORE_PASSWORD_FILE"] = str(wrong)
    assert cluster.program(*check, url, environment=environment, check=False)[0] == 1
    cluster.program(*check, postgres.url("passwords", password=PASSWORD), environment=environment)
    # A file that others can read is ignored.
    entry(PASSWORD, mode=0o640)
    status, _, errors = cluster.program(*check, url, environment={"HOME": str(home)}, check=False)
    assert status == 1 and "chmod 600" in errors, errors
    other = home / "other-pgpass"
    shutil.move(pgpass, other)
    other.chmod(0o600)
    cluster.program(*check, url, environment={"HOME": str(home), "PGPASSFILE": str(other)})


def a_database_without_tables_is_migrated_on_request(cluster):
    """Migrates the database of the cluster twice, which changes nothing the second time. Starts the servers."""
    _, _, errors = cluster.program("store", "migrate", *cluster.store_arguments)
    assert "created the schema, version 1" in errors, errors
    _, _, errors = cluster.program("store", "migrate", *cluster.store_arguments)
    assert "nothing was changed" in errors, errors
    _, _, errors = cluster.program("store", "check", *cluster.store_arguments)
    assert "has 0 recordings, all of them valid" in errors, errors
    cluster.run()


def servers_that_start_at_once_migrate_a_database_once(cluster):
    """Starts two servers with --migrate at an empty database, and one of them again. Stores a recording meanwhile."""
    cluster.postgres.create_database("migrating")
    arguments = ["--store", cluster.postgres.url("migrating"), *cluster.password_arguments, "--migrate"]
    servers = [Server(cluster.folder, f"migrating-{number}", arguments) for number in (1, 2)]
    for server in servers:
        server.run()
    for server in servers:
        server.wait_until_ready()
    logs = [server.log.read_text() for server in servers]
    created, unchanged = "created the schema, version ", "already: nothing was changed"
    assert sorted(log.count(created) for log in logs) == [0, 1], logs
    assert sorted(log.count(unchanged) for log in logs) == [0, 1], logs
    name = "paths/cluster-migrated"
    live = Live(Client(servers[0].address), name)
    live.send(range(10), finish_write=True)
    live.close()
    live.reply.result(timeout=60)
    assert servers[0].stop(signal.SIGTERM) == 0
    servers[0].run()
    servers[0].wait_until_ready()
    assert servers[0].log.read_text().count(unchanged) == logs[0].count(unchanged) + 1, servers[0].log.read_text()
    paths = [Client(server.address).get(name) for server in servers]
    assert paths[0] == paths[1] and (paths[0].committed_points, paths[0].complete) == (10, True), paths
    for server in servers:
        assert server.stop(signal.SIGTERM) == 0


def a_new_password_is_used_without_a_restart(cluster):
    """Replaces the password of the role and the file, and ends all connections."""
    new = "another-battery-staple"
    cluster.postgres.sql(f"ALTER ROLE waywiser PASSWORD '{new}'")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waywiser'"
    cluster.postgres.sql(end)
    for server in cluster.servers:
        # The first reason is the closed connection.
        wait_until(lambda: "password" in server.wait_for_page("/readyz", 503), "the refusal of the old password")
    cluster.password_file.write_text(new + "\n")
    for server in cluster.servers:
        server.wait_until_ready()
    # The others use the first password.
    cluster.postgres.sql(f"ALTER ROLE waywiser PASSWORD '{PASSWORD}'")
    cluster.password_file.write_text(PASSWORD + "\n")
    cluster.postgres.sql(end)
    for server in cluster.servers:
        server.wait_for_database()
    cluster.secrets.append(new)


def no_password_is_printed(cluster):
    """Searches all logs and messages for the passwords."""
    texts = [path.read_text(errors="replace") for path in cluster.folder.rglob("*.log")]
    assert len(texts) > 5, texts
    for text in [*texts, *cluster.printed]:
        for password in cluster.secrets:
            # PostgreSQL logs the statement that creates a role if it fails, which it does not here.
            assert password not in text, text
    return f"{len(texts)} logs and {len(cluster.printed)} messages"
