//! The power goes: of what no fsync had brought to the disk, any part may be there.
//!
//! A process that is killed leaves all that it wrote to the system. So the shim keeps each change of a database until it is
//! synced; once the servers are gone, every file is put back to its last fsync, and some of the changes are made again, in
//! whole or in part.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use tokio::time::sleep;

use super::{
    Run,
    kill::{BATCH, MOMENTS_MS_MAX},
};
use crate::{
    broken::{Broken, Result},
    chance::Chance,
    place::Faults,
};

/// What a disk writes in one piece.
const SECTORS_BYTES: [usize; 2] = [512, 4_096];
/// What a change begins with: four numbers.
const HEAD_BYTES: usize = 32;

pub(super) fn faults(run: &mut Run) -> Result<Faults> {
    let unsynced = unsynced(run);
    fs::create_dir_all(&unsynced)?;
    Ok(run.shim()?.forgetful("/data/", &unsynced))
}

fn unsynced(run: &Run) -> PathBuf {
    run.cluster.place.folder.join("unsynced")
}

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    let faults = faults(run)?;
    for _ in 0..run.chance.within(1, 3) {
        if run.chance.percent(30) {
            // What one server has written and not synced, the next may have told of.
            run.cluster.kill_all().await?;
            run.cluster.start(run.nodes, &faults).await?;
            run.goes_on(1, 20).await?;
        }
        run.cluster.kill_all().await?;
        lose(run)?;
        if run.chance.percent(30) {
            // And once more while the read models are made.
            run.cluster.place.remove_read_models().await?;
            let mut node = run.cluster.spawn(9, &faults.clone().with(BATCH.0, BATCH.1))?;
            sleep(run.chance.pause(MOMENTS_MS_MAX)).await;
            node.kill().await?;
            lose(run)?;
        }
        run.cluster.start(run.nodes, &faults).await?;
        run.goes_on(10, 80).await?;
    }
    Ok(())
}

/// Makes of the files what a power cut may leave.
fn lose(run: &mut Run) -> Result<()> {
    let unsynced = unsynced(run);
    let found: std::io::Result<Vec<_>> = run.cluster.place.data().read_dir()?.map(|entry| Ok(entry?.path())).collect();
    let mut files = found?;
    files.sort();
    for file in files {
        let name = file.to_string_lossy();
        if name.ends_with("-shm") {
            // It was never more than memory.
            fs::remove_file(&file)?;
        } else if name.ends_with("-boot") {
            fs::write(&file, "the run of the system before this one")?;
        } else if let Ok(kept) = fs::read(unsynced.join(fs::metadata(&file)?.ino().to_string())) {
            fs::write(&file, left(fs::read(&file)?, &changes(&kept)?, &mut run.chance))?;
        }
    }
    fs::remove_dir_all(&unsynced)?;
    Ok(fs::create_dir(&unsynced)?)
}

/// A change of a file since its last fsync.
struct Change<'a> {
    at: usize,
    size_before: usize,
    before: &'a [u8],
    /// None where the file was cut off.
    after: Option<&'a [u8]>,
}

/// As the shim has kept them (`struct change`).
fn changes(mut kept: &[u8]) -> Result<Vec<Change<'_>>> {
    let mut changes = Vec::new();
    while let Some((head, rest)) = kept.split_at_checked(HEAD_BYTES) {
        let numbers: Vec<_> =
            head.chunks(8).filter_map(|number| Some(i64::from_ne_bytes(number.try_into().ok()?))).collect();
        let &[at, bytes, bytes_before, size_before] = numbers.as_slice() else { break };
        let size = |number: i64| usize::try_from(number).map_err(Broken::from);
        let Some((before, rest)) = rest.split_at_checked(size(bytes_before)?) else { break };
        // Whoever was killed while this was kept had not begun to make the change.
        let Some((after, rest)) = rest.split_at_checked(size(bytes.max(0))?) else { break };
        let after = (bytes >= 0).then_some(after);
        changes.push(Change { at: size(at)?, size_before: size(size_before)?, before, after });
        kept = rest;
    }
    Ok(changes)
}

/// The file as it was synced, with a part of the changes.
fn left(mut file: Vec<u8>, changes: &[Change<'_>], chance: &mut Chance) -> Vec<u8> {
    for change in changes.iter().rev() {
        put(&mut file, change.at, change.before);
        file.resize(change.size_before, 0);
    }
    let kept_percent = chance.within(0, 100);
    let sector_bytes = chance.pick(&SECTORS_BYTES).copied().unwrap_or(HEAD_BYTES);
    for change in changes {
        let Some(after) = change.after else {
            if chance.percent(kept_percent) {
                file.resize(change.at, 0);
            }
            continue;
        };
        let (mut at, mut after) = (change.at, after);
        while !after.is_empty() {
            let (sector, rest) = after.split_at(after.len().min(sector_bytes - at % sector_bytes));
            if chance.percent(kept_percent) {
                put(&mut file, at, sector);
            }
            (at, after) = (at + sector.len(), rest);
        }
    }
    file
}

/// Writes as to a file, whose gaps are empty.
fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    if let Some(place) = file.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}
