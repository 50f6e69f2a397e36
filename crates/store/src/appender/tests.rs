//! What becomes of a batch when the database fails, on a writer that fails on demand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use dealog_events::{Actor, Cause, DealId, StreamId, Timestamp, Version};
use futures_util::future::join_all;
use uuid::Uuid;

use super::*;
use crate::{Fingerprint, NewEvent};

/// What the writer does with its next batch.
#[derive(Debug, Clone, Copy)]
enum Next {
    FailBeforeCommit,
    /// The commit fails, and so many appends of the batch were written all the same.
    FailAtCommit {
        written: usize,
    },
    FindDamage,
    Panic,
    Hang,
}

#[derive(Debug, Default, Clone)]
struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    failures: VecDeque<Next>,
    failing_lookups: u32,
    panicking_lookups: u32,
    lookups: u32,
    batches: Vec<usize>,
    log: Vec<Remembered>,
}

impl State {
    fn write(&mut self, append: &Append) -> Appended {
        let position = Position(self.log.len() as u64 + 1);
        let outcome = Appended {
            stream: append.stream,
            version: Version(1),
            position,
            events: 1,
            replayed: true,
            looked_up: false,
        };
        let Append { command_id, fingerprint, .. } = *append;
        self.log.push(Remembered { command_id, fingerprint, outcome });
        Appended { replayed: false, ..outcome }
    }
}

fn broken() -> StoreError {
    StoreError::Database(sqlx::Error::WorkerCrashed)
}

