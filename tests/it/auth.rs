//! Authentication over sockets: live streams and reloads, and the program with tokens and JSON Web Tokens.

mod https;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tonic::Code;
use tonic::metadata::MetadataValue;
use waywiser::auth::{Access, AccessSettings, Algorithm, JwtSettings, KeySource, Token};
use waywiser::client::{Client, RecordEvent, TokenSource};
use waywiser::proto::my_package;

use crate::support::live_recording::LiveRecording;
use crate::support::{DISPLACEMENT, PATH_LENGTH, Raw, Server, frames};

/// The private key of an issuer.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn key_set(&self) -> String {
        let x = base64url(self.0.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x}]}).to_string()
    }

    /// Returns a valid token with these members of the claims replaced.
    fn token(&self, changes: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims =
            json!({"iss": "issuer", "aud": "waywiser", "sub": "bike", "exp": now + 3600});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "1"})), part(&claims));
        let signature = base64url(self.0.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let digit = |six: &[bool]| {
        let value =
            (0..6).fold(0, |value, index| value << 1 | usize::from(six.get(index) == Some(&true)));
        char::from(DIGITS[value])
    };
    bits.chunks(6).map(digit).collect()
}

/// A token file with one entry for each name, and the files of an issuer.
struct Files {
    folder: tempfile::TempDir,
    issuer: Issuer,
}

impl Files {
    fn new(entries: &[(&str, &Token)]) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new() };
        files.write_tokens(entries);
        write_secret(&files.keys(), &files.issuer.key_set());
        files
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens.toml")
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn write_tokens(&self, entries: &[(&str, &Token)]) {
        let entry = |(name, token): &(&str, &Token)| {
            format!("[[principal]]\nname = '{name}'\ntoken_sha256 = ['{}']\n", token.hash())
        };
        write_secret(&self.tokens(), &entries.iter().map(entry).collect::<String>());
    }

    fn access(&self) -> Arc<Access> {
        let jwt = JwtSettings {
            keys: KeySource::File(self.keys()),
            issuer: "issuer".to_owned(),
            audience: "waywiser".to_owned(),
            algorithms: Algorithm::DEFAULT.to_vec(),
            clock_skew: std::time::Duration::ZERO,
            namespace_claim: "namespace".to_owned(),
            role_claim: "role".to_owned(),
        };
        let (tokens, jwt) = (Some(self.tokens()), Some(jwt));
        Arc::new(Access::load(AccessSettings { tokens, jwt, certificates: None }).unwrap())
    }
}

fn write_secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a_client_with_a_token_or_a_json_web_token_is_served() {
    let van = Token::generate().unwrap();
    let files = Files::new(&[("van", &van)]);
    let server = Server::with_authenticator(files.access()).await;
    let mut client = server.planar().await;
    for token in [van.as_str(), &files.issuer.token(json!({}))] {
        let mut request = tonic::Request::new(my_package::Displacement {
            start: None,
            end: Some(my_package::Point { x: 3, y: 4 }),
        });
        let value: MetadataValue<_> = bearer(token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        let reply = client.compute_displacement(request).await.unwrap().into_inner();
        assert_eq!(reply.distance, 5.0);
    }
}

#[tokio::test]
async fn refusals_have_codes_and_reasons_and_never_the_token() {
    let van = Token::generate().unwrap();
    let files = Files::new(&[("van", &van)]);
    let server = Server::with_authenticator(files.access()).await;
    let mut raw = Raw::connect(server.address).await;
    let token = |changes| files.issuer.token(changes);
    let mut tampered = token(json!({}));
    tampered.replace_range(40..41, if &tampered[40..41] == "A" { "B" } else { "A" });
    let other = Token::generate().unwrap();
    let other = other.as_str();
    let refused = [
        (token(json!({"aud": "other"})), "CREDENTIALS_INVALID", "audience"),
        (token(json!({"iss": "other"})), "CREDENTIALS_INVALID", "issuer"),
        (token(json!({"exp": 1})), "CREDENTIALS_EXPIRED", "expired"),
        (token(json!({"nbf": 99_999_999_999_u64})), "CREDENTIALS_INVALID", "not valid yet"),
        (token(json!({"namespace": "a/b"})), "CREDENTIALS_INVALID", "namespace"),
        (token(json!({"role": "root"})), "CREDENTIALS_INVALID", "role"),
        (tampered, "CREDENTIALS_INVALID", ""),
        (Issuer::new().token(json!({})), "CREDENTIALS_INVALID", "signature"),
        (other.to_owned(), "CREDENTIALS_INVALID", "unknown or was revoked"),
        ("short".to_owned(), "CREDENTIALS_INVALID", "32 characters"),
        ("x".repeat(8193), "CREDENTIALS_INVALID", "longer than 8 KiB"),
    ];
    for (token, reason, text) in refused {
        let mut call = raw.call_with(DISPLACEMENT, &[("authorization", &bearer(&token))]);
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::Unauthenticated, "{}", answer.message);
        assert_eq!(answer.reason.as_deref(), Some(reason), "{}", answer.message);
        assert!(answer.message.contains(text), "{}", answer.message);
        assert!(!answer.message.contains(&token), "{}", answer.message);
    }
    server.assert_refuses_calls_without_credentials().await;
}

