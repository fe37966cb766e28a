//! From method and raw path to an operation and its labels.
//!
//! Routing looks at the path as it arrived, still percent-encoded, so that an encoded slash within
//! a label does not split it; labels are decoded once, afterwards. Where several templates match,
//! the more literal one wins, from left to right.
//!
//! Source: contract core `[HT-3]`, `[HT-4]`, `[EP-43]`.

use std::collections::HashMap;

use crate::percent;

/// The routes of one service.
#[derive(Debug, Default)]
pub(crate) struct Router {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    method: String,
    segments: Vec<Segment>,
    /// What the caller of [`Router::add`] knows the route by.
    target: usize,
}

/// One part of a template. The order is the order of preference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Label(String),
    /// The whole rest of the path, slashes included.
    Greedy(String),
}

/// What a path leads to.
#[derive(Debug, PartialEq)]
pub(crate) enum Match {
    /// A route, with its labels decoded, by label name.
    Found {
        target: usize,
        labels: HashMap<String, String>,
    },
    /// The path belongs to another method.
    OtherMethod,
    /// No template has this path.
    Nothing,
    /// A label that is not percent-encoded UTF-8.
    BadLabel(String),
}

impl Router {
    /// Adds a route. Answers false when the same method and shape of path is there already.
    #[must_use]
    pub(crate) fn add(&mut self, method: &str, template: &str, target: usize) -> bool {
        let segments = segments(template);
        let same = |route: &Route| {
            route.method == method
                && route.segments.len() == segments.len()
                && route.segments.iter().zip(&segments).all(|pair| match pair {
                    (Segment::Literal(a), Segment::Literal(b)) => a == b,
                    (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
                })
        };
        if self.routes.iter().any(same) {
            return false;
        }
        self.routes.push(Route {
            method: method.to_owned(),
            segments,
            target,
        });
        // Literal before label before greedy, segment by segment.
        self.routes.sort_by_key(|route| rank(&route.segments));
        true
    }

    /// Finds the route of a request.
    // spec aws-iot [HT-4]: the raw path is routed, the labels are decoded after.
    pub(crate) fn find(&self, method: &str, raw_path: &str) -> Match {
        let mut other_method = false;
        for route in &self.routes {
            let Some(labels) = route.labels(raw_path) else {
                continue;
            };
            if route.method != method {
                other_method = true;
                continue;
            }
            return decoded(route.target, labels);
        }
        if other_method {
            Match::OtherMethod
        } else {
            Match::Nothing
        }
    }
}

impl Route {
    /// The raw labels when `raw_path` is of this route's form.
    fn labels<'a>(&'a self, raw_path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut rest = Some(raw_path.strip_prefix('/')?);
        let mut labels = Vec::new();
        for segment in &self.segments {
            let text = rest?;
            if let Segment::Greedy(name) = segment {
                labels.push((name.as_str(), text));
                return (!text.is_empty()).then_some(labels);
            }
            let (head, tail) = match text.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (text, None),
            };
            match segment {
                Segment::Literal(literal) if literal == head => (),
                Segment::Label(name) if !head.is_empty() => labels.push((name.as_str(), head)),
                _ => return None,
            }
            rest = tail;
        }
        // `/authorizers/` and `/authorizers` are one path.
        matches!(rest, None | Some("")).then_some(labels)
    }
}

fn decoded(target: usize, raw: Vec<(&str, &str)>) -> Match {
    let mut labels = HashMap::new();
    for (name, text) in raw {
        match percent::decoded(text) {
            Some(text) => labels.insert(name.to_owned(), text),
            None => return Match::BadLabel(name.to_owned()),
        };
    }
    Match::Found { target, labels }
}

fn rank(segments: &[Segment]) -> Vec<u8> {
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Label(_) => 1,
            Segment::Greedy(_) => 2,
        })
        .collect()
}

fn segments(template: &str) -> Vec<Segment> {
    template
        .trim_start_matches('/')
        .trim_end_matches('/')
        .split('/')
        .filter(|text| !text.is_empty())
        .map(|text| {
            let label = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'));
            match label.map(|name| (name, name.strip_suffix('+'))) {
                Some((_, Some(name))) => Segment::Greedy(name.to_owned()),
                Some((name, None)) => Segment::Label(name.to_owned()),
                None => Segment::Literal(text.to_owned()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
