//! XML of the query protocol.

use model::Timestamp;
use serde_json::Value;

use crate::service_model::{Kind, OperationModel, ServiceModel, ShapeId, Structure};

/// The document of a successful call.
pub(super) fn output(
    model: &ServiceModel,
    operation: &OperationModel,
    output: &Value,
    request_id: &str,
) -> String {
    let mut xml = Xml::default();
    let root = format!("{}Response", operation.name);
    xml.0
        .push_str(&format!("<{root} xmlns=\"{}\">", model.xml_namespace));
    if let Some(id) = operation.output {
        let members = |xml: &mut Xml| {
            if let Some(structure) = model.structure(id) {
                xml.structure(model, structure, output);
            }
        };
        match &operation.result_wrapper {
            Some(wrapper) => xml.element(wrapper, members),
            None => members(&mut xml),
        }
    }
    xml.element("ResponseMetadata", |xml| {
        xml.element("RequestId", |xml| xml.text(request_id));
    });
    xml.0.push_str(&format!("</{root}>"));
    xml.0
}

/// The document of an error.
pub(super) fn error(
    model: &ServiceModel,
    code: &str,
    message: &str,
    status: u16,
    request_id: &str,
) -> String {
    let mut xml = Xml::default();
    xml.0.push_str(&format!(
        "<ErrorResponse xmlns=\"{}\">",
        model.xml_namespace
    ));
    xml.element("Error", |xml| {
        let fault = if status < 500 { "Sender" } else { "Receiver" };
        xml.element("Type", |xml| xml.text(fault));
        xml.element("Code", |xml| xml.text(code));
        xml.element("Message", |xml| xml.text(message));
    });
    xml.element("RequestId", |xml| xml.text(request_id));
    xml.0.push_str("</ErrorResponse>");
    xml.0
}

#[derive(Default)]
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // A bare one would be read back as a line feed.
                '\r' => self.0.push_str("&#13;"),
                // What XML 1.0 cannot hold at all.
                '\u{0}'..='\u{8}'
                | '\u{b}'
                | '\u{c}'
                | '\u{e}'..='\u{1f}'
                | '\u{fffe}'
                | '\u{ffff}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
    }

    fn structure(&mut self, model: &ServiceModel, structure: &Structure, value: &Value) {
        for member in &structure.members {
            match value.get(&member.name) {
                None | Some(Value::Null) => (),
                Some(value) => self.member(model, &member.wire_name, member.shape, value),
            }
        }
    }

    fn member(&mut self, model: &ServiceModel, name: &str, id: ShapeId, value: &Value) {
        match (&model.shape(id).kind, value) {
            (Kind::List(list), Value::Array(items)) if list.flattened => {
                for item in items {
                    self.member(model, name, list.item, item);
                }
            }
            (Kind::List(list), Value::Array(items)) => self.element(name, |xml| {
                for item in items {
                    xml.member(model, &list.item_name, list.item, item);
                }
            }),
            (Kind::Map(map), Value::Object(entries)) => self.element(name, |xml| {
                for (key, value) in entries {
                    xml.element("entry", |xml| {
                        xml.element(&map.key_name, |xml| xml.text(key));
                        xml.member(model, &map.value_name, map.value, value);
                    });
                }
            }),
            (Kind::Structure(structure), _) => {
                self.element(name, |xml| xml.structure(model, structure, value));
            }
            (kind, _) => self.element(name, |xml| xml.text(&scalar(kind, value))),
        }
    }
}

fn scalar(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        // Query services write times as ISO 8601 in whole seconds.
        (Kind::Timestamp, Value::Number(number)) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a cast saturates, and whole seconds are wanted"
            )]
            let seconds = number.as_f64().unwrap_or(0.0).floor() as i64;
            Timestamp::from_seconds(seconds).iso_seconds()
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}
