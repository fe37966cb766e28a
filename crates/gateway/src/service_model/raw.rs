//! The models as they stand in their files, and their linking into one table of shapes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Bounds, Exception, Kind, List, Location, Map, Member, OperationModel, Pattern, Protocol,
    ServiceModel, Shape, ShapeId, Structure, Text,
};

#[derive(Deserialize)]
struct RawModel {
    metadata: RawMetadata,
    operations: BTreeMap<String, RawOperation>,
    shapes: BTreeMap<String, RawShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    api_version: String,
    protocol: String,
    #[serde(default)]
    xml_namespace: String,
}

#[derive(Deserialize)]
struct RawOperation {
    name: String,
    http: RawHttp,
    input: Option<RawReference>,
    output: Option<RawReference>,
    #[serde(default)]
    errors: Vec<RawReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHttp {
    method: String,
    request_uri: String,
    response_code: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReference {
    shape: String,
    location: Option<String>,
    location_name: Option<String>,
    result_wrapper: Option<String>,
    #[serde(default)]
    jsonvalue: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawShape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: serde_json::Map<String, Value>,
    #[serde(default)]
    required: Vec<String>,
    payload: Option<String>,
    #[serde(default)]
    union: bool,
    #[serde(default)]
    exception: bool,
    error: Option<RawError>,
    member: Option<RawReference>,
    key: Option<RawReference>,
    value: Option<RawReference>,
    #[serde(default)]
    flattened: bool,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<String>,
    #[serde(default, rename = "enum")]
    values: Vec<String>,
    #[serde(default)]
    sensitive: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawError {
    code: Option<String>,
    http_status_code: Option<u16>,
}

/// The model in `text`, linked.
///
/// # Panics
/// When the text is not a whole model: it is compiled in, and a test reads every one.
pub(super) fn linked(name: &'static str, text: &str) -> ServiceModel {
    let raw: RawModel = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("the model of {name} cannot be read: {error}"));
    let ids: BTreeMap<String, ShapeId> = raw
        .shapes
        .keys()
        .enumerate()
        .map(|(at, shape)| (shape.clone(), ShapeId(at)))
        .collect();
    let linker = Linker { name, ids };
    let exceptions = linker.exceptions(&raw.shapes);
    let operations = raw
        .operations
        .into_iter()
        .map(|(key, operation)| (key, linker.operation(operation)))
        .collect();
    let shapes = raw
        .shapes
        .into_values()
        .map(|shape| linker.shape(shape))
        .collect();
    ServiceModel {
        name,
        protocol: match raw.metadata.protocol.as_str() {
            "query" => Protocol::Query,
            _ => Protocol::RestJson,
        },
        api_version: raw.metadata.api_version,
        xml_namespace: raw.metadata.xml_namespace,
        operations,
        shapes,
        exceptions,
    }
}

struct Linker {
    name: &'static str,
    ids: BTreeMap<String, ShapeId>,
}

impl Linker {
    fn id(&self, shape: &str) -> ShapeId {
        *self
            .ids
            .get(shape)
            .unwrap_or_else(|| panic!("the model of {} has no shape {shape}", self.name))
    }

    fn exceptions(&self, shapes: &BTreeMap<String, RawShape>) -> BTreeMap<String, ShapeId> {
        let mut found = BTreeMap::new();
        for (name, shape) in shapes {
            if !shape.exception && shape.error.is_none() {
                continue;
            }
            found.insert(name.clone(), self.id(name));
            if let Some(code) = shape.error.as_ref().and_then(|error| error.code.clone()) {
                found.insert(code, self.id(name));
            }
        }
        found
    }

    fn operation(&self, raw: RawOperation) -> OperationModel {
        OperationModel {
            name: raw.name,
            method: raw.http.method,
            uri: raw.http.request_uri,
            status: raw.http.response_code.unwrap_or(200),
            input: raw.input.map(|input| self.id(&input.shape)),
            output: raw.output.as_ref().map(|output| self.id(&output.shape)),
            result_wrapper: raw.output.and_then(|output| output.result_wrapper),
            errors: raw.errors.into_iter().map(|error| error.shape).collect(),
        }
    }

    fn shape(&self, raw: RawShape) -> Shape {
        let sensitive = raw.sensitive;
        let bounds = Bounds {
            min: raw.min,
            max: raw.max,
        };
        let kind = match raw.kind.as_str() {
            "structure" => Kind::Structure(self.structure(raw)),
            "list" => Kind::List(self.list(raw, bounds)),
            "map" => Kind::Map(self.map(raw, bounds)),
            "string" | "character" => Kind::Text(Text {
                bounds,
                pattern: raw.pattern.map(Pattern::new),
                values: raw.values,
            }),
            "blob" => Kind::Blob(bounds),
            "integer" => Kind::Integer {
                narrow: true,
                bounds,
            },
            "long" => Kind::Integer {
                narrow: false,
                bounds,
            },
            "double" | "float" => Kind::Float(bounds),
            "boolean" => Kind::Boolean,
            "timestamp" => Kind::Timestamp,
            other => panic!("the model of {} has a shape of kind {other}", self.name),
        };
        Shape { kind, sensitive }
    }

    fn structure(&self, raw: RawShape) -> Structure {
        let exception = (raw.exception || raw.error.is_some()).then(|| {
            let (status, code) = match raw.error {
                Some(error) => (error.http_status_code, error.code),
                None => (None, None),
            };
            Exception { status, code }
        });
        Structure {
            members: raw
                .members
                .into_iter()
                .map(|(name, member)| self.member(name, member))
                .collect(),
            required: raw.required,
            payload: raw.payload,
            union: raw.union,
            exception,
        }
    }

    fn member(&self, name: String, raw: Value) -> Member {
        let raw: RawReference = serde_json::from_value(raw)
            .unwrap_or_else(|error| panic!("the model of {}: {name}: {error}", self.name));
        Member {
            wire_name: raw.location_name.unwrap_or_else(|| name.clone()),
            location: match raw.location.as_deref() {
                Some("uri") => Location::Path,
                Some("querystring") => Location::Query,
                Some("header") => Location::Header,
                Some("headers") => Location::Headers,
                Some("statusCode") => Location::Status,
                _ => Location::Body,
            },
            shape: self.id(&raw.shape),
            json_value: raw.jsonvalue,
            name,
        }
    }

    fn list(&self, raw: RawShape, bounds: Bounds) -> List {
        let item = self.part(raw.member, "member");
        List {
            item: item.0,
            item_name: item.1,
            flattened: raw.flattened,
            bounds,
        }
    }

    fn map(&self, raw: RawShape, bounds: Bounds) -> Map {
        let (key, key_name) = self.part(raw.key, "key");
        let (value, value_name) = self.part(raw.value, "value");
        Map {
            key,
            value,
            key_name,
            value_name,
            flattened: raw.flattened,
            bounds,
        }
    }

    fn part(&self, raw: Option<RawReference>, name: &str) -> (ShapeId, String) {
        let raw = raw.unwrap_or_else(|| panic!("the model of {} lacks a {name}", self.name));
        let wire_name = raw.location_name.unwrap_or_else(|| name.to_owned());
        (self.id(&raw.shape), wire_name)
    }
}