impl Fake {
    async fn has_begun_a_batch(&self) {
        while self.0.lock().unwrap().batches.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

impl Writer for Fake {
    async fn write(&mut self, batch: &[Append]) -> Result<Written, WriteError> {
        self.0.lock().unwrap().batches.push(batch.len());
        let hangs = matches!(self.0.lock().unwrap().failures.front(), Some(Next::Hang));
        if hangs {
            return std::future::pending().await;
        }
        let mut state = self.0.lock().unwrap();
        let next = state.failures.pop_front();
        if matches!(next, Some(Next::Panic)) {
            drop(state);
            panic!("a mistake in the writer");
        }
        match next {
            Some(Next::FailBeforeCommit) => Err(WriteError::NotWritten(broken())),
            Some(Next::FindDamage) => {
                Err(WriteError::NotWritten(StoreError::Damaged { position: Position(7), reason: "a test".into() }))
            }
            Some(Next::FailAtCommit { written }) => {
                for append in &batch[..written] {
                    state.write(append);
                }
                Err(WriteError::InDoubt(broken()))
            }
            Some(Next::Panic | Next::Hang) | None => {
                let outcomes = batch.iter().map(|append| Ok(state.write(append))).collect();
                Ok(Written { outcomes, position: Position(state.log.len() as u64) })
            }
        }
    }

    async fn remembered(&mut self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        let mut state = self.0.lock().unwrap();
        state.lookups += 1;
        if state.panicking_lookups > 0 {
            state.panicking_lookups -= 1;
            drop(state);
            panic!("a mistake in the look-up");
        }
        if state.failing_lookups > 0 {
            state.failing_lookups -= 1;
            return Err(broken());
        }
        Ok(state.log.iter().filter(|first| ids.contains(&first.command_id)).copied().collect())
    }

    async fn close(self) {}
}

fn append() -> Append {
    Append {
        command_id: CommandId(Uuid::now_v7()),
        fingerprint: Fingerprint([1; 32]),
        cause: Cause { actor: Actor::Local, correlation_id: Uuid::now_v7(), causation_id: None },
        now: Timestamp::MIN,
        stream: StreamId::Deal(DealId(Uuid::now_v7())),
        expected: Version::ZERO,
        unchanged: vec![],
        events: vec![NewEvent { event_type: "deal.noted", schema: 1, occurred_at: Timestamp::MIN, data: "{}".into() }],
    }
}

fn start(failures: &[Next], failing_lookups: u32) -> (Fake, Appender) {
    let state = State { failures: failures.iter().copied().collect(), failing_lookups, ..State::default() };
    let fake = Fake(Arc::new(Mutex::new(state)));
    let (publish, trust) = (watch::Sender::new(Position::ZERO), Trust::new(None));
    (fake.clone(), Appender::start(fake, publish, trust, Limits::default()))
}

#[tokio::test]
async fn a_batch_that_failed_before_its_commit_was_not_written() {
    let (_, appender) = start(&[Next::FailBeforeCommit], 0);
    let told = join_all([append(), append()].map(|a| appender.append(a))).await;
    assert!(told.iter().all(|told| matches!(told, Err(AppendError::Unavailable(_)))), "{told:?}");
    assert_eq!(*appender.watch().borrow(), Position::ZERO);
    assert_eq!(appender.append(append()).await.unwrap().position, Position(1));
}

#[tokio::test]
async fn a_panic_harms_no_command_after_it() {
    let (_, appender) = start(&[Next::Panic], 0);
    let told = appender.append(append()).await;
    assert!(matches!(told, Err(AppendError::Unavailable(_))), "{told:?}");
    assert_eq!(appender.append(append()).await.unwrap().position, Position(1));
}

#[tokio::test]
async fn a_commit_that_failed_is_looked_up() {
    let (_, appender) = start(&[Next::FailAtCommit { written: 2 }], 0);
    let told = join_all([append(), append(), append()].map(|a| appender.append(a))).await;
    assert!(
        matches!(told[0], Ok(Appended { position: Position(1), replayed: false, looked_up: true, .. })),
        "{told:?}"
    );
    assert!(
        matches!(told[1], Ok(Appended { position: Position(2), replayed: false, looked_up: true, .. })),
        "{told:?}"
    );
    assert!(matches!(told[2], Err(AppendError::Unavailable(_))), "{told:?}");
    assert_eq!(*appender.watch().borrow(), Position(2), "followers wake for what was written");
}

#[tokio::test]
async fn a_command_twice_in_a_commit_that_failed_is_written_once_and_replayed_once() {
    let (_, appender) = start(&[Next::FailAtCommit { written: 1 }], 0);
    let command = append();
    let other = Append { fingerprint: Fingerprint([2; 32]), ..command.clone() };
    let told = join_all([command.clone(), command, other].map(|a| appender.append(a))).await;
    assert!(matches!(told[0], Ok(Appended { replayed: false, .. })), "{told:?}");
    assert!(matches!(told[1], Ok(Appended { replayed: true, .. })), "{told:?}");
    assert!(matches!(told[2], Err(AppendError::FingerprintMismatch(_))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_fails_is_tried_again() {
    let (_, appender) = start(&[Next::FailAtCommit { written: 1 }], RESOLVE_ATTEMPTS_MAX - 1);
    assert_eq!(appender.append(append()).await.unwrap().position, Position(1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_said_to_be_in_doubt() {
    let (_, appender) = start(&[Next::FailAtCommit { written: 1 }], RESOLVE_ATTEMPTS_MAX);
    let told = appender.append(append()).await;
    assert!(matches!(told, Err(AppendError::InDoubt(_))), "{told:?}");
    assert_eq!(appender.append(append()).await.unwrap().position, Position(2));
}

#[tokio::test]
async fn all_that_waits_goes_into_one_transaction_up_to_its_limits() {
    let (fake, appender) = start(&[], 0);
    join_all((0..600).map(|_| appender.append(append()))).await;
    let large = || {
        let mut append = append();
        let data = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
        append.events = vec![NewEvent { data, ..append.events[0].clone() }; 60];
        append
    };
    join_all((0..5).map(|_| appender.append(large()))).await;
    assert_eq!(fake.0.lock().unwrap().batches, [512, 88, 2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_leaves_its_batch_in_doubt_and_goes_on_with_the_queue() {
    let (fake, appender) = start(&[Next::FailAtCommit { written: 1 }], 0);
    fake.0.lock().unwrap().panicking_lookups = 1;
    let first = appender.append(append());
    fake.has_begun_a_batch().await;
    let second = appender.append(append());
    assert!(matches!(first.await, Err(AppendError::InDoubt(_))));
    assert_eq!(second.await.unwrap().position, Position(2));
    appender.close().await;
    assert!(matches!(appender.append(append()).await, Err(AppendError::Unavailable(_))));
}

#[tokio::test]
async fn a_command_that_was_written_a_moment_ago_is_readiness() {
    let (fake, appender) = start(&[], 0);
    appender.append(append()).await.unwrap();
    assert_eq!(appender.can_append().await, Ok(()));
    assert_eq!(fake.0.lock().unwrap().lookups, 0, "nothing had to be tried");
}

#[tokio::test]
async fn readiness_is_tried_once_for_all_who_ask_where_no_command_came() {
    let (fake, appender) = start(&[], 0);
    let told = join_all((0..20).map(|_| appender.can_append())).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert!(fake.0.lock().unwrap().lookups <= 2, "{:?}", fake.0.lock().unwrap().lookups);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_not_ready_and_says_so() {
    let (_, appender) = start(&[], 1);
    assert_eq!(appender.can_append().await, Err(Unable::Away));
    let (_, appender) = start(&[Next::FailBeforeCommit], 0);
    drop(appender.append(append()).await);
    assert_eq!(appender.can_append().await, Err(Unable::Away));
    appender.close().await;
    assert_eq!(appender.can_append().await, Err(Unable::Closed));
}

#[tokio::test]
async fn once_damage_is_found_nothing_is_written_any_more() {
    let (fake, appender) = start(&[Next::FindDamage], 0);
    for _ in 0..2 {
        let refused = appender.append(append()).await;
        assert!(matches!(refused, Err(AppendError::Damaged(_))), "{refused:?}");
        assert_eq!(appender.can_append().await, Err(Unable::Damaged("position 7".into())));
    }
    let state = fake.0.lock().unwrap();
    assert_eq!((state.batches.len(), state.lookups), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_end_and_a_full_queue_are_not_ready_in_two_seconds() {
    let (fake, appender) = start(&[Next::Hang], 0);
    let _stuck = appender.append(append());
    fake.has_begun_a_batch().await;
    let asked = tokio::time::Instant::now();
    assert_eq!(appender.can_append().await, Err(Unable::Silent));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let _full: Vec<_> = (0..Limits::default().queue_length_max).map(|_| appender.append(append())).collect();
    assert_eq!(appender.can_append().await, Err(Unable::Overloaded));
}