#[tokio::test]
async fn failed_signatures_are_limited_per_peer_and_valid_credentials_are_served() {
    let van = Token::generate().unwrap();
    let files = Files::new(&[("van", &van)]);
    let server = Server::with_authenticator(files.access()).await;
    let known = files.issuer.token(json!({}));
    let forged = Issuer::new().token(json!({}));
    let call = async |raw: &mut Raw, token: &str| {
        let mut call = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(token))]);
        // A refused stream may have ended.
        let _ = call.body.send_data(frames(&[(0, 0)]), true);
        call.answer().await.unwrap()
    };
    let mut raw = Raw::connect(server.address).await;
    assert_eq!(call(&mut raw, &known).await.code, Code::Ok);
    let mut failures = 0;
    let refused = loop {
        let answer = call(&mut raw, &forged).await;
        if answer.code != Code::Unauthenticated {
            break answer;
        }
        failures += 1;
    };
    assert!(failures >= 50, "{failures}");
    assert_eq!(
        (refused.code, refused.reason.as_deref()),
        (Code::ResourceExhausted, Some("AUTHENTICATION_RATE"))
    );
    insta::assert_snapshot!(refused.message, @"this client address has reached its limit of 10 failed authentications per second; try again in 1 s");
    // Credentials whose signature was checked before, or that have none, are accepted on the same connection.
    for token in [&known, van.as_str()] {
        assert_eq!(call(&mut raw, token).await.code, Code::Ok);
    }
    // A new token is accepted on another connection of the same address.
    let mut other = Raw::connect(server.address).await;
    let new = files.issuer.token(json!({"sub": "bus"}));
    assert_eq!(call(&mut other, &new).await.code, Code::Ok);
}

impl Server {
    async fn assert_refuses_calls_without_credentials(&self) {
        let mut raw = Raw::connect(self.address).await;
        let answer = raw.try_call(PATH_LENGTH).await.unwrap();
        assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_MISSING"));
    }
}

#[tokio::test]
async fn a_token_that_is_removed_ends_its_live_streams_and_no_others() {
    let (kept, removed) = (Token::generate().unwrap(), Token::generate().unwrap());
    let files = Files::new(&[("kept", &kept), ("removed", &removed)]);
    let access = files.access();
    let server = Server::with_authenticator(Arc::clone(&access) as _).await;
    let mut raw = Raw::connect(server.address).await;
    let jwt = files.issuer.token(json!({}));
    let mut calls = [kept.as_str(), removed.as_str(), &jwt]
        .map(|token| raw.call_with(PATH_LENGTH, &[("authorization", &bearer(token))]));
    calls.iter_mut().for_each(|call| call.send(frames(&[(0, 0), (3, 4)])));
    // A connection admits its calls in order: after this answer, the others have a session.
    let mut probe = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(kept.as_str()))]);
    probe.close();
    assert_eq!(probe.answer().await.unwrap().code, Code::Ok);
    // A wrong file first: it ends no stream.
    write_secret(&files.tokens(), "[[principal");
    access.reload().unwrap_err();
    files.write_tokens(&[("kept", &kept)]);
    access.reload().unwrap();
    let [first, second, third] = &mut calls;
    let answer = second.answer().await.unwrap();
    // The call can be repeated, because the credentials may have other rights only. The next call is refused.
    assert_eq!(
        (answer.code, answer.reason.as_deref()),
        (Code::Unavailable, Some("CREDENTIALS_CHANGED"))
    );
    let mut again = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(removed.as_str()))]);
    assert_eq!(again.answer().await.unwrap().code, Code::Unauthenticated);
    // The key of the issuer is replaced: its tokens end too.
    std::fs::write(files.keys(), Issuer::new().key_set()).unwrap();
    access.reload().unwrap();
    assert_eq!(third.answer().await.unwrap().code, Code::Unavailable);
    let mut again = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(&jwt))]);
    assert_eq!(again.answer().await.unwrap().code, Code::Unauthenticated);
    first.send(frames(&[(3, 10)]));
    first.close();
    assert_eq!(first.answer().await.unwrap().code, Code::Ok);
}

