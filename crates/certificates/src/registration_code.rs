//! The registration code: what a verification certificate must carry as its common name.
//!
//! One per account, made when first asked for and the same until it is deleted. It is a challenge
//! and not a secret: knowing it proves nothing, signing it with an authority's key does.
//!
//! Source: contract core `[CT-20]`.

use gateway::{Call, Operation};
use model::{ApiError, random_hex};
use serde::Serialize;

use crate::{Empty, store};

const CODE_BYTES: usize = 32;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        // It reads in name only: the first call makes the code.
        Operation::write("iot", "GetRegistrationCode", "*", code),
        Operation::write("iot", "DeleteRegistrationCode", "*", delete),
    ]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    registration_code: String,
}

// spec aws-iot [CT-20]: 64 hexadecimal characters, stable until deleted.
fn code(call: &mut Call<'_, '_>, _input: Empty) -> Result<Code, ApiError> {
    if let Some(registration_code) = store::registration_code(call.tx)? {
        return Ok(Code { registration_code });
    }
    let registration_code = random_hex::<CODE_BYTES>();
    store::insert_registration_code(call.tx, &registration_code)?;
    Ok(Code { registration_code })
}

fn delete(call: &mut Call<'_, '_>, _input: Empty) -> Result<Empty, ApiError> {
    if store::delete_registration_code(call.tx)? {
        Ok(Empty {})
    } else {
        Err(ApiError::not_found(
            "there is no registration code; GetRegistrationCode makes one",
        ))
    }
}
