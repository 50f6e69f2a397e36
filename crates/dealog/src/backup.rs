//! `dealog backup`: the log as one file, made beside a server at work.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use dealog_store::{Head, Place, sqlite::SqliteStore};
use indicatif::ProgressBar;

use crate::{
    check::is_understood,
    open::{Failure, byte_bar, count_bar},
    out,
    settings::Settings,
};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// Writes the log, as it is at one moment, to `target`, which has a name only once it has been checked and is on the disk.
pub(crate) async fn run(settings: &Settings, target: &Path) -> Result<(), Failure> {
    let Place::Sqlite(log) = settings.existing_log().await? else {
        return Err(Failure::Folder(
            "the log is in a PostgreSQL database: back it up with `pg_dump --format custom --schema log`, or bring it to a \
             folder with `dealog copy`"
                .into(),
        ));
    };
    let failed =
        |what: &'static str| move |source| Failure::Io { what: format!("{what} {}", target.display()), source };
    if fs::symlink_metadata(target).is_ok() {
        return Err(failed("the backup")(io::ErrorKind::AlreadyExists.into()));
    }
    let unfinished = Unfinished::beside(target).map_err(failed("the backup"))?;
    let bar = byte_bar("Writing");
    bar.set_length(fs::metadata(&log).map_or(0, |log| log.len()));
    tokio::select! {
        written = SqliteStore::back_up(&log, &unfinished.0) => written?,
        never = grow(&bar, &unfinished.0) => match never {},
    }
    bar.finish_and_clear();

    let bar = count_bar("Checking");
    let Head { log_id, position, .. } = SqliteStore::check(&unfinished.0, |events, head| {
        bar.set_length(head.position.0);
        bar.inc(events.len() as u64);
        events.iter().try_for_each(is_understood)
    })
    .await?;
    bar.finish_and_clear();
    unfinished.finish(target).map_err(failed("the backup"))?;
    out::print(format_args!(
        "{} has the log up to position {position}, no damage found: log {log_id}.",
        target.display()
    ))
}

/// Shows how much is there, for ever.
async fn grow(bar: &ProgressBar, file: &Path) -> std::convert::Infallible {
    loop {
        bar.set_position(fs::metadata(file).map_or(0, |file| file.len()));
        tokio::time::sleep(TICK).await;
    }
}

/// A file beside the target that goes again unless it is finished.
struct Unfinished(PathBuf);

impl Unfinished {
    /// Its name is that of the target and more, so it is on the same disk. One that was left behind by a kill is replaced.
    fn beside(target: &Path) -> io::Result<Self> {
        let mut name = OsString::from(target);
        name.push(".unfinished");
        let unfinished = Self(name.into());
        unfinished.remove()?;
        Ok(unfinished)
    }

    /// Gives it its name, which nobody may have taken meanwhile, once it is on the disk.
    fn finish(self, target: &Path) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        fs::hard_link(&self.0, target)?;
        self.remove()?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    fn remove(&self) -> io::Result<()> {
        for more in ["", "-wal", "-shm", "-journal"] {
            let mut name = OsString::from(&self.0);
            name.push(more);
            match fs::remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(file = %self.0.display(), %error, "an unfinished backup could not be removed");
        }
    }
}
