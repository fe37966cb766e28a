//! The administrator's profile: a file in the AWS CLI's configuration format.
//!
//! It carries key, region, endpoint and CA together, so `AWS_CONFIG_FILE` and `AWS_PROFILE` are
//! all that boto3, the AWS CLI and Terraform need.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

/// The profile's name in the file.
pub(crate) const NAME: &str = "palisade";

/// What one profile says.
#[derive(Clone)]
pub(crate) struct AwsProfile {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    /// `host:port` of the control plane.
    pub(crate) authority: String,
    pub(crate) ca_bundle: PathBuf,
}

impl std::fmt::Debug for AwsProfile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AwsProfile")
            .field("access_key_id", &self.access_key_id)
            .field("secret", &"<redacted>")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl AwsProfile {
    /// Reads the profile [`NAME`] of the file at `path`.
    ///
    /// # Errors
    /// When the file is not there or a key is missing.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "no profile at {}; `palisade up` writes it at first start",
                path.display()
            )
        })?;
        Self::parse(&text).with_context(|| format!("{}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let header = format!("[profile {NAME}]");
        let section = text
            .lines()
            .skip_while(|line| line.trim() != header)
            .skip(1);
        let section: Vec<&str> = section.take_while(|line| !line.starts_with('[')).collect();
        let value = |wanted: &str| -> Result<String> {
            let pairs = section.iter().filter_map(|line| line.split_once('='));
            let mut found = pairs.filter(|(key, _)| key.trim() == wanted);
            let (_, value) = found
                .next()
                .ok_or_else(|| anyhow!("{header} has no `{wanted}`"))?;
            Ok(value.trim().to_owned())
        };
        let endpoint = value("endpoint_url")?;
        let authority = endpoint.strip_prefix("https://").unwrap_or(&endpoint);
        Ok(Self {
            access_key_id: value("aws_access_key_id")?,
            secret: value("aws_secret_access_key")?,
            region: value("region")?,
            authority: authority.trim_end_matches('/').to_owned(),
            ca_bundle: PathBuf::from(value("ca_bundle")?),
        })
    }

    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let Self {
            access_key_id,
            secret,
            region,
            authority,
            ca_bundle,
        } = self;
        format!(
            "# The administrator of this Palisade. Use it with:\n\
             #   export AWS_CONFIG_FILE=<this file> AWS_PROFILE={NAME}\n\
             [profile {NAME}]\n\
             region = {region}\n\
             endpoint_url = https://{authority}\n\
             ca_bundle = {}\n\
             aws_access_key_id = {access_key_id}\n\
             aws_secret_access_key = {secret}\n",
            ca_bundle.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let profile = AwsProfile {
            access_key_id: "AKIAEXAMPLE".to_owned(),
            secret: "s3cr=t/+".to_owned(),
            region: "us-east-1".to_owned(),
            authority: "localhost:9443".to_owned(),
            ca_bundle: PathBuf::from("/d/ca.pem"),
        };
        let read = AwsProfile::parse(&profile.render()).expect("readable");
        assert_eq!(read.secret, profile.secret);
        assert_eq!(read.authority, profile.authority);
        assert_eq!(read.ca_bundle, profile.ca_bundle);
        assert!(!format!("{read:?}").contains("s3cr"));
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = AwsProfile::parse("[profile palisade]\nregion = r\n").expect_err("incomplete");
        assert!(error.to_string().contains("endpoint_url"), "{error}");
    }
}
