use std::sync::Mutex;

use rcgen::KeyPair;
use rustls::client::ResolvesClientCert;
use rustls::{
    AlertDescription, CertificateError, ClientConnection, Error, HandshakeKind, NamedGroup,
    ProtocolVersion, ServerConnection, SignatureScheme,
};
use rustls_pki_types::ServerName;

use super::*;
use crate::authority::{ServerAuthority, Subject};
use crate::key::{KeyKind, generate_key};
use crate::samples::{
    NOW, clock, device_authority, fixture, named, parsed, san_names, server_authority, year,
};

const HOST: &str = "iot.example.com";

/// Answers every question alike and counts them.
#[derive(Debug)]
struct Registry {
    answer: Result<(), Refusal>,
    asked: Mutex<Vec<CertificateId>>,
}

impl Registry {
    fn new(answer: Result<(), Refusal>) -> Arc<Self> {
        Arc::new(Self {
            answer,
            asked: Mutex::new(Vec::new()),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Admission for Registry {
    fn admit(&self, leaf: &CertificateDer<'_>) -> Result<(), Refusal> {
        self.asked.lock().unwrap().push(certificate_id(leaf));
        self.answer
    }
}

/// A host, its authority and one device, from which each test builds its two ends.
struct Scene {
    authority: ServerAuthority,
    device: (String, String),
    device_id: CertificateId,
}

impl Scene {
    fn new(kind: KeyKind) -> Self {
        let key = generate_key(kind).unwrap();
        let device = device_authority()
            .issue(key.public_key(), Subject::Fixed, year())
            .unwrap();
        Self {
            authority: server_authority(&[HOST, "10.0.0.1"]),
            device: (device.pem(), key.pem().unwrap().to_string()),
            device_id: device.id().clone(),
        }
    }

    fn server(&self, client: ClientCertMode) -> ServerSettings {
        let names = san_names(&[HOST, "10.0.0.1", "127.0.0.1"]);
        let issued = self.authority.issue_server(&names, year()).unwrap();
        ServerSettings {
            identity: ServerIdentity::issued(&issued).unwrap(),
            names,
            accept_any_sni: false,
            client,
            policy: SecurityPolicy::default(),
            alpn: Vec::new(),
            clock: clock(),
        }
    }

    fn client(&self, policy: SecurityPolicy, with_identity: bool) -> Arc<ClientConfig> {
        let identity = (self.device.0.as_str(), self.device.1.as_str());
        client_config(ClientSettings {
            roots_pem: &self.authority.certificate().pem(),
            identity: with_identity.then_some(identity),
            send_sni: true,
            policy,
            alpn: Vec::new(),
            clock: clock(),
        })
        .unwrap()
    }
}

/// Both ends after a handshake, or what each of them saw when it failed.
type Outcome = Result<(ClientConnection, ServerConnection), Box<(Option<Error>, Option<Error>)>>;

fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, host: &str) -> Outcome {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let (mut client_error, mut server_error) = (None, None);
    // Nine turns are more than any handshake needs, tickets and alerts included.
    for _ in 0..9 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() && server_error.is_none() {
            server.read_tls(&mut bytes).unwrap();
            server_error = server.process_new_packets().err();
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() && client_error.is_none() {
            client.read_tls(&mut bytes).unwrap();
            client_error = client.process_new_packets().err();
        }
    }
    if client_error.is_some() || server_error.is_some() {
        return Err(Box::new((client_error, server_error)));
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn required(registry: &Arc<Registry>) -> ClientCertMode {
    ClientCertMode::Required(Arc::clone(registry) as Arc<dyn Admission>)
}

fn group(connection: &ServerConnection) -> Option<NamedGroup> {
    connection
        .negotiated_key_exchange_group()
        .map(|group| group.name())
}

// tests aws-iot [EP-10], [EP-11], [EP-16]
#[test]
fn a_device_connects_with_its_leaf_alone() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
        let scene = Scene::new(kind);
        for (policy, version) in [
            (SecurityPolicy::Tls13, ProtocolVersion::TLSv1_3),
            (SecurityPolicy::Tls13And12, ProtocolVersion::TLSv1_3),
            (SecurityPolicy::Tls12, ProtocolVersion::TLSv1_2),
        ] {
            let registry = Registry::new(Ok(()));
            let server = server_config(scene.server(required(&registry))).unwrap();
            let (_, server) = connect(&scene.client(policy, true), &server, HOST).unwrap();
            assert_eq!(server.protocol_version(), Some(version));
            let suite = server.negotiated_cipher_suite().unwrap().suite();
            assert!(
                format!("{suite:?}").contains("AES_128_GCM_SHA256"),
                "{suite:?}"
            );
            let hybrid = version == ProtocolVersion::TLSv1_3;
            let expected = if hybrid {
                NamedGroup::X25519MLKEM768
            } else {
                NamedGroup::X25519
            };
            assert_eq!(group(&server), Some(expected));
            assert_eq!(
                presented_id(server.peer_certificates()),
                Some(scene.device_id.clone())
            );
            assert_eq!(
                registry.asked.lock().unwrap().as_slice(),
                std::slice::from_ref(&scene.device_id)
            );
        }
    }
}

#[test]
fn among_the_groups_both_know_the_clients_order_decides() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let server = server_config(scene.server(ClientCertMode::None)).unwrap();
    for (offered, expected) in [
        (vec![kx_group::SECP384R1], NamedGroup::secp384r1),
        (vec![kx_group::X25519], NamedGroup::X25519),
        (
            vec![kx_group::SECP256R1, kx_group::X25519],
            NamedGroup::secp256r1,
        ),
        (
            vec![kx_group::X25519, kx_group::X25519MLKEM768],
            NamedGroup::X25519,
        ),
        (
            vec![kx_group::X25519MLKEM768, kx_group::X25519],
            NamedGroup::X25519MLKEM768,
        ),
        (
            vec![kx_group::MLKEM768, kx_group::SECP256R1],
            NamedGroup::secp256r1,
        ),
    ] {
        let mut roots = RootCertStore::empty();
        roots
            .add(scene.authority.certificate().der().clone())
            .unwrap();
        let only = CryptoProvider {
            kx_groups: offered,
            ..default_provider()
        };
        let client =
            ClientConfig::builder_with_details(Arc::new(only), Arc::new(TlsClock(clock())))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let (_, server) = connect(&Arc::new(client), &server, HOST).unwrap();
        assert_eq!(group(&server), Some(expected));
    }
}

#[test]
fn a_refusal_reaches_the_client_as_its_alert() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    for policy in [SecurityPolicy::Tls13, SecurityPolicy::Tls12] {
        let check = |refusal, alert| {
            let registry = Registry::new(Err(refusal));
            let server = server_config(scene.server(required(&registry))).unwrap();
            let (client, server) =
                *connect(&scene.client(policy, true), &server, HOST).unwrap_err();
            assert_eq!(client, Some(Error::AlertReceived(alert)), "{refusal:?}");
            assert_eq!(
                server.unwrap().to_string(),
                Error::from(refusal).to_string()
            );
        };
        check(Refusal::Unknown, AlertDescription::CertificateUnknown);
        check(Refusal::Inactive, AlertDescription::CertificateUnknown);
        check(Refusal::Revoked, AlertDescription::CertificateRevoked);
        check(Refusal::Expired, AlertDescription::CertificateExpired);
        check(Refusal::NotYetValid, AlertDescription::CertificateExpired);
        check(Refusal::Malformed, AlertDescription::BadCertificate);
        check(Refusal::Undetermined, AlertDescription::AccessDenied);
    }
}

// tests aws-iot [EP-2]
#[test]
fn a_certificate_is_required_optional_or_never_asked_for() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let registry = Registry::new(Ok(()));
    let optional = ClientCertMode::Optional(Arc::clone(&registry) as Arc<dyn Admission>);
    for policy in [SecurityPolicy::Tls13, SecurityPolicy::Tls12] {
        let check = |mode: &ClientCertMode, with_identity, expected: Option<bool>| {
            let server = server_config(scene.server(mode.clone())).unwrap();
            let found = connect(&scene.client(policy, with_identity), &server, HOST);
            let found = found
                .ok()
                .map(|(_, server)| server.peer_certificates().is_some());
            assert_eq!(found, expected, "{mode:?}, identity {with_identity}");
        };
        check(&required(&registry), true, Some(true));
        check(&required(&registry), false, None);
        check(&optional, true, Some(true));
        check(&optional, false, Some(false));
        check(&ClientCertMode::None, true, Some(false));
        check(&ClientCertMode::None, false, Some(false));
    }
}

