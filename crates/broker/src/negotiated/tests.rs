use super::*;

const HYBRID: Negotiated = Negotiated {
    version: TlsVersion::Tls13,
    group: KeyExchange::X25519MlKem768,
    resumed: false,
};

fn shown(tally: &Tally) -> String {
    let metrics = Metrics::new();
    let exported = TlsMetrics::default();
    exported.register(&metrics);
    exported.set(tally);
    metrics.render().expect("metrics are rendered")
}

#[test]
fn connections_are_counted_by_what_they_agreed_on() {
    let older = Negotiated {
        version: TlsVersion::Tls12,
        group: KeyExchange::Secp256r1,
        ..HYBRID
    };
    let resumed = Negotiated {
        resumed: true,
        ..HYBRID
    };
    let mut tally = Tally::default();
    for one in [HYBRID, resumed, resumed, older] {
        tally.begin(one);
    }
    tally.end(HYBRID);
    tally.end(older);
    let text = shown(&tally);
    for line in [
        r#"broker_tls_connections{tls_version="TLSv1_3",group="X25519MLKEM768"} 2"#,
        r#"broker_tls_handshakes_total{tls_version="TLSv1_3",group="X25519MLKEM768"} 3"#,
        r#"broker_tls_resumptions_total{tls_version="TLSv1_3",group="X25519MLKEM768"} 2"#,
        r#"broker_tls_connections{tls_version="TLSv1_2",group="secp256r1"} 0"#,
        r#"broker_tls_handshakes_total{tls_version="TLSv1_2",group="secp256r1"} 1"#,
        r#"broker_tls_connections{tls_version="TLSv1_3",group="X25519"} 0"#,
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
}

#[test]
fn every_combination_is_there_from_the_start() {
    let text = shown(&Tally::default());
    let series = text
        .lines()
        .filter(|line| line.starts_with("broker_tls_connections{"));
    assert_eq!(
        series.count(),
        TlsVersion::ALL.len() * KeyExchange::ALL.len()
    );
}
