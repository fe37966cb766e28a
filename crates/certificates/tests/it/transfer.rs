use serde_json::json;

use crate::world::each_world;

#[test]
fn transfers_are_refused_as_modelled() {
    each_world(|world| {
        let (invalid, state, missing) = (
            "InvalidRequestException",
            "CertificateStateException",
            "ResourceNotFoundException",
        );
        for (status, operation, exception) in [
            ("INACTIVE", "TransferCertificate", invalid),
            ("ACTIVE", "TransferCertificate", state),
            ("REVOKED", "TransferCertificate", state),
            ("INACTIVE", "AcceptCertificateTransfer", invalid),
            ("INACTIVE", "RejectCertificateTransfer", invalid),
            ("INACTIVE", "CancelCertificateTransfer", invalid),
        ] {
            let certificate_id = world.certificate(status);
            for (certificate_id, exception) in [
                (certificate_id.clone(), exception),
                ("0".repeat(64), missing),
            ] {
                let mut input = json!({"certificateId": certificate_id});
                if operation == "TransferCertificate" {
                    input["targetAwsAccount"] = json!("444455556666");
                }
                world.refused(operation, input, exception, &certificate_id[..0]);
            }
            assert_eq!(world.status(&certificate_id), status);
        }
        let outgoing = world.ok("ListOutgoingCertificates", json!({}));
        assert_eq!(outgoing, json!({"outgoingCertificates": []}));
    });
}
