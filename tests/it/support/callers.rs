//! Callers with tokens: an authenticator that knows them, and clients that send their tokens.

use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use waywiser::Config;
use waywiser::auth::{
    AuthError, Authenticator, Credentials, Principal, PrincipalSource, Quota, Revocation, Role,
    Session,
};
use waywiser::proto::waywiser_v1::path_service_client::PathServiceClient;
use waywiser::recording::CheckpointStore;

use super::Server;

/// The callers by token: the name of a caller is its token.
pub struct Callers(Vec<Arc<Principal>>);

/// Returns a caller. Without a namespace, it uses the default namespace.
pub fn caller(name: &str, namespace: Option<&str>, role: Role) -> Principal {
    Principal {
        source: PrincipalSource::Configuration,
        name: name.into(),
        namespace: namespace.map(|namespace| namespace.parse().unwrap()),
        role,
        quota: Quota::default(),
    }
}

impl Callers {
    pub fn new(callers: impl IntoIterator<Item = Principal>) -> Self {
        Self(callers.into_iter().map(Arc::new).collect())
    }
}

impl Authenticator for Callers {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        let header = credentials.authorization.ok_or(AuthError::Missing)?;
        let token = header.strip_prefix(b"Bearer ").ok_or(AuthError::Malformed("no token"))?;
        let mut callers = self.0.iter();
        let principal = callers.find(|caller| caller.name.as_bytes() == token);
        Ok(Session {
            principal: Arc::clone(principal.ok_or(AuthError::Invalid("no such token"))?),
            expires_at: None,
            revoked: Revocation::new(),
        })
    }
}

/// Starts a server that knows these callers.
pub async fn server(
    store: Arc<dyn CheckpointStore>,
    callers: impl IntoIterator<Item = Principal>,
    configure: impl FnOnce(&mut Config),
) -> Server {
    let callers = Callers::new(callers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::adapted(listener, store, configure, |server| {
        server.with_authenticator(Arc::new(callers))
    })
}

/// Adds the token of a caller to each request.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub fn token(name: &str) -> Token {
    Token(format!("Bearer {name}").parse().unwrap())
}

/// Returns a client that calls as `name`.
pub async fn paths(
    server: &Server,
    name: &str,
) -> PathServiceClient<InterceptedService<Channel, Token>> {
    PathServiceClient::with_interceptor(server.channel().await, token(name))
}