/// Neither the token nor the certificate changes, so the client has no other credentials to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_continues_when_the_rights_of_its_token_change() {
    let token = Token::generate().unwrap();
    let files = Files::new(&[("van", &token)]);
    let access = files.access();
    let server = Server::with_authenticator(Arc::clone(&access) as _).await;
    let client = Client::builder(format!("http://{}", server.address))
        .token(TokenSource::value(token.as_str()))
        .connect()
        .await
        .unwrap();
    let mut recording = LiveRecording::start(&client);
    recording.send(0..3);
    recording.committed(3).await;
    let mut text = std::fs::read_to_string(files.tokens()).unwrap();
    text.push_str("role = 'admin'\n");
    write_secret(&files.tokens(), &text);
    access.reload().unwrap();
    recording.connected(3).await;
    // The next quota lowers no rate, so that the stream continues.
    text.push_str("[principal.quota]\nmax_streams = 10\n");
    write_secret(&files.tokens(), &text);
    access.reload().unwrap();
    recording.send(3..4);
    recording
        .event(|event| {
            assert!(!matches!(event, RecordEvent::Retrying { .. }), "{event:?}");
            *event == RecordEvent::Committed { committed_points: 4 }
        })
        .await;
    recording.send(4..5);
    let recorded = recording.finish().await.unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (5, 20.0));
}

/// Calls run while the file changes all the time. The principal that stays is never refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_refuse_no_valid_call() {
    let (kept, other) = (Token::generate().unwrap(), Token::generate().unwrap());
    let files = Files::new(&[("kept", &kept)]);
    let access = files.access();
    let server = Server::with_authenticator(Arc::clone(&access) as _).await;
    let mut raw = Raw::connect(server.address).await;
    let mut live = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(kept.as_str()))]);
    let mut ended = 0;
    for round in 0..30 {
        let mut other_call = None;
        match round % 2 {
            0 => files.write_tokens(&[("kept", &kept), ("other", &other)]),
            _ => files.write_tokens(&[("kept", &kept)]),
        }
        if round % 2 == 1 {
            other_call =
                Some(raw.call_with(PATH_LENGTH, &[("authorization", &bearer(other.as_str()))]));
        }
        let reloading = Arc::clone(&access);
        let reload = tokio::task::spawn_blocking(move || reloading.reload());
        for _ in 0..10 {
            let mut call = raw.call_with(PATH_LENGTH, &[("authorization", &bearer(kept.as_str()))]);
            call.send(frames(&[(0, 0), (3, 4)]));
            call.close();
            assert_eq!(call.answer().await.unwrap().code, Code::Ok);
        }
        reload.await.unwrap().unwrap();
        if let Some(mut call) = other_call {
            // It was accepted and then withdrawn, or it came after the reload.
            let code = call.answer().await.unwrap().code;
            assert!(matches!(code, Code::Unavailable | Code::Unauthenticated), "{code:?}");
            ended += 1;
        }
    }
    assert_eq!(ended, 15);
    live.send(frames(&[(0, 0), (3, 4)]));
    live.close();
    assert_eq!(live.answer().await.unwrap().code, Code::Ok);
    assert_eq!(access.counts().tokens.loaded, 30);
}
