//! Through what deliveries go out: the proxy that the configuration names, and the file of its credentials, which is
//! read at the start and never shown.

use std::io;
use std::path::PathBuf;

use pushrail_adapters::proxy::{CREDENTIALS_FORM, Proxy};

/// Through what it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressConfig {
    /// The proxy of every connection to a destination; `None`: direct.
    pub proxy: Option<Proxy>,
    /// Where this node's user name and password for it stand.
    pub proxy_credentials_file: Option<PathBuf>,
}

/// The proxy's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// There is no reading their file.
    #[error("read egress.proxy_credentials_file {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// They are not of their form; what stands there is not repeated.
    #[error("egress.proxy_credentials_file {path} does not hold what it must: {CREDENTIALS_FORM}")]
    Form {
        /// Which.
        path: PathBuf,
    },
}

impl EgressConfig {
    /// The proxy, with its credentials where there are any.
    pub fn open(&self) -> Result<Option<Proxy>, EgressError> {
        let (Some(proxy), Some(path)) = (&self.proxy, &self.proxy_credentials_file) else {
            return Ok(self.proxy.clone());
        };
        let path = path.clone();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let with = proxy.clone().with_credentials(&text);
                with.map(Some).ok_or(EgressError::Form { path })
            }
            Err(source) => Err(EgressError::Read { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_their_file_and_a_wrong_one_is_named_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy");
        let egress = EgressConfig {
            proxy: Proxy::parse("http://proxy.internal:3128"),
            proxy_credentials_file: Some(path.clone()),
        };

        let missing = egress.open().unwrap_err().to_string();
        std::fs::write(&path, "hunter2\n").unwrap();
        let wrong = egress.open().unwrap_err().to_string();
        std::fs::write(&path, "node:hunter2\n").unwrap();
        let good = egress.open().unwrap();

        assert!(missing.contains(&path.display().to_string()), "{missing}");
        assert!(
            wrong.contains("user:password") && !wrong.contains("hunter2"),
            "{wrong}"
        );
        assert_eq!(
            good,
            egress.proxy.clone().unwrap().with_credentials("node:hunter2")
        );
        assert_ne!(good, egress.proxy);
    }
}
