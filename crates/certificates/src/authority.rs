//! The operations on certificate authorities that sign devices' certificates.
//!
//! Registering one in mode DEFAULT proves that its key is at hand: the registration code comes
//! back as the common name of a certificate that the authority signed. An authority lets new
//! certificates in; those already in do not need it any more.
//!
//! Source: contract core 5.3.

use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, CertificateId, Timestamp};
use pki::{Certificate, VerifyError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::read_pem;
use crate::mode::Mode;
use crate::paging::{self, PageInput};
use crate::store::{AuthorityEntry, AuthoritySummary, StoredAuthority};
use crate::{Empty, Ports, Tags, error, store};

/// Most registered authorities with one subject, in both profiles: each of them may cost a
/// signature check when an unknown certificate of that issuer is shown.
// spec aws-iot [CT-21]
pub(crate) const SAME_SUBJECT_MAX: u16 = 10;

const AUTHORITY: &str = "cacert/{certificateId}";

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let tags = Arc::clone(&ports.tags);
    let forgotten_tags = Arc::clone(&ports.tags);
    vec![
        Operation::write(
            "iot",
            "RegisterCACertificate",
            "*",
            move |call, input: Register| register(call, &input, &*tags),
        ),
        Operation::write("iot", "UpdateCACertificate", AUTHORITY, update).containment(),
        Operation::write(
            "iot",
            "DeleteCACertificate",
            AUTHORITY,
            move |call, input: OfAuthority| delete(call, &input, &*forgotten_tags),
        ),
        Operation::read("iot", "DescribeCACertificate", AUTHORITY, describe),
        Operation::read("iot", "ListCACertificates", "*", list),
    ]
}

/// Whether an authority lets certificates in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AuthorityStatus {
    Active,
    Inactive,
}

impl AuthorityStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Inactive]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Whether an authority introduces certificates that devices show for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AutoRegistration {
    Enable,
    Disable,
}

impl AutoRegistration {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "ENABLE",
            Self::Disable => "DISABLE",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Enable, Self::Disable]
            .into_iter()
            .find(|switch| switch.as_str() == text)
    }
}

/// The stored authority's certificate, read again.
pub(crate) fn certificate_of(stored: &StoredAuthority) -> Result<Certificate, ApiError> {
    Certificate::parse_pem(&stored.pem).map_err(ApiError::internal)
}

/// `A:cacert/{id}`.
fn arn(call: &Call<'_, '_>, id: &CertificateId) -> String {
    call.scope.iot_arn(&format!("cacert/{id}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Register {
    ca_certificate: String,
    verification_certificate: Option<String>,
    #[serde(default)]
    set_as_active: bool,
    #[serde(default)]
    allow_auto_registration: bool,
    registration_config: Option<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    certificate_mode: Mode,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    certificate_arn: String,
    certificate_id: CertificateId,
}

fn register(
    call: &mut Call<'_, '_>,
    input: &Register,
    tags: &dyn Tags,
) -> Result<Registered, ApiError> {
    no_template(input.registration_config.as_ref())?;
    let certificate = read_pem("caCertificate", &input.ca_certificate)?;
    // spec aws-iot [CT-23]
    pki::require_ca(&certificate)
        .map_err(|error| error::validation(format!("caCertificate: {error}")))?;
    verify_possession(call, input, &certificate)?;
    let id = certificate.id();
    let certificate_arn = arn(call, id);
    check_room(call, &certificate)?;
    // spec aws-iot [CT-24]
    let entry = AuthorityEntry {
        certificate: &certificate,
        status: if input.set_as_active {
            AuthorityStatus::Active
        } else {
            AuthorityStatus::Inactive
        },
        auto_registration: if input.allow_auto_registration {
            AutoRegistration::Enable
        } else {
            AutoRegistration::Disable
        },
        mode: input.certificate_mode,
    };
    store::insert_authority(call.tx, &entry)?;
    if !input.tags.is_empty() {
        let pairs: Vec<(String, String)> = input
            .tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone()))
            .collect();
        tags.put(call.tx, &certificate_arn, &pairs)?;
    }
    Ok(Registered {
        certificate_arn,
        certificate_id: id.clone(),
    })
}

/// Refuses a provisioning template, rather than storing one that nothing would run.
fn no_template(registration_config: Option<&Value>) -> Result<(), ApiError> {
    match registration_config {
        Some(_) => Err(ApiError::invalid(
            "registrationConfig: provisioning templates are not served; leave it out",
        )),
        None => Ok(()),
    }
}

/// In mode DEFAULT the owner proves to hold the key; in SNI_ONLY there is nothing to prove.
// spec aws-iot [CT-21]
// spec aws-iot [CT-22]
fn verify_possession(
    call: &mut Call<'_, '_>,
    input: &Register,
    certificate: &Certificate,
) -> Result<(), ApiError> {
    let verification = match (input.certificate_mode, &input.verification_certificate) {
        (Mode::SniOnly, None) => return Ok(()),
        (Mode::SniOnly, Some(_)) => {
            return Err(ApiError::invalid(
                "verificationCertificate is not allowed when certificateMode is SNI_ONLY",
            ));
        }
        (Mode::Default, None) => {
            return Err(ApiError::invalid(
                "verificationCertificate is required when certificateMode is DEFAULT",
            ));
        }
        (Mode::Default, Some(pem)) => read_pem("verificationCertificate", pem)?,
    };
    let code = store::registration_code(call.tx)?.ok_or_else(|| {
        error::registration_code("there is no registration code; GetRegistrationCode makes one")
    })?;
    pki::verify_registration(&verification, certificate, &code).map_err(|error| {
        let message = format!("verificationCertificate: {error}");
        match error {
            VerifyError::NotTheRegistrationCode => error::registration_code(message),
            VerifyError::NotCa { .. }
            | VerifyError::OtherIssuer { .. }
            | VerifyError::Signature { .. } => error::validation(message),
        }
    })
}

