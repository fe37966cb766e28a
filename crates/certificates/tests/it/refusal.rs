use serde_json::json;

use crate::world::{each_world, nobody};

// Whoever may do nothing learns which resource a policy would have to name, and nothing else.
#[test]
fn every_operation_asks_for_its_resource() {
    each_world(|world| {
        let id = "0".repeat(64);
        let certificate = world.arn(&format!("cert/{id}"));
        let authority = world.arn(&format!("cacert/{id}"));
        for (operation, resource) in [
            ("AcceptCertificateTransfer", certificate.as_str()),
            ("CancelCertificateTransfer", &certificate),
            ("CreateCertificateFromCsr", "*"),
            ("CreateKeysAndCertificate", "*"),
            ("DeleteCACertificate", &authority),
            ("DeleteCertificate", &certificate),
            ("DeleteRegistrationCode", "*"),
            ("DescribeCACertificate", &authority),
            ("DescribeCertificate", &certificate),
            ("GetRegistrationCode", "*"),
            ("ListCACertificates", "*"),
            ("ListCertificates", "*"),
            ("ListCertificatesByCA", "*"),
            ("ListOutgoingCertificates", "*"),
            ("RegisterCACertificate", "*"),
            ("RegisterCertificate", "*"),
            ("RegisterCertificateWithoutCA", "*"),
            ("RejectCertificateTransfer", &certificate),
            ("TransferCertificate", &certificate),
            ("UpdateCACertificate", &authority),
            ("UpdateCertificate", &certificate),
        ] {
            let input = json!({"certificateId": id});
            let error = world
                .call(&nobody(), operation, input)
                .expect_err(operation);
            assert_eq!(error.exception, "AccessDeniedException", "{operation}");
            let asked = format!("iot:{operation} on resource: {resource}");
            assert!(error.message.contains(&asked), "{asked}: {}", error.message);
        }
    });
}
