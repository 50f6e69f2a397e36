//! Write-ahead logs under readers that leave no gap.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use dealog_tests::{
    DEFAULT_PIPELINE, Data, Server, until,
    workload::{Load, check_log},
};

/// Far below the 32 MiB at which SQLite begins to empty one by itself.
const WAL_BYTES_MAX: u64 = 2_000_000;
/// What may come between two looks, and while those who read come to an end.
const BEYOND: u64 = 4;
const FILES: [&str; 2] = ["log.db", "views.db"];
const POLLERS: usize = 6;
/// How often each file is cut while this goes on.
const CUTS: f64 = 4.0;
const PATIENCE: Duration = Duration::from_mins(2);

/// Ends those who read, however the test itself ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn cuts(server: &Server, file: &str) -> f64 {
    let name = format!("dealog_wal_truncations_total{{file=\"{file}\"}} ");
    let page = server.get("/metrics").expect(200).text;
    assert!(page.contains(&format!("dealog_wal_bytes{{file=\"{file}\"}} ")), "{page}");
    page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn write_ahead_logs_stay_near_their_limit_under_overlapping_readers() {
    let data = Data::on_sqlite().with_limits(&format!("wal_bytes_max = {WAL_BYTES_MAX}"));
    let server = Server::start(&data, &[]).ready();
    let (over, largest) = (AtomicBool::new(false), Mutex::new([0; FILES.len()]));
    let funnel = format!("/v1/funnel?pipeline={DEFAULT_PIPELINE}");
    let asked =
        ["/v1/time-in-stage", &funnel, "/v1/pipeline", "/v1/events?limit=1000", "/v1/forecast", "/v1/deals?limit=500"];
    let clients: Vec<_> = (0..4).map(|_| vec![server.client()]).collect();
    let sent = thread::scope(|scope| {
        let _over = Over(&over);
        for path in asked.iter().cycle().take(POLLERS) {
            let (client, over) = (server.client(), &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.get(path).expect(200);
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (file, largest) in FILES.iter().zip(largest.lock().unwrap().iter_mut()) {
                    let journal = data.folder().join(format!("{file}-wal"));
                    *largest = fs::metadata(journal).map_or(0, |found| found.len()).max(*largest);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let ((), sent) = Load::beside(&clients, |_| {
            until("both files should be cut again and again", PATIENCE, || {
                FILES.iter().all(|file| cuts(&server, file) >= CUTS).then_some(())
            });
        });
        sent
    });
    let largest = largest.into_inner().unwrap();
    assert!(largest.iter().all(|bytes| (WAL_BYTES_MAX..BEYOND * WAL_BYTES_MAX).contains(bytes)), "{largest:?}");
    check_log(&server.events(), &sent);
    server.stop();
    data.run(["check"]).succeed();
}
