//! The figure that each scenario is about, as bars: an SVG written by hand.

use super::report::{Report, Row, shown};
use crate::peers::Name;

const WIDTH: usize = 900;
const LABEL: usize = 250;
const BAR: usize = 14;
const GAP: usize = 18;
const HEAD: usize = 60;

/// One group of bars for each scenario, each as long as its share of the longest of its group.
pub(crate) fn draw(report: &Report) -> String {
    let mut seen = None;
    let first = report.medians.iter().filter(|row| {
        let new = seen != Some(row.scenario);
        seen = Some(row.scenario);
        new
    });
    let rows: Vec<&Row> = first.collect();
    let height = HEAD + rows.iter().map(|row| group_height(row)).sum::<usize>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"16\">What it costs, mutual TLS 1.3, authorization on; \
         shorter is better</text>\n\
         <text x=\"12\" y=\"42\" fill=\"#555555\">{}; only ratios within one run count</text>\n",
        escaped(&report.machine.processor)
    );
    let mut top = HEAD;
    for row in rows {
        svg += &group(row, top);
        top += group_height(row);
    }
    svg + "</svg>\n"
}

fn group_height(row: &Row) -> usize {
    row.medians.len() * BAR + GAP
}

fn group(row: &Row, top: usize) -> String {
    let longest = row
        .medians
        .values()
        .copied()
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        "<text x=\"12\" y=\"{}\">{}</text>\n<text x=\"12\" y=\"{}\" fill=\"#555555\">{}</text>\n",
        top + BAR - 3,
        escaped(row.scenario.title()),
        top + 2 * BAR - 1,
        escaped(&row.figure),
    );
    for (index, (peer, value)) in row.medians.iter().enumerate() {
        let y = top + index * BAR;
        let width = (value / longest * (WIDTH - LABEL - 190) as f64).max(1.0);
        svg += &format!(
            "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"11\">{} {}</text>\n",
            BAR - 2,
            colour(*peer),
            LABEL as f64 + width + 6.0,
            y + BAR - 4,
            shown(Some(*value)),
            peer.as_str(),
        );
    }
    svg
}

fn colour(peer: Name) -> &'static str {
    match peer {
        Name::Palisade => "#0b6e4f",
        Name::Mosquitto => "#3f6fb5",
        Name::Nats => "#7a5fb0",
        Name::Rumqttd => "#b0703a",
        Name::Rmqtt => "#8a8a2a",
        Name::FlashMq => "#b03a5f",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::load::scenario::Scenario;

    #[test]
    fn a_bar_is_as_long_as_its_share_of_the_longest() {
        let row = Row {
            scenario: Scenario::FanIn0,
            figure: "a < b & c".to_owned(),
            medians: BTreeMap::from([(Name::Palisade, 1.0), (Name::Mosquitto, 4.0)]),
            ratio: Some(0.25),
            target: None,
        };
        let svg = group(&row, 0);
        let longest = (WIDTH - LABEL - 190) as f64;
        for width in [longest, longest / 4.0] {
            assert!(svg.contains(&format!("width=\"{width:.1}\"")), "{svg}");
        }
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
    }
}
