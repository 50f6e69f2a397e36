//! Two processes on one log, each with a memory of its own: what one does not know of the other must never show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    fmt::Debug,
    str::FromStr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dealog_commands::{CommandError, Commands, Limits, Meta, Outcome, Request, fingerprint, system_clock};
use dealog_domain::{
    Command, Common, Patch, Rejection,
    deal::{self, Change, Create, Lose, Move, Reopen},
    pipeline, settings,
};
use dealog_events::{
    Actor, CommandId, DealId, Envelope, PipelineId, Position, Probability, StreamId, Version,
    pipeline::{ForecastCategory, Stage},
    settings::LossReason,
};
use dealog_store::{Append, AppendError, Appended, EventStore, Head, Remembered, StoreError, sqlite::SqliteStore};
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

const DEAL: StreamId = StreamId::Deal(DealId(Uuid::from_u128(1)));
const PIPELINE: PipelineId = PipelineId(Uuid::from_u128(2));

fn val<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn on(stream: StreamId, command: Command) -> Request {
    Request { stream, command, meta: Meta::keyed(Actor::Local, &Uuid::now_v7().to_string()) }
}

fn to(stage: &str) -> Command {
    Command::Deal(deal::Command::Move(Move { stage: val(stage), reason: None }))
}

fn titled(title: &str) -> Command {
    Command::Deal(deal::Command::Change(Box::new(Change { title: Patch::Set(val(title)), ..Change::default() })))
}

fn create(title: &str) -> Command {
    Command::Deal(deal::Command::Create(Create {
        title: val(title),
        pipeline: PIPELINE,
        stage: None,
        customer: None,
        owner: None,
        amount: None,
        expected_close: None,
        source: None,
        campaign: None,
        fields: std::collections::BTreeMap::new(),
    }))
}

fn stage(slug: &str) -> Stage {
    Stage {
        slug: val(slug),
        name: val(slug),
        probability: Probability::from_basis_points(5_000).unwrap(),
        stale_after_days: None,
        required_fields: vec![],
        forecast_category: ForecastCategory::Pipeline,
    }
}

struct TwoProcesses {
    here: Commands,
    there: Commands,
    folder: TempDir,
}

impl TwoProcesses {
    /// A company with a pipeline of three stages and one deal, which both know.
    async fn at_work() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = async || -> Commands {
            let store =
                SqliteStore::open(&folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
            Commands::new(Arc::new(store), system_clock(), Limits::default())
        };
        let (here, there) = (open().await, open().await);
        let reason = LossReason { slug: val("price"), name: val("Price"), counted: true };
        let change = settings::Change { loss_reasons: Patch::Set(vec![reason]), ..settings::Change::default() };
        let define = pipeline::Define {
            name: val("Sales"),
            stages: vec![stage("lead"), stage("offer"), stage("contract")],
            skipping_allowed: true,
        };
        done(&here, StreamId::Settings, Command::Settings(settings::Command::Change(change))).await;
        done(&here, StreamId::Pipeline(PIPELINE), Command::Pipeline(pipeline::Command::Define(define))).await;
        done(&here, DEAL, create("Licences")).await;
        done(&there, DEAL, to("offer")).await;
        done(&here, DEAL, to("lead")).await;
        done(&there, DEAL, to("offer")).await;
        Self { here, there, folder }
    }
}

async fn done(commands: &Commands, stream: StreamId, command: Command) -> Outcome {
    commands.execute(&on(stream, command)).await.unwrap()
}

fn lose() -> Command {
    let lose = Lose { reason: val("price"), closed_at: None, competitor: None, duplicate_of: None, note: None };
    Command::Deal(deal::Command::Lose(lose))
}

#[tokio::test]
async fn a_refusal_is_decided_again_on_the_log() {
    let two = TwoProcesses::at_work().await;
    done(&two.there, DEAL, lose()).await;
    // Here the deal is still open, and an open deal cannot be reopened.
    let reopen = Reopen { stage: None, reason: val("They came back") };
    let outcome = done(&two.here, DEAL, Command::Deal(deal::Command::Reopen(reopen))).await;
    assert_eq!((outcome.version, outcome.events), (Version(6), 1));
}

