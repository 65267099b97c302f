//! URLs of databases.

use super::*;

fn hosts_of(url: &str) -> Vec<(String, u16)> {
    PostgresSettings::parse(url).unwrap().hosts().to_vec()
}

fn error(url: &str) -> String {
    PostgresSettings::parse(url).unwrap_err().to_string()
}

#[test]
fn the_parts_of_a_url_are_read() {
    let url = "postgresql://w%40y:p%3A%2F%40s@db:6432/p%20t?sslmode=verify-full&sslrootcert=%2Fca.pem&\
               connect_timeout=9&application_name=x&sslcert=c&sslkey=k&target_session_attrs=primary";
    let settings = PostgresSettings::parse(url).unwrap();
    assert_eq!((settings.user(), settings.database()), ("w@y", "p t"));
    assert_eq!(settings.current_password(), Ok(Some("p:/@s".to_owned())));
    assert_eq!(settings.hosts(), [("db".to_owned(), 6432)]);
    assert_eq!(settings.tls.mode, TlsMode::VerifyFull);
    assert_eq!(settings.tls.ca_file, Some("/ca.pem".into()));
    assert_eq!(settings.tls.identity, Some(("c".into(), "k".into())));
    assert_eq!(settings.connect_timeout, Duration::from_secs(9));
    assert_eq!(settings.application_name, "x");
    assert!(settings.has_password());
}

#[test]
fn hosts_can_have_ports_of_their_own() {
    let pairs = |hosts: &[(&str, u16)]| -> Vec<_> {
        hosts.iter().map(|&(host, port)| (host.to_owned(), port)).collect()
    };
    assert_eq!(
        hosts_of("postgres://u@a,b:1,[::1]:2,[::2]/d"),
        pairs(&[("a", 5432), ("b", 1), ("::1", 2), ("::2", 5432)])
    );
    assert_eq!(hosts_of("postgres://u@%2Frun%2Fpg:7/d"), pairs(&[("/run/pg", 7)]));
    assert_eq!(hosts_of("postgres:///d?host=/run/pg&user=u"), pairs(&[("/run/pg", 5432)]));
    assert_eq!(hosts_of("postgres:///d?host=a,b&port=1,2&user=u"), pairs(&[("a", 1), ("b", 2)]));
    assert_eq!(hosts_of("postgres:///d?host=a,b&port=3&user=u"), pairs(&[("a", 3), ("b", 3)]));
    assert_eq!(PostgresSettings::parse("postgres://u@h").unwrap().database(), "u");
}

#[test]
fn other_texts_are_refused_with_advice() {
    let texts = [
        "mysql://u@h/d",
        "postgres://h/d",
        "postgres://u@/d",
        "postgres://u@h:0/d",
        "postgres://u@h:x/d",
        "postgres://u@[::1/d",
        "postgres://u@h/d?sslmode=on",
        "postgres://u@h/d?sslmode",
        "postgres://u@h/d?colour=red",
        "postgres://u@h/d?options=-c%20x",
        "postgres://u@h/d?sslcert=a",
        "postgres://u@h/d?connect_timeout=0",
        "postgres://u@h/d?channel_binding=on",
        "postgres://u@h/d?target_session_attrs=standby",
        "postgres://u@h/d%00",
        "postgres://u@h/d%f",
        "postgres://u@h/d%ff",
        "postgres:///d?user=u&host=a,b&port=1,2,3",
    ];
    insta::assert_snapshot!(texts.map(error).join("\n"), @r#"
    the URL does not start with postgres://; write it as postgres://USER@HOST/DATABASE
    the URL has no user: write it as postgres://USER@HOST/DATABASE
    the URL has no host: write it as postgres://USER@HOST/DATABASE
    a port of the URL is not a number from 1 to 65535
    a port of the URL is not a number from 1 to 65535
    an IPv6 address in the URL is written as [ADDRESS]:PORT
    sslmode is "on": use disable, prefer, require, verify-ca or verify-full
    an option of the URL has no value: write OPTION=VALUE
    the URL has the unknown option "colour": use sslmode, sslrootcert, sslcert, sslkey, channel_binding, application_name, connect_timeout, target_session_attrs, host, port, user, password or dbname
    the option "options" of the URL is not supported: set parameters of the session with ALTER ROLE ... SET in the database
    sslcert and sslkey belong together: set both or neither
    connect_timeout is "0": use a number of seconds from 1 to 60
    channel_binding is "on": use disable, prefer or require
    target_session_attrs is "standby", but the store writes: use read-write, primary or any
    the database of the URL is not text in UTF-8 without NUL
    the database of the URL has a % without two hexadecimal digits: write %25
    the database of the URL is not text in UTF-8 without NUL
    the URL has 2 hosts and 3 ports: give one port, or one for each host
    "#);
}

#[test]
fn a_password_is_never_shown() {
    for url in [
        "postgres://u:sesame@h/d",
        "postgres://u@h/d?password=sesame",
        "postgres://u:sesame@h:x/d",
        "postgres://u:sesame@h/d?a=b",
        "postgres://u:sesame@[/d",
        "postgres://u:sesame%@h/d",
        "postgres://u:sesame/@h/d",
        "postgres://u@h/d?password=sesame%",
        "postgres://u@h/d?password=open&sesame=1",
        "postgres://u:open@a?sesame=1@h/d",
        "sesame",
    ] {
        let parsed = PostgresSettings::parse(url);
        assert!(!format!("{parsed:?}").contains("sesame"), "{parsed:?}");
        match parsed {
            Ok(settings) => assert!(!settings.to_string().contains("sesame"), "{settings}"),
            Err(error) => assert!(!error.to_string().contains("sesame"), "{error}"),
        }
    }
}

#[test]
fn a_source_replaces_the_password_of_the_url() {
    let settings = PostgresSettings::parse("postgres://u:a@h/d").unwrap();
    let settings = settings.with_password_source(Arc::new(|| Ok(Some("b".to_owned()))));
    assert_eq!(settings.current_password(), Ok(Some("b".to_owned())));
}
