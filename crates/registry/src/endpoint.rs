//! `DescribeEndpoint`: which hosts devices connect to.
//!
//! Source: contract core 1.3.

use gateway::{Call, Operation};
use model::ApiError;
use serde::{Deserialize, Serialize};

use crate::Ports;

/// The hosts that devices connect to: names without scheme and, unless an operator turned that
/// on, without port (`[EP-21]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// MQTT and HTTPS data plane.
    pub data: String,
    /// Credentials provider.
    pub credentials: String,
    /// Jobs data plane.
    pub jobs: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeEndpoint {
    endpoint_type: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedEndpoint {
    endpoint_address: String,
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let endpoints = ports.endpoints.clone();
    vec![Operation::read(
        "iot",
        "DescribeEndpoint",
        "*",
        move |_: &mut Call<'_, '_>, input: DescribeEndpoint| {
            let endpoint_address = endpoints.of(input.endpoint_type.as_deref())?.to_owned();
            Ok(DescribedEndpoint { endpoint_address })
        },
    )]
}

impl Endpoints {
    // spec aws-iot [EP-20]: stable, case-sensitive, unknown types are refused.
    fn of(&self, endpoint_type: Option<&str>) -> Result<&str, ApiError> {
        match endpoint_type.unwrap_or("iot:Data") {
            "iot:Data" | "iot:Data-ATS" | "iot:Data-Beta" => Ok(&self.data),
            "iot:CredentialProvider" => Ok(&self.credentials),
            "iot:Jobs" => Ok(&self.jobs),
            other => Err(ApiError::invalid(format!(
                "endpointType `{other}` is not served; use iot:Data-ATS, iot:CredentialProvider \
                 or iot:Jobs"
            ))),
        }
    }
}
