//! The Palisade server and command line in one binary.
//!
//! It reads the configuration, builds every capability with the ports it asks for, runs them and
//! stops them. It holds no behaviour of its own beyond that: what a command does, any AWS client
//! can do through the same doors.

mod adapters;
mod arguments;
mod assembly;
mod bundle;
mod changeable;
mod client;
mod command;
mod config;
mod data_dir;
mod device;
mod installation;
mod listeners;
mod logging;
mod output;
mod profile;
mod run_file;
mod usage;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Command, Common, ConfigCommand, MasterKeyCommand, PolicyCommand};
use client::{Client, Refused};
use config::{Config, Resolved, Sources};
use data_dir::DataDir;
use device::Refusal;
use mqtt::ReasonCode;
use usage::{Usage, usage};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("palisade")
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `palisade … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word of a failed command")]
            {
                eprintln!("palisade: {error:#}");
                if let Some(id) = refusal(&error).and_then(Refusal::denial_id) {
                    eprintln!("ask why: palisade why {id}");
                }
            }
            exit_code(&error)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    let status = error
        .downcast_ref::<Refused>()
        .map(|refused| refused.status.as_u16());
    let reason = refusal(error).map(|refusal| refusal.reason);
    ExitCode::from(match (status, reason) {
        _ if error.is::<Usage>() => 2,
        (Some(400), _) => 2,
        (_, Some(ReasonCode::TopicFilterInvalid | ReasonCode::TopicNameInvalid)) => 2,
        (Some(404), _) => 3,
        (Some(401 | 403), _) | (_, Some(ReasonCode::NotAuthorized)) => 4,
        (Some(409), _) => 5,
        _ => 1,
    })
}

fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    error.downcast_ref()
}

/// Flags, environment, and which file.
fn sources(common: &Common, flags: Vec<(String, String)>) -> Result<Sources> {
    let mut all = Vec::new();
    if let Some(dir) = &common.data_dir {
        all.push(("data_dir".to_owned(), dir.display().to_string()));
    }
    for pair in &common.set {
        let (key, value) = pair
            .split_once('=')
            .with_context(|| format!("--set {pair}: write KEY=VALUE"))?;
        all.push((key.to_owned(), value.to_owned()));
    }
    all.extend(flags);
    Ok(Sources {
        flags: all,
        environment: std::env::vars().collect(),
        file: common.config.clone(),
    })
}

/// Threads for handshakes and HTTPS: the broker's own thread is busy on one of the processors, and
/// one more than there are processors would only be switched to.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    processors.saturating_sub(1).max(1)
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { common, command } = arguments;
    let output = common.output;
    let flags = match &command {
        Command::Up(up) => up.settings(),
        _ => Vec::new(),
    };
    if let Command::Completions { shell } = command {
        let mut program = Arguments::command();
        clap_complete::generate(shell, &mut program, "palisade", &mut std::io::stdout());
        return Ok(());
    }
    let sources = sources(&common, flags).map_err(usage)?;
    let resolved = Resolved::resolve(&sources).map_err(usage)?;
    if let Command::Config(ConfigCommand::Explain) = command {
        return command::explain::run(output, &resolved);
    }
    let config = Config::from_resolved(&resolved).map_err(usage)?;
    let data_dir = DataDir::at(&config.data_dir);
    let client = || Client::from_profile(&data_dir.aws_config());
    match command {
        Command::Up(up) => command::up::run(config, sources, resolved, up.renew_server_ca).await,
        Command::Down(down) => command::down::run(&data_dir, &config, down.purge).await,
        Command::Doctor => command::doctor::run(&config, output),
        Command::Env => command::env::run(&data_dir),
        Command::Operations => command::operations::run(output),
        Command::Thing(thing) => command::thing::run(&client()?, &data_dir, output, &thing).await,
        Command::Pub(publish) => match &publish.bundle {
            Some(path) => {
                let bundle = bundle::Bundle::read(path)?;
                command::messages::publish_as(&bundle, &publish).await
            }
            None => command::messages::publish(&client()?, &publish).await,
        },
        Command::Sub(subscribe) => command::messages::subscribe(output, &subscribe).await,
        Command::Connections(connections) => {
            command::connections::run(&client()?, output, &connections).await
        }
        Command::Sessions(sessions) => command::sessions::run(&client()?, output, &sessions).await,
        Command::Subscriptions(subscriptions) => {
            command::subscriptions::run(&client()?, output, &subscriptions).await
        }
        Command::Retained(retained) => command::retained::run(&client()?, output, &retained).await,
        Command::Trace(trace) => command::trace::run(&client()?, output, &trace).await,
        Command::Policy(PolicyCommand::Test {
            thing,
            action,
            resource,
        }) => command::policy::run(&client()?, output, &thing, &action, &resource).await,
        Command::Why(why) => command::why::run(&client()?, output, why.id.as_deref()).await,
        Command::Revoke(revoke) => {
            let (certificate, thing) = (revoke.certificate.as_deref(), revoke.thing.as_deref());
            command::revoke::run(&client()?, output, certificate, thing).await
        }
        Command::Admin(admin) => command::admin::run(&config, &admin).await,
        Command::MasterKey(MasterKeyCommand::Rotate) => {
            command::admin::rotate_master_key(&config).await
        }
        Command::Demo(demo) => command::demo::run(&config.data_dir, demo.exit).await,
        Command::Config(_) | Command::Completions { .. } => Ok(()),
    }
}
