//! The operations on device certificates.
//!
//! A certificate is issued by our own authority, for a key made here or for a request, or it is
//! registered. Registering takes any validity: whether a certificate has expired is asked when it
//! is used, by the TLS door (contract core `[CT-10]`).
//!
//! Source: contract core 5.1, 5.2 and 5.4.

use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, CertificateId};
use pki::authority::{DeviceAuthority, IssueError, Subject, Validity};
use pki::{Certificate, Csr, PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};

use crate::clash::{self, Clash};
use crate::mode::Mode;
use crate::paging::{self, PageInput};
use crate::status::{Move, Outcome, RequestedStatus, Status};
use crate::store::{CertificateSummary, Entry, StoredAuthority, StoredCertificate};
use crate::{Attachments, Empty, Ports, authority, error, store};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let mut operations = Vec::from(issuing(ports));
    let attachments = Arc::clone(&ports.attachments);
    operations.extend([
        Operation::write("iot", "RegisterCertificate", "*", register),
        Operation::write(
            "iot",
            "RegisterCertificateWithoutCA",
            "*",
            register_without_ca,
        ),
        Operation::write("iot", "UpdateCertificate", CERTIFICATE, update).containment(),
        Operation::write(
            "iot",
            "DeleteCertificate",
            CERTIFICATE,
            move |call, input| delete(call, &input, &*attachments),
        )
        .containment(),
        Operation::read("iot", "DescribeCertificate", CERTIFICATE, describe),
        Operation::read("iot", "ListCertificates", "*", list),
        Operation::read("iot", "ListCertificatesByCA", "*", list_by_authority),
    ]);
    operations
}

const CERTIFICATE: &str = "cert/{certificateId}";

fn issuing(ports: &Ports) -> [Operation; 2] {
    let kind = ports.keys;
    let signer = Arc::clone(&ports.authority);
    let for_key = Operation::prepared_write(
        "iot",
        "CreateKeysAndCertificate",
        "*",
        // An RSA key takes longer than every other write together may wait for.
        move |_: &CreateKeys| pki::generate_key(kind).map_err(ApiError::internal),
        move |call, input: CreateKeys, key: &PrivateKey| create_keys(call, &input, key, &signer),
    );
    let signer = Arc::clone(&ports.authority);
    let for_request = Operation::write(
        "iot",
        "CreateCertificateFromCsr",
        "*",
        move |call, input: CreateFromCsr| create_from_csr(call, &input, &signer),
    );
    [for_key, for_request]
}

