//! `dealog copy`: a log brought to another database.

use std::{path::PathBuf, str::FromStr};

use dealog_store::{Place, compare, copy};

use crate::{
    open::{Failure, count_bar},
    settings::{DatabaseUrl, Settings},
};

/// A log as it is named on the command line: a PostgreSQL database, or a folder.
#[derive(Debug, Clone)]
pub(crate) struct Named(Place);

impl FromStr for Named {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.contains("://") {
            return Ok(Self(name.parse::<DatabaseUrl>()?.place()));
        }
        Ok(Self(Place::Sqlite(PathBuf::from(name).join("log.db"))))
    }
}

/// Copies what `to` lacks of `from`, and compares both.
pub(crate) async fn run(settings: &Settings, Named(from): Named, Named(to): Named) -> Result<(), Failure> {
    let limits = settings.limits.store;
    if !from.exists(limits).await? {
        return Err(Failure::Folder(format!("there is no log at {from}: name a folder or a database that holds one")));
    }
    let source = from.open(limits).await?;
    let head = source.head().await?;
    let target = to.open_as(head.log_id, limits).await?;
    let outcome = async {
        let bar = count_bar("Copying");
        bar.set_length(head.position.0);
        let end = copy(&*source, &*target, |position| bar.set_position(position.0)).await?;
        bar.finish_and_clear();
        let bar = count_bar("Comparing");
        bar.set_length(end.0);
        compare(&*source, &*target, end, |position| bar.set_position(position.0)).await?;
        bar.finish_and_clear();
        Ok::<_, Failure>(end)
    };
    let outcome = outcome.await;
    target.close().await;
    source.close().await;
    let end = outcome?;
    println!("{to} has all {end} events of {from}, the same to the byte: log {}.", head.log_id);
    println!("What is appended to {from} from now on comes along when the same command is run again.");
    Ok(())
}