#[tokio::test]
async fn that_there_is_nothing_to_do_is_decided_again_on_the_log() {
    let two = TwoProcesses::at_work().await;
    // There it was moved to `offer` last; here it stands in `lead` still.
    let outcome = done(&two.here, DEAL, to("lead")).await;
    assert_eq!((outcome.version, outcome.events), (Version(5), 1));
    let outcome = done(&two.here, DEAL, to("lead")).await;
    assert_eq!((outcome.version, outcome.events), (Version(5), 0));
}

#[tokio::test]
async fn a_stream_is_read_to_its_end_though_pages_end_by_their_bytes() {
    let two = TwoProcesses::at_work().await;
    let limits = dealog_store::Limits { page_bytes_max: 1, ..dealog_store::Limits::default() };
    let store = SqliteStore::open(&two.folder.path().join("log.db"), limits).await.unwrap();
    let third = Commands::new(Arc::new(store), system_clock(), Limits::default());
    let outcome = done(&third, DEAL, to("contract")).await;
    assert_eq!((outcome.version, outcome.events), (Version(5), 1));
}

#[tokio::test]
async fn a_command_that_changed_nothing_changes_nothing_when_it_comes_again() {
    let two = TwoProcesses::at_work().await;
    let request = on(DEAL, to("offer"));
    let first = two.there.execute(&request).await.unwrap();
    assert_eq!((first.version, first.events, first.replayed), (Version(4), 0, false));
    let moved = done(&two.here, DEAL, to("contract")).await;
    // By now there is something to do, and then it would be refused.
    for commands in [&two.here, &two.there] {
        assert_eq!(commands.execute(&request).await.unwrap(), Outcome { replayed: true, ..first });
    }
    assert_eq!(two.here.store().head().await.unwrap().position, moved.position);
    done(&two.here, DEAL, lose()).await;
    for commands in [&two.here, &two.there] {
        assert_eq!(commands.execute(&request).await.unwrap(), Outcome { replayed: true, ..first });
    }
    let mut other = request.clone();
    other.meta.fingerprint = fingerprint(&[b"something else"]);
    let refused = two.here.execute(&other).await;
    assert!(matches!(refused, Err(CommandError::Append(AppendError::FingerprintMismatch(_)))), "{refused:?}");
}

#[tokio::test]
async fn what_was_accepted_on_memory_is_decided_again_where_the_stream_has_grown() {
    let two = TwoProcesses::at_work().await;
    let outcome = done(&two.here, DEAL, titled("More licences")).await;
    assert_eq!((outcome.version, outcome.events), (Version(5), 1));
}

