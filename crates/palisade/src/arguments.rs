//! The command line: nouns, verbs and flags.

mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use live::{
    ConnectionsCommand, RetainedCommand, Selection, SessionsCommand, SubscriptionsCommand, Trace,
    TraceOf,
};

/// A self-hosted, zero-trust IoT platform that speaks AWS IoT's protocols.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The data directory [default: ~/.palisade]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The settings file [default: palisade.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Any setting, as in the file: --set broker.connections_max=1000
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How results are written
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the platform; creates everything it needs on first start
    Up(Box<Up>),
    /// Stop the platform that runs on the data directory
    Down(Down),
    /// Check clock, ports, disk, permissions, certificates and database
    Doctor,
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the exports that point the AWS CLI, boto3 and Terraform here
    Env,
    /// Things and their credentials
    #[command(subcommand)]
    Thing(ThingCommand),
    /// Publish a message, as the administrator over HTTPS or as a device over MQTT
    Pub(Pub),
    /// Subscribe as a device and print what arrives
    Sub(Sub),
    /// Connections
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// Sessions, of clients that are connected and of those that are away
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Subscriptions
    #[command(subcommand)]
    Subscriptions(SubscriptionsCommand),
    /// Retained messages
    #[command(subcommand)]
    Retained(RetainedCommand),
    /// Watch the packets of one client, live
    Trace(Trace),
    /// IoT policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Why was I denied: what decided, and the smallest edit that would allow it
    Why(Why),
    /// Revoke a certificate and show what ended
    Revoke(Revoke),
    /// The administrator's access key
    #[command(subcommand)]
    Admin(AdminCommand),
    /// The master key
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// Two things, one oversteps and is told why, one is revoked: in a minute
    Demo(Demo),
    /// Every operation that is served
    Operations,
    /// Print a completion script
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The account served, 12 digits; fixed at first start
    #[arg(long, value_name = "ID")]
    pub(crate) account_id: Option<String>,
    /// The region answered to; fixed at first start
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// `standard` or `aws`
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Names and addresses of the server certificate, comma separated
    #[arg(long, value_name = "NAMES")]
    pub(crate) hosts: Option<String>,
    /// The host name that DescribeEndpoint answers
    #[arg(long, value_name = "NAME")]
    pub(crate) advertise: Option<String>,
    /// MQTT over mutual TLS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_mqtt: Option<String>,
    /// MQTT and HTTPS told apart by ALPN
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_device: Option<String>,
    /// HTTPS over mutual TLS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_https: Option<String>,
    /// The control plane
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_control: Option<String>,
    /// Health and metrics
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_operator: Option<String>,
    /// `plain` or `json`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Create a new authority for server certificates; clients must take the new ca.pem
    #[arg(long)]
    pub(crate) renew_server_ca: bool,
}

impl Up {
    /// The flags as settings.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let all = [
            ("account_id", &self.account_id),
            ("region", &self.region),
            ("profile", &self.profile),
            ("database", &self.database),
            ("hosts", &self.hosts),
            ("advertise", &self.advertise),
            ("listen.mqtt", &self.listen_mqtt),
            ("listen.device", &self.listen_device),
            ("listen.https", &self.listen_https),
            ("listen.control", &self.listen_control),
            ("listen.operator", &self.listen_operator),
            ("log.format", &self.log_format),
        ];
        let said = all
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)));
        said.map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Delete the data directory and everything in it
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Each value and where it comes from
    Explain,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ThingCommand {
    /// Create a thing with a certificate and a policy for its own topics; a thing that exists gets
    /// a further certificate
    Create {
        /// Its name.
        name: String,
        /// Write certificate, key, CA, endpoint and snippets to this zip file
        #[arg(long, value_name = "FILE.zip")]
        bundle: PathBuf,
        /// Attach this policy instead of the one for the thing's own topics
        #[arg(long, value_name = "NAME")]
        policy: Option<String>,
    },
    /// List things
    List,
    /// Show one thing with its principals and groups
    Show {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pub {
    /// The topic.
    pub(crate) topic: String,
    /// The payload; read from standard input when absent
    #[arg(long, short)]
    pub(crate) message: Option<String>,
    /// 0 or 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) qos: u8,
    /// Keep it as the topic's retained message
    #[arg(long)]
    pub(crate) retain: bool,
    /// Publish over MQTT as the device of this bundle
    #[arg(long, value_name = "FILE.zip")]
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Sub {
    /// The topic filter.
    pub(crate) filter: String,
    /// The device that subscribes
    #[arg(long, value_name = "FILE.zip")]
    pub(crate) bundle: PathBuf,
    /// End after this many messages
    #[arg(long, short)]
    pub(crate) count: Option<u64>,
    /// The client id [default: the bundle's, which is the thing's name]
    #[arg(long)]
    pub(crate) client_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// What the broker would decide for a thing's certificate
    Test {
        /// The thing whose certificate asks.
        #[arg(long)]
        thing: String,
        /// connect, publish, subscribe or receive
        #[arg(long)]
        action: String,
        /// A client id, topic or topic filter, or its ARN
        #[arg(long)]
        resource: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The denial id; the newest denials when absent
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Revoke {
    /// The certificate's id
    pub(crate) certificate: Option<String>,
    /// Every certificate of this thing
    #[arg(long, value_name = "NAME")]
    pub(crate) thing: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Make a new access key, write it to the profile, delete the old one
    RotateKey,
    /// With the platform stopped: make a new access key when the profile is lost
    RecoverKey,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKeyCommand {
    /// With the platform stopped: a new master key; the data key is wrapped again
    Rotate,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the story instead of leaving the platform running
    #[arg(long)]
    pub(crate) exit: bool,
}
