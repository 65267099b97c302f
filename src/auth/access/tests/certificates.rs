//! Tests of client certificates, and of reloads that change their rights.

use super::*;

#[test]
fn a_session_of_a_certificate_ends_with_it() {
    let access =
        Access::load(AccessSettings { certificates: DERIVED, ..AccessSettings::default() })
            .unwrap();
    let session = |not_after| {
        let certificate = PeerCertificate { not_after: Some(not_after), ..named("van.example") };
        let credentials = Credentials { certificate: Some(&certificate), ..Credentials::default() };
        access.authenticate(&credentials).map(|session| session.expires_at)
    };
    let now = SystemTime::now();
    let later = now + Duration::from_secs(3600);
    assert_eq!(session(later), Ok(Some(later)));
    assert_eq!(session(now - Duration::from_secs(1)), Err(AuthError::Expired));
}

#[test]
fn a_certificate_that_the_file_names_from_now_on_loses_its_derived_principal_and_no_other_does() {
    let fixture = Fixture::new();
    let Fixture { access, token, .. } = &fixture;
    let open = |name| certificate(access, name).unwrap();
    let (derived, other, van) = (open("bike.example"), open("other.example"), open("van.example"));
    let both = PeerCertificate {
        dns_names: vec!["van.example".to_owned(), "bike.example".to_owned()],
        ..PeerCertificate::default()
    };
    let credentials = Credentials { certificate: Some(&both), ..Credentials::default() };
    let both = access.authenticate(&credentials).unwrap();
    assert_eq!(&*both.principal.name, "van");
    let new = Token::generate().unwrap();
    fixture.write_tokens(&(entry("van", token) + &entry("bike", &new)));
    access.reload().unwrap();
    assert!(derived.revoked.is_revoked() && !derived.revoked.is_withdrawn());
    assert!(!van.revoked.is_revoked() && !other.revoked.is_revoked());
    assert!(both.revoked.is_withdrawn(), "its names belong to two principals now");
    assert!(access.authenticate(&credentials).is_err());
    let bike = open("bike.example");
    assert_eq!(&*bike.principal.name, "bike");
    assert!(!bike.revoked.is_revoked());
    // Without the entry, the certificate has its derived principal again.
    fixture.write_tokens(&entry("van", token));
    access.reload().unwrap();
    assert!(bike.revoked.is_revoked() && !bike.revoked.is_withdrawn());
    assert!(!van.revoked.is_revoked() && !other.revoked.is_revoked());
    assert_eq!(&*open("bike.example").principal.name, "bike.example");
}

#[test]
fn a_certificate_without_an_entry_is_refused_if_names_must_be_listed() {
    let fixture = Fixture::new();
    let tokens = Some(fixture.folder.path().join("tokens"));
    let certificates = Some(CertificateNames::Listed);
    let settings = AccessSettings { tokens, certificates, jwt: None };
    let access = Access::load(settings).unwrap();
    let refused = |name| match certificate(&access, name) {
        Err(AuthError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refused("other.example").contains("no entry of the token file names"));
    let van = certificate(&access, "van.example").unwrap();
    let token = bearer(&access, fixture.token.as_str()).unwrap();
    assert!(!access.refuses_all_certificates());
    // The token stays, and the names of the certificates are removed.
    fixture.write_tokens(&format!(
        "[[principal]]\nname = 'van'\ntoken_sha256 = ['{}']\n",
        fixture.token.hash()
    ));
    access.reload().unwrap();
    assert!(van.revoked.is_withdrawn() && !token.revoked.is_revoked());
    assert!(refused("van.example").contains("no entry of the token file names"));
    assert!(access.refuses_all_certificates(), "an empty list is a list");
}

#[test]
fn a_uri_and_a_dns_name_with_the_same_text_are_different_names() {
    let fixture = Fixture::new();
    fixture.write_tokens(
        "[[principal]]\nname = 'van'\ncertificate_names = ['van.example', 'spiffe://a/van']\n",
    );
    let access = &fixture.access;
    access.reload().unwrap();
    let name = |uris: &[&str], dns: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let certificate =
            PeerCertificate { uri_names: owned(uris), dns_names: owned(dns), not_after: None };
        let credentials = Credentials { certificate: Some(&certificate), ..Credentials::default() };
        let principal = access.authenticate(&credentials).unwrap().principal;
        (principal.name.to_string(), principal.source)
    };
    let van = ("van".to_owned(), PrincipalSource::Configuration);
    assert_eq!(name(&[], &["van.example"]), van);
    assert_eq!(name(&["spiffe://a/van"], &[]), van);
    assert_eq!(name(&["van.example"], &[]).1, PrincipalSource::CertificateUri);
    assert_eq!(name(&[], &["spiffe://a/van"]).1, PrincipalSource::CertificateDns);
}

#[test]
fn a_change_of_the_quota_ends_sessions_only_if_a_rate_is_lower() {
    let fixture = Fixture::new();
    let Fixture { access, token, .. } = &fixture;
    let quota = |limits: &str| format!("{}[principal.quota]\n{limits}", entry("van", token));
    let reload = |limits: &str| {
        fixture.write_tokens(&quota(limits));
        access.reload().unwrap();
    };
    reload("max_points_per_second = 10\n");
    let sessions =
        || [bearer(access, token.as_str()), certificate(access, "van.example")].map(Result::unwrap);
    let open = sessions();
    reload("max_points_per_second = 20\nmax_streams = 1\nmax_recordings = 2\n");
    assert!(open.iter().all(|session| !session.revoked.is_revoked()));
    for session in sessions() {
        let quota = session.principal.quota;
        assert_eq!((quota.max_points_per_second, quota.max_streams), (Some(20), Some(1)));
    }
    reload("max_points_per_second = 19\n");
    let is_changed =
        |session: &Session| session.revoked.is_revoked() && !session.revoked.is_withdrawn();
    assert!(open.iter().all(is_changed));
    assert!(sessions().iter().all(|session| !session.revoked.is_revoked()));
}