// tests aws-iot [EP-14]
#[test]
fn tls_13_resumes_without_asking_again_and_tls_12_does_not() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    for (policy, again, asked) in [
        (SecurityPolicy::Tls13, HandshakeKind::Resumed, 1),
        (SecurityPolicy::Tls12, HandshakeKind::Full, 2),
    ] {
        let registry = Registry::new(Ok(()));
        let server = server_config(scene.server(required(&registry))).unwrap();
        let client = scene.client(policy, true);
        let (_, first) = connect(&client, &server, HOST).unwrap();
        assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
        let (_, second) = connect(&client, &server, HOST).unwrap();
        assert_eq!(second.handshake_kind(), Some(again), "{policy:?}");
        assert_eq!(registry.asked(), asked, "{policy:?}");
        // What the door has to look up again.
        assert_eq!(
            presented_id(second.peer_certificates()),
            Some(scene.device_id.clone())
        );
    }
}

#[test]
fn a_ticket_is_worth_nothing_at_another_listener() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let registry = Registry::new(Ok(()));
    let open = server_config(scene.server(ClientCertMode::None)).unwrap();
    let closed = server_config(scene.server(required(&registry))).unwrap();
    let client = scene.client(SecurityPolicy::Tls13, true);
    connect(&client, &open, HOST).unwrap();
    let (_, server) = connect(&client, &closed, HOST).unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(registry.asked(), 1);
}

