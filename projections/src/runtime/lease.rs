//! The leases of the runtime, in the database of the read models: one to keep all models up to date, and one to build each.

use std::time::{Duration, Instant};

use dealog_followers::{Lease, LeaseError, lease::holder};

use crate::{Database, ProjectionError};

/// What the lease is called under which models are kept up to date.
pub(crate) const OF_ALL: &str = "models";

/// What the lease is called under which the next tables of a model are built.
pub(crate) fn of_build(model: &str) -> String {
    format!("{model} next")
}

impl From<LeaseError> for ProjectionError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost => Self::LeaseLost,
            LeaseError::Database(error) => error.into(),
        }
    }
}

impl Database {
    /// Takes a lease for so long; none where another has it.
    pub(crate) async fn take_lease(&self, name: &str, time: Duration) -> Result<Option<Lease>, ProjectionError> {
        let mut db = self.glance().await?;
        let found = holder(&mut db, name).await?;
        db.rollback().await?;
        if found.as_ref().is_some_and(|found| !found.process.is_gone()) {
            return Ok(None);
        }
        let mut db = self.write_lasting().await?;
        let taken = Lease::take(&mut db, name, found.as_ref(), time).await?;
        db.commit().await?;
        Ok(taken)
    }

    /// Renews a lease where nothing else has for a third of its time, and says whether it did.
    pub(crate) async fn keep_lease(&self, lease: &mut Lease) -> Result<bool, ProjectionError> {
        if !lease.rests().is_zero() {
            return Ok(false);
        }
        let begun = Instant::now();
        let mut db = self.write_lease().await?;
        lease.renew(&mut db).await?;
        db.commit().await?;
        lease.renewed(begun);
        Ok(true)
    }

    /// Keeps a lease for as long as that goes, and says why it does not go any longer.
    pub(crate) async fn keep_on(&self, lease: &mut Lease) -> ProjectionError {
        loop {
            tokio::time::sleep(lease.rests()).await;
            if let Err(error) = self.keep_lease(lease).await {
                return error;
            }
        }
    }

    /// Gives a lease back. One that cannot be runs out by itself.
    pub(crate) async fn give_back(&self, lease: Lease) {
        let give_back = async {
            let mut db = self.write_lease().await?;
            lease.give_back(&mut db).await?;
            db.commit().await
        };
        if let Err(error) = give_back.await {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }
}
