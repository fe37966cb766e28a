//! Commands on live things: connections, sessions, subscriptions, retained messages, traces.

use clap::{Args, Subcommand};

/// Which clients a list is about.
#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Of this client id
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,
    /// Of client ids that begin so
    #[arg(long, value_name = "TEXT", conflicts_with = "client")]
    pub(crate) prefix: Option<String>,
    /// Of this thing
    #[arg(long, value_name = "NAME")]
    pub(crate) thing: Option<String>,
    /// Of this certificate, by its id or ARN
    #[arg(long, value_name = "CERTIFICATE")]
    pub(crate) principal: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Those that live now
    List {
        #[command(flatten)]
        of: Selection,
        /// What TLS and MQTT agreed on, and what waits
        #[arg(long)]
        wide: bool,
    },
    /// Everything about one of them
    Show {
        /// The client id.
        client: String,
    },
    /// End one; the client may come back
    Kick {
        /// The client id.
        client: String,
        /// Forget its session too
        #[arg(long)]
        clean_session: bool,
        /// Do not publish its will
        #[arg(long)]
        prevent_will: bool,
    },
    /// Those of the last 31 days
    History {
        /// Of this client id only
        #[arg(long)]
        client_id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List them
    List {
        #[command(flatten)]
        of: Selection,
        /// Only those whose client is away
        #[arg(long)]
        away: bool,
    },
    /// One of them, its subscriptions and the first messages that wait
    Show {
        /// The client id.
        client: String,
    },
    /// Forget one, its subscriptions and what waits; ends the connection too
    Delete {
        /// The client id.
        client: String,
        /// Do not publish its will
        #[arg(long)]
        prevent_will: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubscriptionsCommand {
    /// Who subscribed to what
    List {
        #[command(flatten)]
        of: Selection,
        /// Only this topic filter, as it was written
        #[arg(long)]
        filter: Option<String>,
        /// Only those that select this topic: who would get a message
        #[arg(long)]
        topic: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetainedCommand {
    /// List them
    List {
        /// Only topics that begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
    },
    /// One of them with its payload
    Show {
        /// Its topic.
        topic: String,
    },
    /// Forget some; nobody is sent anything
    Delete(RetainedDeleted),
}

/// Which retained messages are forgotten.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RetainedDeleted {
    /// The one of this topic
    pub(crate) topic: Option<String>,
    /// Those of all topics that begin so
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) of: TraceOf,
    /// Show the first bytes of each payload, and values of user properties
    #[arg(long, value_name = "BYTES", num_args = 0..=1, default_missing_value = "256",
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) payload: Option<u16>,
    /// End after this many packets
    #[arg(long, short)]
    pub(crate) count: Option<u64>,
    /// End after this many seconds, at most 3600
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
}

/// Whose packets.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TraceOf {
    /// This client id, which need not be connected yet
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,
    /// Every connection of this certificate, by its id or ARN
    #[arg(long, value_name = "CERTIFICATE")]
    pub(crate) principal: Option<String>,
    /// Every connection of this thing's certificates
    #[arg(long, value_name = "NAME")]
    pub(crate) thing: Option<String>,
    /// Show the traces under way, and whose they are, instead
    #[arg(long)]
    pub(crate) list: bool,
    /// End the trace with this id instead
    #[arg(long, value_name = "TRACE")]
    pub(crate) stop: Option<String>,
}
