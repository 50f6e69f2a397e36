use std::{fs, os::unix::fs::PermissionsExt as _};

use axum::body::Body;
use tempfile::TempDir;

use super::{counts::ENTRIES_MAX, *};

fn audit(folder: &TempDir, mode: Mode, limits: &Limits) -> Audit {
    Audit::start(mode, folder.path().join("audit"), limits).unwrap()
}

fn about(path: &str) -> About {
    let request = Request::builder().method("WHATEVER").uri(path).body(Body::empty()).unwrap();
    About::of(&request, Some([192, 0, 2, 1].into()))
}

async fn written(audit: &Audit, path: &str) -> Result<(), Problem> {
    audit.done(&about(path), Timestamp::MIN, Why::PersonalData, Actor::Local, StatusCode::OK).await
}

#[tokio::test]
async fn entries_are_numbered_on_through_files_and_restarts_and_only_the_newest_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { audit_file_bytes_max: 1_000, audit_files_max: 3, ..Limits::default() };
    for run in 0..4_u64 {
        let audit = audit(&folder, Mode::On, &limits);
        for number in 0..25 {
            written(&audit, &format!("/{}", run * 25 + number + 1)).await.unwrap();
            audit.flush().await;
        }
        let entries = audit.read(0, 1_000).await.unwrap();
        assert_eq!(entries.last().unwrap().number, (run + 1) * 25);
        assert!(entries.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
        assert!(entries.iter().all(|entry| entry.path == format!("/{}", entry.number) && entry.method == "other"));
        let page = audit.read(entries[0].number, 3).await.unwrap();
        assert_eq!(page, entries[1..4]);
        // The lock goes with the thread, which goes with the last handle.
        drop(audit);
        crate::audit::file::wait_until_free(&folder.path().join("audit"));
    }
    let files: Vec<_> = fs::read_dir(folder.path().join("audit")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3 + 1, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(file.metadata().unwrap().len() < 2_000);
    }
    let mode = fs::metadata(folder.path().join("audit")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn where_nothing_can_be_written_that_is_said_and_required_entries_are_refused_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("audit");
    fs::write(&place, "a file where the folder should be").unwrap();
    let (lenient, strict) =
        (audit(&folder, Mode::On, &Limits::default()), audit(&folder, Mode::Required, &Limits::default()));
    written(&lenient, "/lost").await.unwrap();
    lenient.flush().await;
    assert!(lenient.trouble().unwrap().contains("audit.jsonl"));
    written(&strict, "/refused").await.unwrap_err();
    assert!(strict.trouble().is_some());
    drop(lenient);

    fs::remove_file(&place).unwrap();
    written(&strict, "/written").await.unwrap();
    assert_eq!(strict.trouble(), None);
    assert_eq!(strict.read(0, 10).await.unwrap()[0].path, "/written");
}

#[tokio::test]
async fn a_line_that_was_cut_off_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder, Mode::On, &Limits::default());
    fs::create_dir(folder.path().join("audit")).unwrap();
    fs::write(folder.path().join("audit/audit.jsonl"), "{\"number\":7,\"at\":\"20").unwrap();
    written(&audit, "/next").await.unwrap();
    assert_eq!(audit.read(0, 10).await.unwrap()[0].path, "/next");
}

async fn refuse(audit: &Audit, path: &str, actor: Option<Actor>) {
    audit.answered(&about(path), Timestamp::MIN, actor, None, StatusCode::FORBIDDEN).await.unwrap();
}

#[tokio::test]
async fn a_caller_who_is_refused_all_the_time_does_not_fill_the_audit_log_and_others_are_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder, Mode::On, &Limits::default());
    for _ in 0..10 * ENTRIES_MAX {
        refuse(&audit, &format!("/{}", "a".repeat(5_000)), None).await;
    }
    refuse(&audit, "/v1/users", Some(Actor::Local)).await;
    let entries = audit.read(0, 10_000).await.unwrap();
    assert_eq!(entries.len(), ENTRIES_MAX as usize + 1);
    assert!(entries.iter().all(|entry| entry.path.len() <= TEXT_BYTES_MAX));
    let more: Vec<bool> = entries.iter().map(|entry| entry.more).collect();
    assert_eq!(more.iter().filter(|more| **more).count(), 1);
    assert!(more[ENTRIES_MAX as usize - 1]);
    assert_eq!(entries.last().unwrap().actor, Some(Actor::Local));
}

#[tokio::test]
async fn reads_beyond_those_written_down_one_by_one_are_counted_in_one_entry_before_the_process_ends() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder, Mode::On, &Limits::default());
    let last = ENTRIES_MAX + 40;
    for number in 1..=last {
        let (path, read) = (format!("/{number}"), Read::of("/v1/deals/{id}", &number.to_string()));
        let actor = Some(Actor::Local);
        audit.answered(&about(&path), Timestamp::MIN, actor, Some(read), StatusCode::OK).await.unwrap();
    }
    audit.finish().await;
    let entries = audit.read(0, 10_000).await.unwrap();
    assert_eq!(entries.len(), ENTRIES_MAX as usize + 1);
    let rest = entries.last().unwrap();
    assert_eq!((rest.requests, &rest.path), (40, &format!("/{last}")));
    assert_eq!(entries.iter().map(|entry| entry.requests).sum::<u64>(), u64::from(last));
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_is_written_down_when_the_minute_is_over() {
    let counts = Counts::default();
    let refused = || entry(&about("/"), Timestamp::MIN, Why::Refused, None, StatusCode::FORBIDDEN);
    for _ in 0..ENTRIES_MAX {
        assert!(matches!(counts.count(refused()), Counted::Write(_)));
    }
    let Counted::WriteAt(minute_ends, key) = counts.count(refused()) else { panic!("it is written at once") };
    assert!(matches!(counts.count(refused()), Counted::Added));
    tokio::time::sleep_until(minute_ends).await;
    assert_eq!(counts.rest(key).unwrap().requests, 2);
    // A new minute.
    assert!(matches!(counts.count(refused()), Counted::Write(Entry { more: false, requests: 1, .. })));
}
