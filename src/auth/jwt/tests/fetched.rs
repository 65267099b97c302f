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
    /// The numbers of keys that became too old.
    expired: mpsc::UnboundedReceiver<usize>,
}

impl Fetched {
    fn start(url: &str) -> Self {
        let verifier = Arc::new(JwtVerifier::load(settings(url.parse().unwrap())).unwrap());
        let (report, results) = mpsc::unbounded_channel();
        let (report_expired, expired) = mpsc::unbounded_channel();
        let fetching = Arc::clone(&verifier);
        tokio::spawn(async move {
            let report_expired = |keys| report_expired.send(keys).unwrap_or_default();
            fetching.fetch_forever(|result| drop(report.send(result)), report_expired).await;
        });
        Self { verifier, results, expired }
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
    assert!(is_unavailable(&fetched.session(&token)));
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
    // Two answers in a row must miss the key.
    let other = key_set(&[&TestKey::es256("b")]);
    for _ in 0..2 {
        issuer.answer("200 OK", &other);
        fetched.verifier.reload(true).unwrap();
        let change = fetched.result().await.unwrap();
        assert_eq!((change.missing, change.withdrawn), (1, 0));
        assert!(!session.revoked.is_revoked() && fetched.session(&token).is_ok());
        issuer.answer("200 OK", &key_set(&[&key]));
        fetched.verifier.reload(true).unwrap();
        assert_eq!(fetched.result().await.unwrap().keys, 1);
        assert!(!session.revoked.is_revoked());
    }
    for (missing, withdrawn) in [(1, 0), (0, 1), (0, 0)] {
        issuer.answer("200 OK", &other);
        fetched.verifier.reload(true).unwrap();
        let change = fetched.result().await.unwrap();
        assert_eq!((change.missing, change.withdrawn), (missing, withdrawn));
        assert_eq!(session.revoked.is_revoked(), missing == 0);
    }
    assert!(is_unavailable(&fetched.session(&token)), "the key may come back");
}

fn is_unavailable(result: &Result<Session, AuthError>) -> bool {
    matches!(result, Err(AuthError::Unavailable { .. }))
}

/// One key is missing in the last answer that the server has received. The issuer then is down for days.
#[tokio::test(start_paused = true)]
async fn keys_are_accepted_for_a_limited_time_while_fetches_fail() {
    let issuer = Issuer::start().await;
    let (kept, missing) = (TestKey::es256("a"), TestKey::es256("b"));
    let mut fetched = Fetched::start(&issuer.url);
    let begun_at = Instant::now();
    issuer.answer("200 OK", &key_set(&[&kept, &missing]));
    fetched.result().await.unwrap();
    let begun_again_at = Instant::now();
    fetched.verifier.reload(true).unwrap();
    issuer.answer("200 OK", &key_set(&[&kept]));
    fetched.result().await.unwrap();
    let tokens = [&kept, &missing].map(|key| key.token(&claims()));
    let sessions = [0, 1].map(|index| fetched.session(&tokens[index]).unwrap());
    let status = fetched.verifier.status();
    assert_eq!((status.keys, status.missing), (1, 1));

    let failing = async {
        loop {
            issuer.answer("503 Service Unavailable", "");
            fetched.results.recv().await.unwrap().unwrap_err();
        }
    };
    let removed = tokio::select! {
        () = failing => unreachable!("it never ends"),
        removed = fetched.expired.recv() => removed,
    };
    assert_eq!(removed, Some(2));
    assert!(begun_at.elapsed() >= KEYS_TIME);
    // A fetch that is running at this time ends first.
    assert!(begun_again_at.elapsed() <= KEYS_TIME + Duration::from_secs(30));
    for (session, token) in sessions.iter().zip(&tokens) {
        // Clients call again, with the same token.
        assert!(session.revoked.is_revoked() && !session.revoked.is_withdrawn());
        assert!(is_unavailable(&fetched.session(token)));
    }
    assert!(!fetched.verifier.has_keys() && fetched.verifier.status().age >= KEYS_TIME);
    issuer.answer("200 OK", &key_set(&[&kept]));
    while fetched.result().await.is_err() {}
    assert!(fetched.session(&tokens[0]).is_ok());
    let status = fetched.verifier.status();
    assert!(status.age < Duration::from_secs(60), "{status:?}");
    assert_eq!((status.keys, status.missing), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_causes_a_fetch() {
    let (issuer, old, new) = (Issuer::start().await, TestKey::es256("a"), TestKey::es256("b"));
    let mut fetched = Fetched::start(&issuer.url);
    issuer.answer("200 OK", &key_set(&[&old]));
    fetched.result().await.unwrap();
    let token = new.token(&claims());
    // The keys were fetched a moment ago, and the issuer may have published the key since.
    let Err(AuthError::Unavailable { retry_after, .. }) = fetched.session(&token) else { panic!() };
    assert!((30..=31).contains(&retry_after.as_secs()), "{retry_after:?}");
    let forged = TestKey::es256("c").token(&claims());
    assert!(is_unavailable(&fetched.session(&forged)));
    issuer.answer("200 OK", &key_set(&[&old, &new]));
    assert_eq!(fetched.result().await.unwrap().keys, 2);
    assert!(fetched.session(&token).is_ok());
    let refused = fetched.session(&forged).unwrap_err();
    assert_eq!(refused, AuthError::Invalid("the key of the token is unknown or was withdrawn"));
}

/// The issuer replaces its only key, and neither its keys nor its tokens have an id.
#[tokio::test(start_paused = true)]
async fn a_wrong_signature_without_a_key_id_causes_a_fetch() {
    let (issuer, old, new) = (Issuer::start().await, TestKey::es256("a"), TestKey::es256("b"));
    let without_id = |key: &TestKey| {
        let mut jwk = key.jwk.clone();
        jwk.as_object_mut().unwrap().remove("kid");
        json!({"keys": [jwk]}).to_string()
    };
    let token = |key: &TestKey| key.token_with(&json!({"alg": "ES256", "typ": "JWT"}), &claims());
    let mut fetched = Fetched::start(&issuer.url);
    issuer.answer("200 OK", &without_id(&old));
    fetched.result().await.unwrap();
    let session = fetched.session(&token(&old)).unwrap();
    let (valid, forged) = (token(&new), token(&TestKey::es256("c")));
    assert!(is_unavailable(&fetched.session(&valid)));
    assert!(is_unavailable(&fetched.session(&forged)));
    issuer.answer("200 OK", &without_id(&new));
    assert_eq!(fetched.result().await.unwrap().missing, 1);
    assert!(fetched.session(&valid).is_ok());
    let refused = fetched.session(&forged).unwrap_err();
    assert_eq!(refused, AuthError::Invalid("the signature of the token does not match"));
    // Tokens of the old key are accepted until the next answer misses it, too.
    assert!(fetched.session(&token(&old)).is_ok());
    issuer.answer("200 OK", &without_id(&new));
    assert_eq!(fetched.result().await.unwrap().withdrawn, 1);
    assert!(session.revoked.is_revoked());
    assert!(fetched.session(&valid).is_ok());
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