// tests aws-iot [EP-12], [EP-13]
#[test]
fn an_unknown_name_fails_the_handshake_and_no_name_does_not() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let check = |host: &str, names: &[&str], any: bool, expected: bool| {
        let settings = ServerSettings {
            names: san_names(names),
            accept_any_sni: any,
            ..scene.server(ClientCertMode::None)
        };
        let server = server_config(settings).unwrap();
        let found = connect(
            &scene.client(SecurityPolicy::Tls13And12, false),
            &server,
            host,
        );
        match found {
            Ok(_) => assert!(expected, "{host}"),
            Err(errors) => {
                assert!(!expected, "{host}");
                let denied = Error::AlertReceived(AlertDescription::AccessDenied);
                assert_eq!(errors.0, Some(denied));
            }
        }
    };
    check(HOST, &[HOST], false, true);
    check("IoT.Example.Com", &[HOST], false, true);
    check("10.0.0.1", &[HOST], false, true);
    check(HOST, &[], false, false);
    check(HOST, &["10.0.0.1"], false, false);
    check(HOST, &[], true, true);
}

// tests aws-iot [EP-17]
#[test]
fn the_certificate_must_cover_the_names() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    for name in ["other.example.com", "10.0.0.2"] {
        let settings = ServerSettings {
            names: san_names(&[name]),
            ..scene.server(ClientCertMode::None)
        };
        let error = server_config(settings).unwrap_err();
        assert!(matches!(&error, TlsError::NameNotCovered { name: found } if found == name));
    }
}

