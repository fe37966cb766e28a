//! Which host names a listener answers to.
//!
//! A name that is not ours fails the handshake with alert `access_denied`, the one that `rustls`
//! sends when no certificate is chosen; a device sees an authentication error and not a lost
//! connection. A client without a name gets the default, because one account is served here.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{ServerIdentity, TlsError};
use crate::authority::SanName;

#[derive(Debug)]
pub(super) struct ServerNames {
    identity: ServerIdentity,
    /// DNS names in lower case.
    names: HashSet<String>,
    accept_any: bool,
}

impl ServerNames {
    /// Refuses a name that the certificate does not cover: clients would refuse it anyway.
    // spec aws-iot [EP-17]: the SAN must cover the name asked for, wildcards allowed.
    pub(super) fn new(
        identity: ServerIdentity,
        names: &[SanName],
        accept_any: bool,
    ) -> Result<Self, TlsError> {
        let key = identity.current();
        let leaf = ParsedCertificate::try_from(key.end_entity_cert()?)?;
        for name in names {
            rustls::client::verify_server_name(&leaf, &name.server_name()).map_err(|_| {
                TlsError::NameNotCovered {
                    name: name.to_string(),
                }
            })?;
        }
        let names = names.iter().filter_map(|name| match name {
            SanName::Dns(name) => Some(name.as_ref().to_owned()),
            SanName::Ip(_) => None,
        });
        Ok(Self {
            names: names.collect(),
            identity,
            accept_any,
        })
    }

    fn answers(&self, asked: Option<&str>) -> bool {
        match asked {
            // spec aws-iot [EP-12]: no name selects the default domain.
            None => true,
            // spec aws-iot [EP-13]: an unknown name fails the handshake.
            Some(name) => self.accept_any || self.names.contains(&name.to_ascii_lowercase()),
        }
    }
}

impl ResolvesServerCert for ServerNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.answers(hello.server_name())
            .then(|| self.identity.current())
    }
}
