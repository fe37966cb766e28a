//! `palisade admin` and `palisade master-key`: what is done with the platform stopped or running.

use anyhow::{Context as _, Result, ensure};
use identity::AccessKey;
use model::{Clock as _, SystemClock};
use storage::{MasterKey, Storage, Urgency};

use crate::arguments::AdminCommand;
use crate::assembly;
use crate::client::Client;
use crate::config::Config;
use crate::data_dir::{self, DataDir};
use crate::installation;
use crate::output;
use crate::profile::AwsProfile;
use crate::run_file::RunFile;

pub(crate) async fn run(config: &Config, command: &AdminCommand) -> Result<()> {
    let data_dir = DataDir::at(&config.data_dir);
    match command {
        AdminCommand::RotateKey => rotate(&data_dir).await,
        AdminCommand::RecoverKey => recover(config, &data_dir).await,
    }
}

/// A new key by the API, then the profile, then the old key goes: at no moment is there none.
async fn rotate(data_dir: &DataDir) -> Result<()> {
    let path = data_dir.aws_config();
    let old = AwsProfile::read(&path)?;
    let client = Client::from_profile(&path)?;
    let made = client
        .query("iam", "2010-05-08", &[("Action", "CreateAccessKey")])
        .await?;
    let id = tag(&made, "AccessKeyId").context("the answer has no AccessKeyId")?;
    let secret = tag(&made, "SecretAccessKey").context("the answer has no SecretAccessKey")?;
    let next = AwsProfile {
        access_key_id: id.clone(),
        secret,
        ..old.clone()
    };
    data_dir::replace(&path, &next.render(), 0o600)?;
    let client = Client::from_profile(&path)?;
    let delete = [
        ("Action", "DeleteAccessKey"),
        ("AccessKeyId", old.access_key_id.as_str()),
    ];
    client.query("iam", "2010-05-08", &delete).await?;
    output::line(&format!(
        "{} replaces {} in {}",
        id,
        old.access_key_id,
        path.display()
    ))
}

/// The text of the first `<name>` element.
fn tag(xml: &str, name: &str) -> Option<String> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once('<')?.0.to_owned())
}

/// For whoever holds the data directory and the master key: a new key, every old one deleted.
async fn recover(config: &Config, data_dir: &DataDir) -> Result<()> {
    let storage = open_stopped(config, data_dir)?;
    let region = installation::stored_region(&storage)?
        .context("nothing is installed in this database; start it first: palisade up")?;
    let now = SystemClock.now();
    let made = storage
        .write(Urgency::Containment, move |tx| {
            identity::new_administrator_key(tx, now)
        })
        .await;
    storage.close().await;
    let AccessKey { id, secret } = made?.value;
    let path = data_dir.aws_config();
    let profile = AwsProfile {
        access_key_id: id.clone(),
        secret: secret.to_string(),
        region,
        authority: format!("{}:{}", config.advertise, config.listen.control.port()),
        ca_bundle: data_dir.ca(),
    };
    data_dir::replace(&path, &profile.render(), 0o600)?;
    output::line(&format!(
        "{id} is in {}; every older key is deleted",
        path.display()
    ))
}

/// The database, which nobody else may hold meanwhile.
fn open_stopped(config: &Config, data_dir: &DataDir) -> Result<Storage> {
    let running = RunFile::read(&data_dir.run_file()).is_ok_and(|running| running.is_alive());
    ensure!(
        !running,
        "the platform runs on {}; stop it first: palisade down",
        data_dir.root().display()
    );
    assembly::open_storage(config, data_dir)
}

/// A new master key wraps the data keys; the old one opens nothing any more.
pub(crate) async fn rotate_master_key(config: &Config) -> Result<()> {
    let path = &config.master_key_file;
    let data_dir = DataDir::at(&config.data_dir);
    let storage = open_stopped(config, &data_dir)?;
    let next_path = assembly::next_master_key_file(config);
    if next_path.exists() {
        // The database opened with the master key, so this one never wrapped anything.
        std::fs::remove_file(&next_path).with_context(|| format!("{}", next_path.display()))?;
    }
    // The new key is on disk before anything is wrapped with it.
    let next = MasterKey::generate();
    next.create(&next_path)?;
    let rotated = storage.rotate_master_key(next).await;
    storage.close().await;
    rotated?;
    std::fs::rename(&next_path, path).with_context(|| format!("{}", path.display()))?;
    output::line(&format!("{} holds the new master key", path.display()))
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn an_element_is_found() {
        assert_eq!(tag("<a><Id>x</Id></a>", "Id").as_deref(), Some("x"));
        assert_eq!(tag("<a></a>", "Id"), None);
    }
}