// tests aws-iot [EP-3]
#[test]
fn a_newer_certificate_is_presented_from_the_next_handshake_on() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let settings = scene.server(ClientCertMode::None);
    let identity = settings.identity.clone();
    let server = server_config(settings).unwrap();
    let presented = || {
        let client = scene.client(SecurityPolicy::default(), false);
        let (client, _) = connect(&client, &server, HOST).unwrap();
        client.peer_certificates().unwrap()[0].clone()
    };
    let first = presented();
    let newer = scene.authority.issue_server(&san_names(&[HOST]), year());
    let newer = newer.unwrap();
    identity.replace(&newer).unwrap();
    assert_ne!(presented(), first);
    assert_eq!(presented(), *newer.certificate.der());
}

#[test]
fn the_server_answers_with_the_protocol_it_picked() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let list = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let check = |server: &[&str], client: &[&str], expected: Result<Option<&str>, ()>| {
        let settings = ServerSettings {
            alpn: list(server),
            ..scene.server(ClientCertMode::None)
        };
        let server = server_config(settings).unwrap();
        let mut config = Arc::unwrap_or_clone(scene.client(SecurityPolicy::Tls13, false));
        config.alpn_protocols = list(client);
        let found = connect(&Arc::new(config), &server, HOST).map_err(|_| ());
        let found = found.map(|(_, server)| server.alpn_protocol().map(<[u8]>::to_vec));
        assert_eq!(
            found,
            expected.map(|name| name.map(|name| name.as_bytes().to_vec()))
        );
    };
    check(
        &["x-amzn-mqtt-ca"],
        &["x-amzn-mqtt-ca"],
        Ok(Some("x-amzn-mqtt-ca")),
    );
    check(&["http/1.1", "mqtt"], &["mqtt"], Ok(Some("mqtt")));
    check(&["http/1.1"], &[], Ok(None));
    check(&[], &["x-amzn-mqtt-ca"], Ok(None));
    check(&["http/1.1"], &["h2"], Err(()));
}

#[test]
fn a_client_trusts_the_server_authority_and_its_clock() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let stranger = Scene::new(KeyKind::EcdsaP256);
    let server = server_config(scene.server(ClientCertMode::None)).unwrap();
    let policy = SecurityPolicy::Tls13;
    let refused = |client: &Arc<ClientConfig>| {
        let (error, _) = *connect(client, &server, HOST).unwrap_err();
        let Some(Error::InvalidCertificate(why)) = error else {
            panic!("{error:?}")
        };
        why
    };
    let why = refused(&stranger.client(policy, false));
    assert_eq!(
        why,
        CertificateError::BadSignature,
        "an authority of the same name"
    );

    let late = Arc::new(model::ManualClock::new(
        NOW.after(Duration::from_secs(400 * 86_400)),
    ));
    let client = client_config(ClientSettings {
        roots_pem: &scene.authority.certificate().pem(),
        identity: None,
        send_sni: true,
        policy,
        alpn: Vec::new(),
        clock: late,
    });
    let why = refused(&client.unwrap());
    assert!(
        matches!(why, CertificateError::ExpiredContext { .. }),
        "{why:?}"
    );
}

/// Presents a chain with a key, whether they belong together or not.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn presenting(
    scene: &Scene,
    policy: SecurityPolicy,
    chain: Vec<CertificateDer<'static>>,
    key_pem: &str,
) -> Arc<ClientConfig> {
    let key = provider()
        .key_provider
        .load_private_key(private_key(key_pem).unwrap())
        .unwrap();
    let mut config = Arc::unwrap_or_clone(scene.client(policy, false));
    config.client_auth_cert_resolver = Arc::new(Presents(Arc::new(CertifiedKey::new(chain, key))));
    Arc::new(config)
}

