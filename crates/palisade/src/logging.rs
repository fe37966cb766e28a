//! The log: plain or JSON, to standard error, filtered per module.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result, ensure};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::config::{Config, LogFormat};

/// The log's filter, which can be changed while it is written.
#[derive(Clone, Debug)]
pub(crate) struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// Starts writing the log.
///
/// # Errors
/// When `log.level` is not a filter.
pub(crate) fn start(config: &Config) -> Result<LogLevel> {
    let (filter, level) = reload::Layer::new(filter(&config.log_level)?);
    // Where standard error is gone (a terminal that was closed), the log is lost and nothing else.
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false);
    let lines = match config.log_format {
        LogFormat::Plain => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    Ok(LogLevel(level))
}

impl LogLevel {
    /// # Errors
    /// When `text` is not a filter; the one before stays.
    pub(crate) fn set(&self, text: &str) -> Result<()> {
        self.0.reload(filter(text)?).context("log.level")
    }
}

/// The filter library takes a word that is no level for the name of a module, and is silent; a
/// misspelt level is refused here instead.
fn filter(text: &str) -> Result<EnvFilter> {
    for part in text.split(',').map(str::trim) {
        let is_level = !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        ensure!(
            is_level || part.contains(['=', '[']),
            "log.level = `{text}`: `{part}` is not a level; use error, warn, info, debug, trace \
             or MODULE=LEVEL"
        );
    }
    EnvFilter::try_new(text).with_context(|| format!("log.level = `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_misspelt_level_is_refused() {
        let good = [
            "info",
            "WARN",
            "off",
            "warn,broker=debug",
            "gateway::server=trace, error",
        ];
        for text in good {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "warn,loud", "broker=loud"] {
            let error = filter(text).expect_err(text).to_string();
            assert!(error.contains("log.level"), "{error}");
        }
    }
}
