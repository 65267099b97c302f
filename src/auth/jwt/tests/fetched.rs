//! Tests of key sets that are fetched over HTTP.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// An issuer that answers each request with the next answer that the test gives.
struct Issuer {
    url: String,
    answers: mpsc::UnboundedSender<String>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answers, mut next) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let Some(answer) = next.recv().await else { return };
                // The client closes the connection if the answer is too large.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, answers }
    }

    fn answer(&self, status: &str, body: &str) {
        let length = body.len();
        self.answers
            .send(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"))
            .unwrap();
    }
}

/// A verifier with the keys of an issuer, and the results of its fetches.
struct Fetched {
    verifier: Arc<JwtVerifier>,
    results: mpsc::UnboundedReceiver<Result<KeyChange, LoadError>>,
}

impl Fetched {
    fn start(url: &str) -> Self {
        let verifier = Arc::new(JwtVerifier::load(settings(url.parse().unwrap())).unwrap());
        let (report, results) = mpsc::unbounded_channel();
        let fetching = Arc::clone(&verifier);
        tokio::spawn(async move {
            fetching.fetch_forever(|result| drop(report.send(result))).await;
        });
        Self { verifier, results }
    }

    async fn result(&mut self) -> Result<KeyChange, LoadError> {
        self.results.recv().await.unwrap()
    }

    fn session(&self, token: &str) -> Result<Session, AuthError> {
        self.verifier.session(token, TokenHash::of(token), at(NOW), None)
    }
}

#[tokio::test]
async fn tokens_are_unavailable_until_the_keys_were_fetched_and_a_failed_fetch_keeps_them() {
    let (issuer, key) = (Issuer::start().await, TestKey::es256("a"));
    let token = key.token(&claims());
    let mut fetched = Fetched::start(&issuer.url);
    assert!(matches!(fetched.session(&token), Err(AuthError::Unavailable(_))));
    issuer.answer("200 OK", &key_set(&[&key]));
    assert_eq!(fetched.result().await.unwrap().keys, 1);
    let session = fetched.session(&token).unwrap();

    let large = " ".repeat(KEY_SET_BYTES_MAX as usize + 1);
    let failures = [
        ("500 Internal Server Error", "", "HTTP status 500"),
        ("302 Found", "", "redirection (302 Found)"),
        ("200 OK", "<html>", "is not a JSON Web Key Set"),
        ("200 OK", "{\"keys\":[]}", "has no key"),
        ("200 OK", &large, &format!("larger than the limit of {} KiB", KEY_SET_BYTES_MAX >> 10)),
        ("204 No Content", "", "HTTP status 204"),
    ];
    for (status, body, reason) in failures {
        issuer.answer(status, body);
        fetched.verifier.reload(true).unwrap();
        let error = fetched.result().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.starts_with(&issuer.url), "{error}");
        assert!(fetched.session(&token).is_ok());
    }
    issuer.answer("200 OK", &key_set(&[&TestKey::es256("b")]));
    fetched.verifier.reload(true).unwrap();
    assert_eq!(fetched.result().await.unwrap().withdrawn, 1);
    assert!(session.revoked.is_revoked());
    assert!(fetched.session(&token).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_causes_a_fetch() {
    let (issuer, old, new) = (Issuer::start().await, TestKey::es256("a"), TestKey::es256("b"));
    let mut fetched = Fetched::start(&issuer.url);
    issuer.answer("200 OK", &key_set(&[&old]));
    fetched.result().await.unwrap();
    let token = new.token(&claims());
    let refused = fetched.session(&token).unwrap_err();
    assert!(matches!(refused, AuthError::Invalid(_)), "the keys were fetched a moment ago");
    tokio::time::advance(Duration::from_secs(30)).await;
    issuer.answer("200 OK", &key_set(&[&old, &new]));
    assert!(matches!(fetched.session(&token), Err(AuthError::Unavailable(_))));
    assert_eq!(fetched.result().await.unwrap().keys, 2);
    assert!(fetched.session(&token).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_does_not_answer_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut fetched = Fetched::start(&format!("http://{}/", listener.local_addr().unwrap()));
    let error = fetched.result().await.unwrap_err().to_string();
    assert!(error.contains("no complete answer within 10 s"), "{error}");
    let error = fetched.result().await.unwrap_err().to_string();
    assert!(error.contains("no complete answer within 10 s"), "it is tried again: {error}");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_named_in_the_error() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut fetched = Fetched::start(&format!("http://{unused}/keys"));
    let error = fetched.result().await.unwrap_err().to_string();
    assert!(error.contains(&unused.to_string()) && error.contains("refused"), "{error}");
}
