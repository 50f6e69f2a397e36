//! TLS in the server: certificates from files, which may be exchanged while it serves.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::spawn_blocking, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM of what it should be.
    #[error("{}: expected {expected} in PEM", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// They do not fit together, or are not of a kind that is known.
    #[error("the certificate and the key cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

/// Encrypts connections with what two files have now. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: watch::Receiver<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the certificate chain and its key, and reads them again whenever they have changed: connections that are open
    /// go on, new ones have the new certificate. New files that cannot be used are told to the log, and the old ones stay.
    pub async fn of_files(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files { certificate, key };
        let mut bytes = files.read().await?;
        let (sender, config) = watch::channel(Arc::new(files.config(&bytes)?));
        tokio::spawn(async move {
            while timeout(LOOK_AGAIN, sender.closed()).await.is_err() {
                match files.read().await {
                    Ok(found) if found == bytes => continue,
                    Ok(found) => bytes = found,
                    // Between the old file and the new one there may be none.
                    Err(error) => {
                        tracing::debug!(%error, "certificates cannot be read at the moment");
                        continue;
                    }
                }
                match files.config(&bytes) {
                    Ok(config) => {
                        sender.send_replace(Arc::new(config));
                        tracing::info!("certificates have been exchanged");
                    }
                    Err(error) => tracing::error!(%error, "new certificates cannot be used, and the old ones stay"),
                }
            }
        });
        Ok(Self { config })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.borrow()))
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What is in the certificate's file, and in the key's.
type Contents = (Vec<u8>, Vec<u8>);

impl Files {
    async fn read(&self) -> Result<Contents, TlsError> {
        Ok((read(&self.certificate).await?, read(&self.key).await?))
    }

    fn config(&self, (certificate, key): &Contents) -> Result<ServerConfig, TlsError> {
        let not_pem = |path: &Path, expected| TlsError::NotPem { path: path.to_owned(), expected };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .ok_or_else(|| not_pem(&self.certificate, "a certificate, and those that it was signed by"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| not_pem(&self.key, "a private key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let owned = path.to_owned();
    let read = spawn_blocking(move || std::fs::read(owned)).await.unwrap_or_else(|error| Err(error.into()));
    read.map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}