fn check_room(call: &mut Call<'_, '_>, certificate: &Certificate) -> Result<(), ApiError> {
    let id = certificate.id();
    let named =
        store::authorities_named(call.tx, certificate.subject(), i64::from(SAME_SUBJECT_MAX))?;
    for authority in &named {
        let known = &authority.certificate_id;
        let message = if known == id {
            format!("CA certificate {id} is already registered")
        } else if certificate_of(authority)?.signed_digest() == certificate.signed_digest() {
            format!("the same CA certificate, with another signature, is registered as {known}")
        } else {
            continue;
        };
        let arn = arn(call, known);
        return Err(ApiError::already_exists(message, known.as_str(), &arn));
    }
    if usize::from(SAME_SUBJECT_MAX) <= named.len() {
        return Err(ApiError::limit_exceeded(format!(
            "{SAME_SUBJECT_MAX} CA certificates with the subject `{}` are registered; that is \
             the limit",
            certificate.subject().excerpt()
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    certificate_id: CertificateId,
    new_status: Option<AuthorityStatus>,
    new_auto_registration_status: Option<AutoRegistration>,
    registration_config: Option<Value>,
    #[serde(default)]
    remove_auto_registration: bool,
}

// spec aws-iot [CT-26]
fn update(call: &mut Call<'_, '_>, input: Update) -> Result<Empty, ApiError> {
    no_template(input.registration_config.as_ref())?;
    let wanted = match (
        input.new_auto_registration_status,
        input.remove_auto_registration,
    ) {
        (Some(AutoRegistration::Enable), true) => {
            return Err(ApiError::invalid(
                "newAutoRegistrationStatus ENABLE and removeAutoRegistration contradict",
            ));
        }
        (_, true) => Some(AutoRegistration::Disable),
        (wanted, false) => wanted,
    };
    let stored = known(call, &input.certificate_id)?;
    let status = input.new_status.unwrap_or(stored.status);
    let auto_registration = wanted.unwrap_or(stored.auto_registration);
    if (status, auto_registration) != (stored.status, stored.auto_registration) {
        store::set_authority(call.tx, &stored.certificate_id, status, auto_registration)?;
    }
    Ok(Empty {})
}

fn known(call: &mut Call<'_, '_>, id: &CertificateId) -> Result<StoredAuthority, ApiError> {
    store::authority(call.tx, id)?.ok_or_else(|| error::no_authority(id))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfAuthority {
    certificate_id: CertificateId,
}

/// The certificates it let in stay as they are.
// spec aws-iot [CT-25]
fn delete(
    call: &mut Call<'_, '_>,
    input: &OfAuthority,
    tags: &dyn Tags,
) -> Result<Empty, ApiError> {
    let stored = known(call, &input.certificate_id)?;
    let id = &stored.certificate_id;
    if stored.status == AuthorityStatus::Active {
        return Err(error::state(format!(
            "CA certificate {id} is ACTIVE; set it to INACTIVE before deleting it"
        )));
    }
    store::delete_authority(call.tx, id)?;
    // The same certificate may be registered again, under the same ARN.
    let arn = arn(call, id);
    tags.clear(call.tx, &arn)?;
    Ok(Empty {})
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
    status: AuthorityStatus,
    certificate_pem: String,
    owned_by: String,
    creation_date: f64,
    auto_registration_status: AutoRegistration,
    last_modified_date: f64,
    customer_version: i64,
    generation_id: String,
    validity: ValidityOutput,
    certificate_mode: Mode,
}

/// From when to when a certificate is valid, as the API writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ValidityOutput {
    not_before: f64,
    not_after: f64,
}

impl ValidityOutput {
    pub(crate) fn new(not_before: Timestamp, not_after: Timestamp) -> Self {
        Self {
            not_before: not_before.epoch_seconds(),
            not_after: not_after.epoch_seconds(),
        }
    }
}

fn describe(call: &mut Call<'_, '_>, input: OfAuthority) -> Result<Described, ApiError> {
    let stored = known(call, &input.certificate_id)?;
    let certificate_description = Description {
        certificate_arn: arn(call, &stored.certificate_id),
        certificate_id: stored.certificate_id,
        status: stored.status,
        certificate_pem: stored.pem,
        owned_by: call.scope.account.to_string(),
        creation_date: stored.created_at.epoch_seconds(),
        auto_registration_status: stored.auto_registration,
        last_modified_date: stored.modified_at.epoch_seconds(),
        customer_version: stored.customer_version,
        generation_id: stored.generation_id,
        validity: ValidityOutput::new(stored.not_before, stored.not_after),
        certificate_mode: stored.mode,
    };
    Ok(Described {
        certificate_description,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    template_name: Option<String>,
    #[serde(flatten)]
    page: PageInput,
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
    status: AuthorityStatus,
    creation_date: f64,
}

fn list(call: &mut Call<'_, '_>, input: List) -> Result<Page, ApiError> {
    if input.template_name.is_some() {
        return Err(ApiError::invalid(
            "templateName: provisioning templates are not served; leave it out",
        ));
    }
    let (found, next_marker) = paging::page(
        call.tx,
        "ListCACertificates",
        &input.page,
        store::authorities,
    )?;
    let listing = |item: AuthoritySummary| Listing {
        certificate_arn: arn(call, &item.certificate_id),
        certificate_id: item.certificate_id,
        status: item.status,
        creation_date: item.created_at.epoch_seconds(),
    };
    Ok(Page {
        certificates: found.into_iter().map(listing).collect(),
        next_marker,
    })
}