/// `A:cert/{id}`.
pub(crate) fn arn(call: &Call<'_, '_>, id: &CertificateId) -> String {
    call.scope.iot_arn(&format!("cert/{id}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateKeys {
    #[serde(default)]
    set_as_active: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeysAndCertificate {
    #[serde(flatten)]
    issued: Issued,
    key_pair: KeyPair,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    certificate_arn: String,
    certificate_id: CertificateId,
    certificate_pem: String,
}

// spec aws-iot [HT-12]: capital letters.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyPair {
    public_key: String,
    private_key: String,
}

fn create_keys(
    call: &mut Call<'_, '_>,
    input: &CreateKeys,
    key: &PrivateKey,
    signer: &DeviceAuthority,
) -> Result<KeysAndCertificate, ApiError> {
    let public = key.public_key();
    let issued = issue(call, signer, public, Subject::Fixed, input.set_as_active)?;
    let private = key.pem().map_err(ApiError::internal)?;
    let key_pair = KeyPair {
        public_key: public.pem(),
        private_key: private.as_str().to_owned(),
    };
    Ok(KeysAndCertificate { issued, key_pair })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateFromCsr {
    certificate_signing_request: String,
    #[serde(default)]
    set_as_active: bool,
}

fn create_from_csr(
    call: &mut Call<'_, '_>,
    input: &CreateFromCsr,
    signer: &DeviceAuthority,
) -> Result<Issued, ApiError> {
    let csr = Csr::parse_pem(&input.certificate_signing_request)
        .map_err(|error| ApiError::invalid(format!("certificateSigningRequest: {error}")))?;
    let subject = Subject::Requested(csr.subject());
    issue(call, signer, csr.public_key(), subject, input.set_as_active)
}

// spec aws-iot [CT-3]
fn issue(
    call: &mut Call<'_, '_>,
    signer: &DeviceAuthority,
    key: &PublicKey,
    subject: Subject<'_>,
    active: bool,
) -> Result<Issued, ApiError> {
    let certificate = Validity::device_default(call.now())
        .and_then(|validity| signer.issue(key, subject, validity))
        .map_err(|error: IssueError| ApiError::internal(error))?;
    let entry = Entry {
        certificate: &certificate,
        authority: None,
        status: initial(active),
        mode: Mode::Default,
    };
    store::insert_certificate(call.tx, &entry)?;
    Ok(Issued {
        certificate_arn: arn(call, certificate.id()),
        certificate_id: certificate.id().clone(),
        certificate_pem: certificate.pem(),
    })
}

fn initial(active: bool) -> Status {
    if active {
        Status::Active
    } else {
        Status::Inactive
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Register {
    certificate_pem: String,
    ca_certificate_pem: Option<String>,
    #[serde(default)]
    set_as_active: bool,
    status: Option<RequestedStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    certificate_arn: String,
    certificate_id: CertificateId,
}

fn register(call: &mut Call<'_, '_>, input: Register) -> Result<Registered, ApiError> {
    let status = match input.status {
        Some(requested) => requested.initial()?,
        None => initial(input.set_as_active),
    };
    let certificate = read_pem("certificatePem", &input.certificate_pem)?;
    let (authority, mode) = signer_of(call, &certificate, input.ca_certificate_pem.as_deref())?;
    let entry = Entry {
        certificate: &certificate,
        authority: Some(&authority),
        status,
        mode,
    };
    enter(call, &entry)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterWithoutCa {
    certificate_pem: String,
    status: Option<RequestedStatus>,
}

fn register_without_ca(
    call: &mut Call<'_, '_>,
    input: RegisterWithoutCa,
) -> Result<Registered, ApiError> {
    let status = match input.status {
        Some(requested) => requested.initial()?,
        None => Status::Inactive,
    };
    let certificate = read_pem("certificatePem", &input.certificate_pem)?;
    let entry = Entry {
        certificate: &certificate,
        authority: None,
        status,
        mode: Mode::SniOnly,
    };
    enter(call, &entry)
}

pub(crate) fn read_pem(member: &str, text: &str) -> Result<Certificate, ApiError> {
    Certificate::parse_pem(text).map_err(|error| error::validation(format!("{member}: {error}")))
}

/// The registered, active authority that signed `certificate`, with its mode: the one named, or
/// the only one of that name.
fn signer_of(
    call: &mut Call<'_, '_>,
    certificate: &Certificate,
    named: Option<&str>,
) -> Result<(Certificate, Mode), ApiError> {
    let signer = match named {
        Some(pem) => {
            let id = read_pem("caCertificatePem", pem)?.id().clone();
            let unknown = || error::validation(format!("CA certificate {id} is not registered"));
            store::authority(call.tx, &id)?.ok_or_else(unknown)?
        }
        None => only_authority_named(call, certificate.issuer())?,
    };
    let authority = authority::certificate_of(&signer)?;
    pki::verify_issued_by(certificate, &authority)
        .map_err(|error| error::validation(format!("certificatePem: {error}")))?;
    // spec aws-iot [CT-25]: an inactive authority lets nothing new in.
    if signer.status == authority::AuthorityStatus::Inactive {
        return Err(error::state(format!(
            "CA certificate {} is INACTIVE; set it to ACTIVE to register certificates it signed",
            signer.certificate_id
        )));
    }
    Ok((authority, signer.mode))
}

fn only_authority_named(
    call: &mut Call<'_, '_>,
    name: &pki::Name,
) -> Result<StoredAuthority, ApiError> {
    let mut named = store::authorities_named(call.tx, name, 2)?;
    match (named.pop(), named.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(error::ambiguous_authority(format!(
            "several registered CA certificates have the subject `{}`; \
             say with caCertificatePem which one signed",
            name.excerpt()
        ))),
        (None, _) => Err(error::validation(format!(
            "no registered CA certificate has the subject `{}`, which certificatePem names \
             as its issuer",
            name.excerpt()
        ))),
    }
}

fn enter(call: &mut Call<'_, '_>, entry: &Entry<'_>) -> Result<Registered, ApiError> {
    let id = entry.certificate.id();
    let certificate_arn = arn(call, id);
    if store::standing(call.tx, id)?.is_some() {
        let message = format!("certificate {id} is already registered");
        return Err(ApiError::already_exists(
            message,
            id.as_str(),
            &certificate_arn,
        ));
    }
    match clash::find(call.tx, entry.certificate, entry.authority)? {
        None => (),
        // What comes in REVOKED may share its key with what is.
        Some(Clash::RevokedKey(_)) if entry.status == Status::Revoked => (),
        Some(clash) => return Err(error::clash(&clash, |id| arn(call, id))),
    }
    store::insert_certificate(call.tx, entry)?;
    Ok(Registered {
        certificate_arn,
        certificate_id: id.clone(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    certificate_id: CertificateId,
    new_status: RequestedStatus,
}

fn update(call: &mut Call<'_, '_>, input: Update) -> Result<Empty, ApiError> {
    let wanted = input.new_status.wanted()?;
    let id = &input.certificate_id;
    let (status, _) = store::standing(call.tx, id)?.ok_or_else(|| error::no_certificate(id))?;
    match status.on(wanted) {
        Outcome::Becomes(next) => store::set_status(call.tx, id, next)?,
        Outcome::Stays => (),
        Outcome::Removed | Outcome::Refused => return Err(error::refused(id, status, wanted)),
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delete {
    certificate_id: CertificateId,
    #[serde(default)]
    force_delete: bool,
}

// spec aws-iot [CT-32]
fn delete(
    call: &mut Call<'_, '_>,
    input: &Delete,
    attachments: &dyn Attachments,
) -> Result<Empty, ApiError> {
    let id = &input.certificate_id;
    let (status, _) = store::standing(call.tx, id)?.ok_or_else(|| error::no_certificate(id))?;
    if status.on(Move::Delete) != Outcome::Removed {
        return Err(error::refused(id, status, Move::Delete));
    }
    let arn = arn(call, id);
    if attachments.has_things(call.tx, &arn)? {
        return Err(ApiError::delete_conflict(format!(
            "things are attached to certificate {id}; detach them first"
        )));
    }
    if attachments.has_policies(call.tx, &arn)? {
        if !input.force_delete {
            return Err(ApiError::delete_conflict(format!(
                "policies are attached to certificate {id}; detach them first or set forceDelete"
            )));
        }
        attachments.detach_all_policies(call.tx, &arn)?;
    }
    store::delete_certificate(call.tx, id)?;
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Describe {
    certificate_id: CertificateId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    certificate_description: Description,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    certificate_arn: String,
    certificate_id: CertificateId,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_certificate_id: Option<CertificateId>,
    status: Status,
    certificate_pem: String,
    owned_by: String,
    creation_date: f64,
    last_modified_date: f64,
    customer_version: i64,
    generation_id: String,
    validity: authority::ValidityOutput,
    certificate_mode: Mode,
}

fn describe(call: &mut Call<'_, '_>, input: Describe) -> Result<Described, ApiError> {
    let id = &input.certificate_id;
    let stored: StoredCertificate =
        store::certificate(call.tx, id)?.ok_or_else(|| error::no_certificate(id))?;
    let certificate_description = Description {
        certificate_arn: arn(call, id),
        certificate_id: stored.certificate_id,
        ca_certificate_id: stored.authority,
        status: stored.status,
        certificate_pem: stored.pem,
        owned_by: call.scope.account.to_string(),
        creation_date: stored.created_at.epoch_seconds(),
        last_modified_date: stored.modified_at.epoch_seconds(),
        customer_version: stored.customer_version,
        generation_id: stored.generation_id,
        validity: authority::ValidityOutput::new(stored.not_before, stored.not_after),
        certificate_mode: stored.mode,
    };
    Ok(Described {
        certificate_description,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    certificates: Vec<Listing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    certificate_arn: String,
    certificate_id: CertificateId,
    status: Status,
    certificate_mode: Mode,
    creation_date: f64,
}

fn list(call: &mut Call<'_, '_>, input: PageInput) -> Result<Page, ApiError> {
    let found = paging::page(call.tx, "ListCertificates", &input, store::certificates)?;
    Ok(listed(call, found))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListByAuthority {
    ca_certificate_id: CertificateId,
    #[serde(flatten)]
    page: PageInput,
}

/// An authority that is not registered has an empty list: the operation models no other answer,
/// and the certificates of a deleted authority can still be found.
fn list_by_authority(call: &mut Call<'_, '_>, input: ListByAuthority) -> Result<Page, ApiError> {
    let authority = &input.ca_certificate_id;
    let list = format!("ListCertificatesByCA {authority}");
    let found = paging::page(call.tx, &list, &input.page, |tx, window| {
        store::certificates_of_authority(tx, authority, window)
    })?;
    Ok(listed(call, found))
}

fn listed(
    call: &Call<'_, '_>,
    (found, next_marker): (Vec<CertificateSummary>, Option<String>),
) -> Page {
    let listing = |item: CertificateSummary| Listing {
        certificate_arn: arn(call, &item.certificate_id),
        certificate_id: item.certificate_id,
        status: item.status,
        certificate_mode: item.mode,
        creation_date: item.created_at.epoch_seconds(),
    };
    Page {
        certificates: found.into_iter().map(listing).collect(),
        next_marker,
    }
}