#[test]
fn certificates_of_version_1_connect() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    for (pem, key) in [
        (fixture!("v1-ec.pem"), fixture!("v1-ec.key")),
        (fixture!("v1-rsa.pem"), fixture!("v1-rsa.key")),
    ] {
        for policy in [SecurityPolicy::Tls13, SecurityPolicy::Tls12] {
            let registry = Registry::new(Ok(()));
            let server = server_config(scene.server(required(&registry))).unwrap();
            let leaf = parsed(pem);
            let client = presenting(&scene, policy, vec![leaf.der().clone()], key);
            let (_, server) = connect(&client, &server, HOST).unwrap();
            assert_eq!(
                presented_id(server.peer_certificates()).as_ref(),
                Some(leaf.id())
            );
        }
    }
}

#[test]
fn who_lacks_the_key_is_refused_and_learns_nothing() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let leaf = parsed(&scene.device.0).der().clone();
    let thief = KeyPair::generate().unwrap().serialize_pem();
    for policy in [SecurityPolicy::Tls13, SecurityPolicy::Tls12] {
        for answer in [Ok(()), Err(Refusal::Revoked)] {
            let registry = Registry::new(answer);
            let server = server_config(scene.server(required(&registry))).unwrap();
            let client = presenting(&scene, policy, vec![leaf.clone()], &thief);
            let (client, _) = *connect(&client, &server, HOST).unwrap_err();
            assert_eq!(
                client,
                Some(Error::AlertReceived(AlertDescription::DecryptError))
            );
            assert_eq!(
                registry.asked(),
                0,
                "the registry is asked after the proof only"
            );
        }
    }
}

#[test]
fn a_weak_key_or_an_unreadable_certificate_is_refused() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let key = KeyPair::generate().unwrap();
    let made = named("x").self_signed(&key).unwrap().der().clone();
    let longer = CertificateDer::from([&made[..], &[0]].concat());
    let weak = pem_der(fixture!("rsa-1024.pem"));
    for (leaf, alert) in [
        (longer, AlertDescription::BadCertificate),
        (weak, AlertDescription::BadCertificate),
        (
            CertificateDer::from(vec![0x30]),
            AlertDescription::BadCertificate,
        ),
    ] {
        let registry = Registry::new(Ok(()));
        let server = server_config(scene.server(required(&registry))).unwrap();
        let policy = SecurityPolicy::Tls13;
        let client = presenting(&scene, policy, vec![leaf], &key.serialize_pem());
        let (client, _) = *connect(&client, &server, HOST).unwrap_err();
        assert_eq!(client, Some(Error::AlertReceived(alert)));
        assert_eq!(registry.asked(), 0);
    }
}

fn pem_der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_client_chain_is_bounded_and_a_long_one_does_not_resume() {
    let scene = Scene::new(KeyKind::EcdsaP256);
    let leaf = parsed(&scene.device.0).der().clone();
    let check = |bytes: usize, expected: Option<HandshakeKind>| {
        let filler = CertificateDer::from(vec![0x30; bytes - leaf.len()]);
        let registry = Registry::new(Ok(()));
        let server = server_config(scene.server(required(&registry))).unwrap();
        let chain = vec![leaf.clone(), filler];
        let client = presenting(&scene, SecurityPolicy::Tls13, chain, &scene.device.1);
        let first = connect(&client, &server, HOST);
        assert_eq!(first.is_ok(), expected.is_some(), "{bytes} bytes");
        let second = connect(&client, &server, HOST).ok();
        assert_eq!(
            second.and_then(|(_, server)| server.handshake_kind()),
            expected
        );
    };
    check(4000, Some(HandshakeKind::Resumed));
    check(9000, Some(HandshakeKind::Full));
    check(CLIENT_CHAIN_BYTES_MAX, Some(HandshakeKind::Full));
    check(CLIENT_CHAIN_BYTES_MAX + 1, None);
}

