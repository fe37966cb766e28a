//! Transfers to another account: refused, because one account is served.
//!
//! The operations exist so that a caller learns why, in an exception that the model knows, and so
//! that the attempt is in the trail. No certificate ever becomes PENDING_TRANSFER here.
//!
//! Source: contract core 5.6.

use gateway::{Call, Operation};
use model::{ApiError, CertificateId};
use serde::{Deserialize, Serialize};

use crate::paging::{PageInput, only_page};
use crate::status::{Move, Outcome};
use crate::{Empty, error, store};

pub(crate) fn operations() -> Vec<Operation> {
    let certificate = "cert/{certificateId}";
    vec![
        Operation::write("iot", "TransferCertificate", certificate, transfer),
        Operation::write("iot", "AcceptCertificateTransfer", certificate, end),
        Operation::write("iot", "RejectCertificateTransfer", certificate, end),
        Operation::write("iot", "CancelCertificateTransfer", certificate, end),
        Operation::read("iot", "ListOutgoingCertificates", "*", outgoing),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfCertificate {
    certificate_id: CertificateId,
}

fn transfer(call: &mut Call<'_, '_>, input: OfCertificate) -> Result<Empty, ApiError> {
    let id = &input.certificate_id;
    let (status, _) = store::standing(call.tx, id)?.ok_or_else(|| error::no_certificate(id))?;
    if status.on(Move::Transfer) == Outcome::Refused {
        return Err(error::refused(id, status, Move::Transfer));
    }
    Err(ApiError::invalid(
        "this installation serves one account; a certificate cannot be transferred",
    ))
}

fn end(call: &mut Call<'_, '_>, input: OfCertificate) -> Result<Empty, ApiError> {
    let id = &input.certificate_id;
    store::standing(call.tx, id)?.ok_or_else(|| error::no_certificate(id))?;
    Err(ApiError::invalid(format!(
        "this installation serves one account; certificate {id} is not being transferred"
    )))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing {
    outgoing_certificates: [Empty; 0],
}

fn outgoing(_call: &mut Call<'_, '_>, input: PageInput) -> Result<Outgoing, ApiError> {
    only_page(&input)?;
    Ok(Outgoing {
        outgoing_certificates: [],
    })
}
