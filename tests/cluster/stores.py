"""The view for people, copies, backups and restores."""

import json
import shutil
import signal

from clients import Client, Live, bits, documented_blocks
from programs import PASSWORD, ROOT, Server, wait_until
from waywiser.v1 import path_pb2 as pb

# The start of a backup has its time, and the end has a checksum of all.
START, END = 24, 4


def documented_sql():
    """Returns the SQL in docs/postgres.md."""
    blocks = documented_blocks("docs/postgres.md", "cluster: psql")
    assert len(blocks) == (ROOT / "docs/postgres.md").read_text().count("```sql") >= 3, len(blocks)
    return blocks


def dashboard_sql():
    """Returns the queries of the dashboard, as Grafana sends them."""
    text = (ROOT / "deploy/grafana/recordings.json").read_text()
    dashboard = json.loads(text)
    queries = [target["rawSql"] for panel in dashboard["panels"] for target in panel["targets"]]
    namespaces = dashboard["templating"]["list"][1]
    queries.append(namespaces["query"])
    everything = "update_time BETWEEN '2020-01-01' AND '2100-01-01'"
    for query in queries:
        query = query.replace("$namespace", namespaces["allValue"])
        query = query.replace("$__timeFilter(update_time)", everything)
        group = "floor(extract(epoch from update_time)/60)*60 AS \"time\""
        query = query.replace("$__timeGroupAlias(update_time, $__interval)", group)
        assert "$" not in query, query
        yield query


