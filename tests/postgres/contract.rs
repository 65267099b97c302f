//! The contract suite of stores on every kind of connection and with unusual settings of the database.

use std::process::{Child, Stdio};

use waywiser::store::PostgresStore;
use waywiser::store::contract::{check_maximum, check_store};

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER};
use crate::fixtures::{migrated, settings};
use crate::skip::skipped;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract() {
    let Some(cluster) = Cluster::start().await else { return };
    let store = migrated(&cluster.url()).await;
    check_store(&*store).await;
    drop(store);
    for max in [1, 2, 5] {
        let settings = settings(&cluster.url()).with_max_recordings(max);
        let store = PostgresStore::connect(settings).await.unwrap();
        check_maximum(&store, max as usize).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_over_a_unix_socket() {
    let Some(cluster) = Cluster::start().await else { return };
    let folder = cluster.folder().display().to_string().replace('/', "%2F");
    let port = cluster.address.port();
    // Only the socket is left.
    cluster.authenticate("host all all 127.0.0.1/32 reject").await;
    check_store(
        &*migrated(&format!("postgres://{USER}:{PASSWORD}@{folder}:{port}/{DATABASE}")).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_in_another_schema() {
    let Some(cluster) = Cluster::start().await else { return };
    let schema = format!(
        "CREATE SCHEMA \"Way wiser\" AUTHORIZATION {USER};
         ALTER ROLE {USER} SET search_path = \"Way wiser\""
    );
    cluster.sql(DATABASE, &schema).await;
    check_store(&*migrated(&cluster.url()).await).await;
    let tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'waywiser%'";
    assert_eq!(cluster.value(tables).await, "Way wiser");
}

/// Administrators change these settings for a database or for a role.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_unusual_defaults() {
    let Some(cluster) = Cluster::start().await else { return };
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "backslash_quote = off",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = 'sql_standard'",
        "timezone = 'Asia/Kathmandu'",
        "extra_float_digits = -15",
        "client_encoding = 'LATIN1'",
        "client_min_messages = 'debug1'",
        "enable_indexscan = off",
        "enable_seqscan = off",
        "jit_above_cost = 0",
        "plan_cache_mode = 'force_generic_plan'",
        "row_security = off",
    ] {
        cluster.sql("postgres", &format!("ALTER ROLE {USER} SET {setting}")).await;
    }
    check_store(&*migrated(&cluster.url()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_in_a_database_with_another_encoding_and_collation() {
    let Some(cluster) = Cluster::start().await else { return };
    let create = format!(
        "CREATE DATABASE other OWNER {USER} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    );
    cluster.sql("postgres", &create).await;
    let url = format!("postgres://{USER}:{PASSWORD}@{}/other", cluster.address);
    check_store(&*migrated(&url).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_a_synchronous_standby() {
    let Some(primary) = Cluster::start().await else { return };
    let standby = primary.standby(primary.address).await;
    primary.require_standby().await;
    check_store(&*migrated(&primary.url()).await).await;
    // With two hosts, the store uses the one that accepts writes.
    let (first, second) = (standby.address, primary.address);
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", first.port(), second.port());
    let url = format!("postgres://{USER}:{PASSWORD}@{hosts}/{DATABASE}");
    check_store(&*crate::fixtures::connected(&url).await).await;
}

/// PgBouncer, which gives each transaction any of its connections to the server.
struct PgBouncer(Child);

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl PgBouncer {
    async fn start(cluster: &Cluster, port: u16, settings: &str) -> Option<Self> {
        let program = "/usr/sbin/pgbouncer";
        if !std::path::Path::new(program).is_file() {
            skipped("PgBouncer, because it is not installed; run tests/postgres/run");
            return None;
        }
        let folder = cluster.folder();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            cluster.binaries.own(&path);
            path
        };
        let users = file("users", &format!("\"{USER}\" \"{PASSWORD}\"\n"));
        let configuration = format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={} pool_size=3\n[pgbouncer]\n\
             pool_mode = transaction\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             logfile = {}\nserver_reset_query_always = 0\n{settings}\n",
            cluster.address.port(),
            users.display(),
            folder.join("pgbouncer.log").display(),
        );
        let configuration = file("pgbouncer.ini", &configuration);
        let process =
            cluster.binaries.as_user(program).arg(configuration).stderr(Stdio::null()).spawn();
        let bouncer = Self(process.unwrap());
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Some(bouncer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_through_pgbouncer_with_transaction_pooling() {
    let Some(cluster) = Cluster::start().await else { return };
    let reserved = tokio::net::TcpSocket::new_v4().unwrap();
    reserved.set_reuseaddr(true).unwrap();
    reserved.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = reserved.local_addr().unwrap();
    // Migrations and administration use the server itself.
    PostgresStore::migrate(&settings(&cluster.url())).await.unwrap();
    let bouncer = PgBouncer::start(
        &cluster,
        address.port(),
        "ignore_startup_parameters = options,extra_float_digits",
    )
    .await;
    let Some(bouncer) = bouncer else { return };
    check_store(&*crate::fixtures::connected(&cluster.url_at(address)).await).await;
    drop(bouncer);
}
