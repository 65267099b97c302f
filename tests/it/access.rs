//! Access of authenticated callers: which calls need credentials, and when sessions end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waywiser::auth::{
    AuthError, Authenticator, Credentials, Principal, PrincipalSource, Quota, Revocation, Role,
    Session,
};

use crate::support::{PATH_LENGTH, Raw, Server, frames};

/// Accepts one token, in one session.
struct OneToken(Session);

impl Authenticator for OneToken {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        match credentials.authorization {
            None => Err(AuthError::Missing),
            Some(b"Bearer good") => Ok(self.0.clone()),
            Some(_) => Err(AuthError::Invalid("the token is not known")),
        }
    }
}

fn session() -> Session {
    let principal = Principal {
        source: PrincipalSource::Configuration,
        name: "van-7".into(),
        namespace: None,
        role: Role::Writer,
        quota: Quota::default(),
    };
    Session { principal: Arc::new(principal), expires_at: None, revoked: Revocation::new() }
}

async fn server(session: Session) -> Server {
    Server::with_authenticator(Arc::new(OneToken(session))).await
}

const GOOD: [(&str, &str); 1] = [("authorization", "Bearer good")];

#[tokio::test]
async fn calls_need_credentials_and_health_checks_do_not() {
    let server = server(session()).await;
    let mut raw = Raw::connect(server.address).await;
    let answer = raw.try_call(PATH_LENGTH).await.unwrap();
    assert_eq!(answer.code, Code::Unauthenticated);
    assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_MISSING"));
    for path in [PATH_LENGTH, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] {
        let mut call = raw.call_with(path, &[("authorization", "Bearer bad")]);
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::Unauthenticated, "{path}");
        assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_INVALID"));
        assert!(!answer.message.contains("bad"), "{}", answer.message);
    }
    let mut repeated = raw.call_with(PATH_LENGTH, &[GOOD[0], GOOD[0]]);
    assert_eq!(repeated.answer().await.unwrap().code, Code::Unauthenticated);
    // Credentials do not reveal which methods exist, and an unknown method needs none to be refused.
    let unknown = raw.try_call("/no.Such/Method").await.unwrap();
    assert_eq!(unknown.code, Code::Unimplemented);
    let mut call = raw.call_with(PATH_LENGTH, &GOOD);
    call.send(frames(&[(0, 0), (3, 4)]));
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
    let mut health = HealthClient::new(server.channel().await);
    let reply = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(reply.into_inner().status, 1);
}

#[tokio::test]
async fn a_withdrawn_session_ends_its_streams() {
    let session = session();
    let server = server(session.clone()).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call_with(PATH_LENGTH, &GOOD);
    call.send(frames(&[(0, 0), (3, 4)]));
    session.revoked.change();
    let answer = call.answer().await.unwrap();
    assert_eq!(
        (answer.code, answer.reason.as_deref()),
        (Code::Unavailable, Some("CREDENTIALS_CHANGED"))
    );
}

#[tokio::test]
async fn a_session_that_expires_ends_its_streams() {
    let expires_at = Some(SystemTime::now() + Duration::from_millis(50));
    let server = server(Session { expires_at, ..session() }).await;
    let mut raw = Raw::connect(server.address).await;
    let answer = raw.call_with(PATH_LENGTH, &GOOD).answer().await.unwrap();
    assert_eq!(answer.code, Code::Unauthenticated);
    assert_eq!(answer.reason.as_deref(), Some("CREDENTIALS_EXPIRED"));
}
