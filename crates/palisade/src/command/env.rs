//! `palisade env`: the exports that point AWS tools here. Use: `eval "$(palisade env)"`.

use anyhow::Result;

use crate::data_dir::DataDir;
use crate::output;
use crate::profile::{self, AwsProfile};

/// Text for a POSIX shell, quoted.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

pub(crate) fn run(data_dir: &DataDir) -> Result<()> {
    let path = data_dir.aws_config();
    let profile = AwsProfile::read(&path)?;
    let exports = [
        ("AWS_CONFIG_FILE", path.display().to_string()),
        ("AWS_PROFILE", profile::NAME.to_owned()),
        ("AWS_ENDPOINT_URL", format!("https://{}", profile.authority)),
        ("AWS_CA_BUNDLE", profile.ca_bundle.display().to_string()),
        ("AWS_REGION", profile.region.clone()),
        ("AWS_DEFAULT_REGION", profile.region),
    ];
    // Keys in the environment would win over the profile.
    output::line("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN")?;
    for (name, value) in exports {
        output::verbatim(&format!("export {name}={}", quoted(&value)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