def people_and_dashboards_read_the_view(cluster):
    """Reads the view with psql, runs the documented SQL, and the queries of the dashboard as its role."""
    postgres = cluster.postgres
    path = Client(cluster.servers[0].address).get("paths/cluster-python")
    columns = "name, namespace, complete, points, length_m, estimated_length_m IS NULL, model"
    columns += ", round(extract(epoch FROM update_time) * 1000), round(extract(epoch FROM expire_time) * 1000)"
    query = f"SELECT {columns} FROM waywiser_paths WHERE name = 'paths/cluster-python'"
    [row] = postgres.sql(query, "waywiser")
    updated, expires = (time.ToMilliseconds() for time in (path.update_time, path.expire_time))
    name, namespace, complete, points, length_m, no_estimate, model, update_ms, expire_ms = row.split("\t")
    found = (name, namespace, complete, int(points), float(length_m), no_estimate, model)
    expected = ("paths/cluster-python", "", "t", path.committed_points, path.summary.length_m, "t", "geodesic")
    assert found == expected, (found, expected)
    assert (int(update_ms), int(expire_ms)) == (updated, expires), row

    rows = postgres.sql(documented_sql()[0], "waywiser")
    assert any(row.startswith("paths/cluster-python\t") for row in rows), rows
    for block in documented_sql()[1:]:
        postgres.sql(block, "waywiser")
    for role in "grafana", "waywiser_server":
        postgres.sql(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    queries = list(dashboard_sql())
    for query in queries:
        assert postgres.sql(query, "waywiser", user="grafana"), query
    # The privileges that the document names are enough for a server.
    store = ["--store", postgres.url(user="waywiser_server"), *cluster.password_arguments]
    server = Server(cluster.folder, "few-privileges", store)
    server.run()
    server.wait_until_ready()
    client = Client(server.address)
    live = Live(client, "paths/cluster-few-privileges")
    live.send(range(10), finish_write=True)
    live.close()
    assert live.reply.result(timeout=60).complete
    client.paths.DeletePath(pb.DeletePathRequest(name="paths/cluster-few-privileges"), timeout=20)
    assert server.stop(signal.SIGTERM) == 0
    return f"{len(queries)} queries of the dashboard"


def fill(cluster, server):
    """Records some paths at a server: finished, not finished, empty, and with options."""
    client = Client(server.address)
    for number in range(40):
        name = f"paths/copied-{number}"
        options = pb.PathOptions(estimate=number % 2 == 0, min_step_m=number % 3)
        live = Live(client, name, options=options)
        live.send(range(number * 10), finish_write=number % 4 == 0)
        live.close()
        live.reply.result(timeout=60)


def records(cluster, arguments, name):
    """Starts a server with a store. Returns the records of all its recordings, and what it reports of them."""
    server = Server(cluster.folder, f"serves-{name}", arguments)
    server.run()
    server.wait_until_ready()
    file = cluster.folder / f"{name}.backup"
    cluster.program("store", "backup", "--server", f"http://{server.address}", file)
    listed = Client(server.address).paths.ListPaths(pb.ListPathsRequest(page_size=1000), timeout=20).paths
    assert server.stop(signal.SIGTERM) == 0
    return file.read_bytes()[START:-END], listed


def a_copy_has_the_same_bytes_in_all_directions(cluster):
    """Copies a directory to a database, to another database, and back to a directory."""
    postgres = cluster.postgres
    first = cluster.folder / "data"
    server = Server(cluster.folder, "fills", ["--data-dir", str(first)])
    server.run()
    server.wait_until_ready()
    fill(cluster, server)
    assert server.stop(signal.SIGTERM) == 0
    for database in "copy_one", "copy_two":
        postgres.create_database(database)
        cluster.program("store", "migrate", "--store", postgres.url(database), *cluster.password_arguments)
    last = cluster.folder / "copied"
    steps = [f"redb:{first}", postgres.url("copy_one"), postgres.url("copy_two"), f"redb:{last}"]
    for source, target in zip(steps, steps[1:]):
        _, _, errors = cluster.program("store", "copy", source, target, *cluster.password_arguments)
        assert errors.startswith("copied 40 recordings from ") and PASSWORD not in errors, errors
    expected = records(cluster, ["--data-dir", str(first)], "first")
    assert len(expected[1]) == 40
    for name in "copy_one", "copy_two":
        found = records(cluster, ["--store", postgres.url(name), *cluster.password_arguments], name)
        assert found == expected, f"{name} differs"
    assert records(cluster, ["--store", f"redb:{last}"], "copied") == expected, "the directory differs"

    # A writer continues at the new store.
    server = Server(cluster.folder, "continues", ["--store", postgres.url("copy_two"), *cluster.password_arguments])
    server.run()
    server.wait_until_ready()
    client = Client(server.address)
    name = "paths/copied-9"
    live = Live(client, name, write_offset=90)
    live.send(range(90, 200), finish_write=True)
    live.close()
    path = live.reply.result(timeout=60)
    assert (path.committed_points, path.complete) == (200, True), path
    assert bits(path.summary) == bits(client.measure(range(200))), path
    assert server.stop(signal.SIGTERM) == 0
    return "40 recordings"


def a_copy_is_complete_or_nothing_is_copied(cluster):
    """Copies to targets that are not empty, and from a store that changes."""
    postgres, password = cluster.postgres, cluster.password_arguments
    before = postgres.sql("SELECT count(*), sum(points), max(epoch) FROM waywiser_recording", "copy_one")
    source, target = f"redb:{cluster.folder}/data", postgres.url("copy_one")
    status, _, errors = cluster.program("store", "copy", source, target, *password, check=False)
    assert status == 1 and "nothing was copied" in errors and "use an empty database" in errors, errors
    after = postgres.sql("SELECT count(*), sum(points), max(epoch) FROM waywiser_recording", "copy_one")
    assert before == after, (before, after)
    status, _, errors = cluster.program("store", "copy", target, f"redb:{cluster.folder}/data", *password, check=False)
    assert status == 1 and "is not empty" in errors, errors
    status, _, errors = cluster.program("store", "copy", "redb:/no/such/directory", target, *password, check=False)
    assert status == 1 and "/no/such/directory" in errors, errors

    # A damaged recording stops the copy.
    postgres.sql(
        "UPDATE waywiser_recording SET state = set_byte(state, 20, get_byte(state, 20) # 1) WHERE id = 'copied-8'",
        "copy_one",
    )
    empty = cluster.folder / "never"
    status, _, errors = cluster.program("store", "copy", target, f"redb:{empty}", *password, check=False)
    assert status == 1 and "paths/copied-8" in errors, errors
    assert not (empty / "recordings.redb").exists()
    status, _, errors = cluster.program("store", "check", "--store", target, *password, check=False)
    assert status == 1 and "paths/copied-8 is damaged" in errors and "1 of 40 recordings" in errors, errors

    # The source changes all the time: each read of it finds another time of expiry.
    changes = """DO $$ BEGIN LOOP
        UPDATE waywiser_recording SET expire_ms = expire_ms + 1 WHERE id = 'copied-4'; COMMIT;
    END LOOP; END $$"""
    source = postgres.url("copy_two")
    with postgres.running_sql(changes, "copy_two"):
        moving = "SELECT expire_ms FROM waywiser_recording WHERE id = 'copied-4'"
        start = postgres.sql(moving, "copy_two")
        wait_until(lambda: postgres.sql(moving, "copy_two") != start, "a change")

        def is_refused():
            status, _, errors = cluster.program("store", "copy", source, f"redb:{empty}", *password, check=False)
            if status == 0:
                # The statement has changed nothing during this copy, because other processes used the processors.
                shutil.rmtree(empty)
                return False
            assert status == 1 and "nothing was copied" in errors and "has changed" in errors, errors
            return True

        wait_until(is_refused, "a change during a copy")
    assert not (empty / "recordings.redb").exists()
    cluster.program("store", "copy", source, f"redb:{empty}", *password)


def a_backup_is_restored_to_a_database(cluster):
    """Makes a backup of a running server, and restores it to a database that is empty."""
    postgres = cluster.postgres
    file = cluster.folder / "cluster.backup"
    cluster.program("store", "backup", "--server", f"http://{cluster.servers[1].address}", file)
    postgres.create_database("restored")
    target = ["--store", postgres.url("restored"), *cluster.password_arguments]
    status, _, errors = cluster.program("store", "restore", file, *target, check=False)
    assert status == 1 and "waywiser store migrate" in errors, errors
    cluster.program("store", "migrate", *target)
    cluster.program("store", "restore", file, "--keep-expiry", *target)
    found, _ = records(cluster, target, "restored")
    assert found == file.read_bytes()[START:-END]
    status, _, errors = cluster.program("store", "restore", file, *target, check=False)
    assert status == 1 and "use an empty database" in errors, errors
