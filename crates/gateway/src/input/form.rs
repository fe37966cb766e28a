//! The query protocol: `Action=…&Version=…` with members spelled as `Tags.member.1.Key`.
//!
//! The parameters are first sorted into a tree by the dots in their names, so that reading a
//! nested input costs no more than its size.
//!
//! Source: the AWS Query protocol, as the botocore models describe it.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value};

use super::{Unreadable, item_path, member_path, scalar};
use crate::service_model::{Kind, List, Map, ServiceModel, ShapeId, Structure};

/// Most parameters of one request.
pub(crate) const PARAMETERS_MAX: usize = 2000;
/// Deepest nesting of one name.
const DEPTH_MAX: usize = 16;

/// Parameters by the parts of their names.
#[derive(Debug, Default)]
pub(crate) struct Form {
    text: Option<String>,
    parts: BTreeMap<String, Form>,
}

impl Form {
    /// Reads the body or query of a request.
    ///
    /// # Errors
    /// [`Unreadable`] over a bound or when it is not percent-encoded UTF-8.
    pub(crate) fn parse(encoded: &str) -> Result<Self, Unreadable> {
        let pairs = super::query_pairs(encoded)?;
        if PARAMETERS_MAX < pairs.len() {
            return Err(Unreadable(format!(
                "there are more than {PARAMETERS_MAX} parameters"
            )));
        }
        let mut form = Self::default();
        for (name, text) in pairs {
            form.insert(&name, text)?;
        }
        Ok(form)
    }

    fn insert(&mut self, name: &str, text: String) -> Result<(), Unreadable> {
        if DEPTH_MAX < name.split('.').count() {
            return Err(Unreadable(format!(
                "the parameter '{name}' nests deeper than {DEPTH_MAX} levels"
            )));
        }
        let mut at = self;
        for part in name.split('.') {
            at = at.parts.entry(part.to_owned()).or_default();
        }
        match at.text.replace(text) {
            None => Ok(()),
            Some(_) => Err(super::twice(name)),
        }
    }

    /// The text of a parameter without dots, such as `Action`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.parts.get(name)?.text.as_deref()
    }

    /// The members of the input at `id`.
    ///
    /// # Errors
    /// [`Unreadable`], naming the member.
    pub(crate) fn members(
        &self,
        model: &ServiceModel,
        id: Option<ShapeId>,
    ) -> Result<Value, Unreadable> {
        match id.and_then(|id| model.structure(id)) {
            Some(structure) => self.structure(model, structure, ""),
            None => Ok(Value::Object(Object::new())),
        }
    }

    fn value(&self, model: &ServiceModel, id: ShapeId, path: &str) -> Result<Value, Unreadable> {
        match &model.shape(id).kind {
            Kind::Structure(structure) => self.structure(model, structure, path),
            Kind::List(list) => self.list(model, list, path),
            Kind::Map(map) => self.map(model, map, path),
            _ => {
                let text = self
                    .text
                    .as_deref()
                    .ok_or_else(|| Unreadable(format!("'{path}' must be a single value")))?;
                scalar::from_text(model, id, text, path)
            }
        }
    }

    fn structure(
        &self,
        model: &ServiceModel,
        structure: &Structure,
        path: &str,
    ) -> Result<Value, Unreadable> {
        let mut out = Object::new();
        for member in &structure.members {
            if let Some(found) = self.parts.get(&member.wire_name) {
                let path = member_path(path, &member.name);
                out.insert(
                    member.name.clone(),
                    found.value(model, member.shape, &path)?,
                );
            }
        }
        Ok(Value::Object(out))
    }

    fn list(&self, model: &ServiceModel, list: &List, path: &str) -> Result<Value, Unreadable> {
        let items = match self.parts.get(&list.item_name) {
            Some(items) if !list.flattened => items.numbered(path)?,
            _ if list.flattened => self.numbered(path)?,
            _ => Vec::new(),
        };
        items
            .into_iter()
            .enumerate()
            .map(|(at, item)| item.value(model, list.item, &item_path(path, at)))
            .collect()
    }

    fn map(&self, model: &ServiceModel, map: &Map, path: &str) -> Result<Value, Unreadable> {
        let entries = match self.parts.get("entry") {
            Some(entries) if !map.flattened => entries.numbered(path)?,
            _ if map.flattened => self.numbered(path)?,
            _ => Vec::new(),
        };
        let mut out = Object::new();
        for entry in entries {
            let lacks = |what: &str| Unreadable(format!("an entry of '{path}' has no {what}"));
            let key = entry.text(&map.key_name).ok_or_else(|| lacks("key"))?;
            let value = entry.parts.get(&map.value_name);
            let value = value.ok_or_else(|| lacks("value"))?;
            let path = format!("{}.member", member_path(path, key));
            out.insert(key.to_owned(), value.value(model, map.value, &path)?);
        }
        Ok(Value::Object(out))
    }

    /// The parts in the order of their numbers.
    fn numbered(&self, path: &str) -> Result<Vec<&Self>, Unreadable> {
        let mut found = BTreeMap::new();
        for (name, part) in &self.parts {
            let number: u32 = name.parse().map_err(|_| {
                Unreadable(format!(
                    "'{path}' has an item '{name}' that is not a number"
                ))
            })?;
            // `1` and `01` are one number.
            if found.insert(number, part).is_some() {
                return Err(super::twice(&format!("{path}.{number}")));
            }
        }
        Ok(found.into_values().collect())
    }
}