// tests aws-iot [CT-10]
#[test]
fn validity_is_checked_at_both_ends() {
    let (authority, key) = (
        device_authority(),
        generate_key(KeyKind::EcdsaP256).unwrap(),
    );
    let leaf = authority
        .issue(key.public_key(), Subject::Fixed, year())
        .unwrap();
    let check = |seconds: i64, expected| {
        let found = Lifetime::of(leaf.der())
            .unwrap()
            .check(model::Timestamp::from_seconds(seconds));
        assert_eq!(found, expected, "{seconds}");
    };
    let (begin, end) = (leaf.not_before().seconds(), leaf.not_after().seconds());
    check(begin - 1, Err(Refusal::NotYetValid));
    check(begin, Ok(()));
    check(end, Ok(()));
    check(end + 1, Err(Refusal::Expired));
    let unreadable = CertificateDer::from(vec![0x30, 0x00]);
    assert_eq!(Lifetime::of(&unreadable), Err(Refusal::Malformed));
}

// tests aws-iot [EP-10]
#[test]
fn security_policies_go_by_their_names() {
    for policy in SecurityPolicy::ALL {
        assert_eq!(SecurityPolicy::parse(policy.as_str()), Some(policy));
    }
    assert_eq!(
        SecurityPolicy::default().as_str(),
        "IoTSecurityPolicy_TLS13_1_2_2022_10"
    );
    assert_eq!(
        SecurityPolicy::parse("iotsecuritypolicy_tls13_1_2_2022_10"),
        None
    );

    let scene = Scene::new(KeyKind::EcdsaP256);
    let (tls13, tls12) = (SecurityPolicy::Tls13, SecurityPolicy::Tls12);
    for (server, client, expected) in [
        (tls13, tls12, None),
        (tls12, tls13, None),
        (
            SecurityPolicy::Tls12Of2015,
            SecurityPolicy::default(),
            Some(ProtocolVersion::TLSv1_2),
        ),
        (
            SecurityPolicy::Tls12Of2016,
            SecurityPolicy::default(),
            Some(ProtocolVersion::TLSv1_2),
        ),
        (
            SecurityPolicy::default(),
            tls12,
            Some(ProtocolVersion::TLSv1_2),
        ),
    ] {
        let settings = ServerSettings {
            policy: server,
            ..scene.server(ClientCertMode::None)
        };
        let config = server_config(settings).unwrap();
        let found = connect(&scene.client(client, false), &config, HOST).ok();
        let found = found.and_then(|(_, server)| server.protocol_version());
        assert_eq!(found, expected, "{server:?} with {client:?}");
    }
}

// tests aws-iot [EP-17]
#[test]
fn a_server_identity_is_checked_when_it_is_read() {
    #[track_caller]
    fn check(chain_pem: &str, key_pem: &str, expected: Result<(), &str>) {
        let found = ServerIdentity::parse_pem(chain_pem, key_pem).map(|_| ());
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }
    let authority = server_authority(&[HOST]);
    let server = authority.issue_server(&san_names(&[HOST]), year()).unwrap();
    let (pem, key) = (server.certificate.pem(), server.key.pem().unwrap());
    let root = authority.certificate().pem();
    check(&pem, &key, Ok(()));
    check(&format!("{pem}{root}"), &key, Ok(()));
    check(&format!("{pem}{}", root.repeat(4)), &key, Ok(()));
    let bytes = server.certificate.der().len() + 5 * authority.certificate().der().len();
    let too_long =
        format!("TLS: a chain of 6 certificates and {bytes} bytes; 1 to 5 and 16384 at most");
    check(&format!("{pem}{}", root.repeat(5)), &key, Err(&too_long));
    check(
        "",
        &key,
        Err("TLS: no complete `-----BEGIN CERTIFICATE-----` block"),
    );
    let no_key = "TLS: the private key is not one PEM block of PKCS #1, PKCS #8 or SEC 1";
    check(&pem, &pem, Err(no_key));
    let not_for_servers = "TLS: the server's certificate needs extended key usage serverAuth";
    check(fixture!("every-attribute.pem"), &key, Err(not_for_servers));
    let other = KeyPair::generate().unwrap().serialize_pem();
    check(
        &pem,
        &other,
        Err("TLS: keys may not be consistent: KeyMismatch"),
    );
}
