//! Tests of the cluster and of the proxy themselves: a fault that does not happen proves nothing.

use tokio_postgres::{Client, NoTls};

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER, query};
use crate::proxy::{Fault, Proxy};

async fn through(proxy: &Proxy) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(proxy.address.port());
    config.user(USER).password(PASSWORD).dbname(DATABASE);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_kill_and_pause() {
    let Some(mut cluster) = Cluster::start().await else { return };
    cluster.sql(DATABASE, "CREATE TABLE t AS SELECT 7 AS n").await;
    cluster.kill().await;
    assert!(cluster.try_connect("postgres", DATABASE).await.is_err());
    cluster.launch().await;
    assert_eq!(cluster.value("SELECT n FROM t").await, "7");
    cluster.pause();
    cluster.resume();
    cluster.restart().await;
    assert_eq!(cluster.value("SELECT n FROM t").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_standby_which_can_be_promoted() {
    let Some(mut primary) = Cluster::start().await else { return };
    let link = Proxy::start(primary.address).await;
    let standby = primary.standby(link.address).await;
    primary.require_standby().await;
    primary.sql(DATABASE, "CREATE TABLE t AS SELECT 1 AS n").await;
    link.cut(true).await;
    let session = primary.session(DATABASE).await;
    let commit = tokio::spawn(async move { session.batch_execute("UPDATE t SET n = 2").await });
    while primary.waiting_for_standby().await == 0 {
        tokio::task::yield_now().await;
    }
    standby.promote().await;
    assert_eq!(standby.value("SELECT n FROM t").await, "1");
    standby.sql(DATABASE, "UPDATE t SET n = 3").await;
    assert!(!commit.is_finished());
    primary.kill().await;
    assert!(commit.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_injects_each_fault_into_the_chosen_statement() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.sql(DATABASE, "CREATE TABLE t AS SELECT 0 AS n; GRANT ALL ON t TO PUBLIC").await;
    let proxy = Proxy::start(cluster.address).await;
    let update = "UPDATE t SET n = n + 1";
    let faults = [Fault::CutBefore, Fault::CutAfter, Fault::Silence, Fault::Hold];
    for (count, (fault, expected)) in (1..).zip(faults.into_iter().zip(["0", "1", "2", "2"])) {
        let client = through(&proxy).await;
        let prepared = client.prepare(update).await.unwrap();
        assert_eq!(query(&client, "SELECT 5").await, [["5"]]);
        proxy.on("UPDATE t", fault);
        let executed = tokio::spawn(async move {
            // The store sends a transaction as a whole, too.
            let answers = tokio::join!(
                client.batch_execute("BEGIN; SET LOCAL lock_timeout = '2s'"),
                client.execute(&prepared, &[]),
                client.batch_execute("COMMIT"),
            );
            answers.2
        });
        proxy.happened(count).await;
        assert_eq!(cluster.value("SELECT n FROM t").await, expected, "{fault:?}");
        let has_answer = matches!(fault, Fault::CutBefore | Fault::CutAfter);
        if has_answer {
            assert!(executed.await.unwrap().is_err(), "{fault:?}");
        } else {
            assert!(!executed.is_finished(), "{fault:?}");
            executed.abort();
        }
    }
    // The client of the held statement has left.
    proxy.release();
    cluster.wait_until("SELECT n FROM t", "3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_cuts_and_blocks_connections() {
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::start(cluster.address).await;
    let client = through(&proxy).await;
    proxy.cut(false).await;
    assert_eq!(proxy.open_now(), 0);
    assert!(client.simple_query("SELECT 1").await.is_err());
    let client = through(&proxy).await;
    assert_eq!(query(&client, "SELECT 1").await, [["1"]]);
    proxy.block(true);
    let blocked = tokio::spawn(async move { query(&client, "SELECT 2").await });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!blocked.is_finished());
    proxy.block(false);
    assert_eq!(blocked.await.unwrap(), [["2"]]);
    proxy.cut(true).await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(proxy.address.port()).user(USER).password(PASSWORD);
    assert!(config.connect(NoTls).await.is_err());
}