#[tokio::test]
async fn a_stream_that_the_rule_read_may_not_have_grown_either() {
    let two = TwoProcesses::at_work().await;
    done(&two.here, DEAL, titled("Known here")).await;
    let retire = Command::Pipeline(pipeline::Command::RetireStage(val("contract")));
    done(&two.there, StreamId::Pipeline(PIPELINE), retire).await;
    let refused = two.here.execute(&on(DEAL, to("contract"))).await;
    assert!(
        matches!(refused, Err(CommandError::Rejected(Rejection::Pipeline(pipeline::Rejection::StageNotOpen { .. })))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_version_that_a_caller_saw_is_compared_with_the_log() {
    let two = TwoProcesses::at_work().await;
    // Here only version 3 is known.
    let mut request = on(DEAL, to("contract"));
    request.meta.if_match = Some(vec![Version(4)]);
    assert_eq!(two.here.execute(&request).await.unwrap().version, Version(5));
    let mut stale = on(DEAL, to("lead"));
    stale.meta.if_match = Some(vec![Version(4)]);
    let refused = two.there.execute(&stale).await;
    let Err(CommandError::Precondition { found, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(found, Version(5));
}

#[tokio::test]
async fn a_command_that_comes_again_elsewhere_gives_its_first_outcome() {
    let two = TwoProcesses::at_work().await;
    let request = on(DEAL, to("contract"));
    let first = two.here.execute(&request).await.unwrap();
    done(&two.there, DEAL, lose()).await;
    // By now it would be refused.
    let again = two.there.execute(&request).await.unwrap();
    assert_eq!(again, Outcome { replayed: true, ..first });

    let mut other = request.clone();
    other.meta.fingerprint = fingerprint(&[b"something else"]);
    let refused = two.here.execute(&other).await;
    assert!(matches!(refused, Err(CommandError::Append(AppendError::FingerprintMismatch(_)))), "{refused:?}");
}

/// A log whose answer to the next commit is lost, as a crash of its server would lose it: the command comes again elsewhere,
/// after others, and that is what is found when the log is asked.
struct Forgetful {
    log: Arc<SqliteStore>,
    elsewhere: Commands,
    meanwhile: Mutex<Vec<Request>>,
}

#[async_trait]
impl EventStore for Forgetful {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let meanwhile = std::mem::take(&mut *self.meanwhile.lock().unwrap());
        let (log, elsewhere) = (Arc::clone(&self.log), self.elsewhere.clone());
        if meanwhile.is_empty() {
            return log.append(append);
        }
        Box::pin(async move {
            for request in &meanwhile {
                elsewhere.execute(request).await.unwrap();
            }
            let found = log.remembered(&[append.command_id]).await.unwrap();
            Ok(Appended { replayed: false, looked_up: true, ..found[0].outcome })
        })
    }

    async fn remembered(&self, ids: &[CommandId]) -> Result<Vec<Remembered>, StoreError> {
        self.log.remembered(ids).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.log.head().await
    }

    async fn read(&self, after: Position, limit: usize, types: &[String]) -> Result<Vec<Envelope>, StoreError> {
        self.log.read(after, limit, types).await
    }

    async fn types(&self) -> Result<Vec<String>, StoreError> {
        self.log.types().await
    }

    async fn read_stream(&self, stream: StreamId, after: Version, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        self.log.read_stream(stream, after, limit).await
    }

    async fn read_stream_for_command(
        &self,
        stream: StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.log.read_stream_for_command(stream, after, limit).await
    }

    async fn can_append(&self) -> Result<(), dealog_store::Unable> {
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.log.watch()
    }

    async fn close(&self) {
        self.log.close().await;
    }
}

#[tokio::test]
async fn what_was_appended_elsewhere_while_a_commit_was_in_doubt_is_not_passed_over() {
    let two = TwoProcesses::at_work().await;
    let log = SqliteStore::open(&two.folder.path().join("log.db"), dealog_store::Limits::default()).await.unwrap();
    let request = on(DEAL, to("contract"));
    let forgetful = Forgetful {
        log: Arc::new(log),
        elsewhere: two.there.clone(),
        meanwhile: Mutex::new(vec![on(DEAL, titled("More licences")), request.clone()]),
    };
    let doubtful = Commands::new(Arc::new(forgetful), system_clock(), Limits::default());

    let outcome = doubtful.execute(&request).await.unwrap();
    assert_eq!((outcome.version, outcome.replayed), (Version(6), false));
    assert_eq!(doubtful.state(DEAL).await.unwrap(), two.there.state(DEAL).await.unwrap());
}

#[tokio::test]
async fn a_new_stream_is_begun_once() {
    let two = TwoProcesses::at_work().await;
    let refused = two.there.execute(&on(DEAL, create("The same id"))).await;
    assert!(
        matches!(refused, Err(CommandError::Rejected(Rejection::Common(Common::AlreadyExists(DEAL))))),
        "{refused:?}"
    );
    let mut expecting = on(StreamId::Deal(DealId(Uuid::from_u128(9))), create("New"));
    expecting.meta.if_match = Some(vec![Version(3)]);
    let refused = two.here.execute(&expecting).await;
    assert!(matches!(refused, Err(CommandError::Precondition { found: Version::ZERO, .. })), "{refused:?}");
}

#[tokio::test]
async fn concurrent_commands_on_one_deal_all_come_through_one_after_another() {
    let two = TwoProcesses::at_work().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let commands = if number % 2 == 0 { two.here.clone() } else { two.there.clone() };
        let set = Patch::Set(Probability::from_basis_points(number).unwrap());
        let change = Change { probability: set, ..Change::default() };
        let command = Command::Deal(deal::Command::Change(Box::new(change)));
        tasks.spawn(async move { commands.execute(&on(DEAL, command)).await.unwrap().version.0 });
    }
    let mut versions = tasks.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (5..13).collect::<Vec<_>>());
}

#[tokio::test]
async fn commands_for_different_streams_are_appended_in_the_order_given() {
    let two = TwoProcesses::at_work().await;
    let before = two.here.store().head().await.unwrap().position.0;
    let requests: Vec<Request> =
        (100..150).map(|id| on(StreamId::Deal(DealId(Uuid::from_u128(id))), create(&format!("Deal {id}")))).collect();
    let outcomes = two.here.execute_in_order(&requests).await;
    let positions: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().position.0).collect();
    assert_eq!(positions, (before + 1..=before + 50).collect::<Vec<_>>());
}
