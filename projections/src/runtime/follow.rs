//! Following the log for all models that have tables of their versions.
//!
//! Of several processes, one leads: it has the lease, and writes. The others look on how far it has come, and take over when it
//! ends. One that finds tables of a later version than its own ends: the process that made these keeps all of them.
//!
//! Models stand at one position, and each batch takes all of them to the next. One may be behind: it stopped, and goes on now that
//! it was mended, or its tables are from a process that did not know the others. Those who are behind go on by themselves,
//! no further than to the next ones, while the log brings nothing new to the others, and else in turn with these.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dealog_events::{Cursor, Envelope, Event, Position, ReadError};
use dealog_followers::{Follower, Lease, OtherHistory, Status, Trouble, Turn};
use dealog_store::{EventStore, failpoints};
use tokio::{
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, error::TryRecvError},
    },
    time::timeout,
};

use super::{
    batch::{Model, Written, trouble, write},
    checkpoint, lease, standing,
    status::Told,
    worker::Limits,
};
use crate::{Database, ProjectionError};

/// How long the others wait for a model whose tables are in place, which takes no longer than to clear up behind a build.
const DUE: Duration = Duration::from_secs(1);

/// The models that have tables, and the lease to write them.
pub(super) struct Live {
    store: Arc<dyn EventStore>,
    database: Database,
    limits: Limits,
    pub(super) models: Vec<Model>,
    pub(super) coming: Option<Coming>,
    lease: Option<Lease>,
    told: Told,
    /// The position from which the last turn goes on.
    from: Position,
    /// The checkpoints may be other ones than this process knows.
    moved: bool,
    /// It is the turn of those who are behind.
    turn_of_those_behind: bool,
    /// What went wrong last, with all that is known of it.
    pub(super) error: Option<ProjectionError>,
}

/// Models whose tables are still being made.
pub(super) struct Coming {
    /// They come here when their tables are in place. Closed once there are no more.
    pub(super) models: UnboundedReceiver<Model>,
    /// Their names and versions.
    pub(super) expected: Vec<(&'static str, i64)>,
    /// Has whoever makes them look whether another process has done so.
    pub(super) look: Arc<Notify>,
    /// The tables of one are in place, and it is still to come.
    pub(super) one_is_due: bool,
}

impl Coming {
    /// Waits for the one that is due. Of one that does not come all the same, nothing more is expected: whatever becomes of it, it
    /// finds the others where they are by then.
    async fn next(&mut self) -> Option<Model> {
        if !std::mem::take(&mut self.one_is_due) {
            return None;
        }
        self.look.notify_one();
        let came = timeout(DUE, self.models.recv()).await.ok().flatten();
        if came.is_none() {
            self.expected.clear();
        }
        came
    }
}

impl Live {
    pub(super) fn new(store: Arc<dyn EventStore>, database: Database, limits: Limits, told: Told) -> Self {
        Self {
            store,
            database,
            limits,
            models: Vec::new(),
            coming: None,
            lease: None,
            told,
            from: Position::ZERO,
            moved: false,
            turn_of_those_behind: false,
            error: None,
        }
    }

    /// Whether it does not lead, or has brought all that go on to one position.
    pub(super) fn has_done_its_part(&self) -> bool {
        let front = self.front();
        let mut going = self.models.iter().filter(|model| model.stopped.is_none());
        self.lease.is_none() || going.all(|model| model.at.position == front)
    }

    /// The error of the first model that goes no further, if one does not.
    pub(super) fn stopped(&self) -> Option<ProjectionError> {
        self.models.iter().find_map(|model| {
            let (position, reason) = model.stopped.clone()?;
            Some(ProjectionError::ModelStopped { model: model.projection.name().to_owned(), position, reason })
        })
    }

    /// How far those who go on have come; where none does, how far any has.
    fn front(&self) -> Position {
        let positions = |go_on: bool| {
            let models = self.models.iter().filter(move |model| model.stopped.is_none() == go_on);
            models.map(|model| model.at.position).max()
        };
        positions(true).or_else(|| positions(false)).unwrap_or_default()
    }

    async fn next_turn(&mut self) -> Result<Turn, ProjectionError> {
        self.error = None;
        failpoints::pass("worker")?;
        let making = self.take_in().await;
        if self.models.is_empty() && making {
            return Ok(Turn::Wait(Position::ZERO));
        }
        if !self.models.is_empty() && !self.lead().await? {
            self.look().await?;
            return Ok(Turn::Wait(self.front()));
        }
        let turn = self.stretch();
        if turn.is_none() && making {
            return Ok(Turn::Wait(self.front()));
        }
        turn.ok_or_else(|| ProjectionError::Ended(self.told.first_stop().unwrap_or_else(|| "no model goes on".into())))
    }

    /// Takes in models whose tables are there now, and says whether more are being made.
    async fn take_in(&mut self) -> bool {
        let Some(coming) = &mut self.coming else { return false };
        let mut due = coming.next().await;
        loop {
            match due.take().map_or_else(|| coming.models.try_recv(), Ok) {
                Ok(model) => {
                    coming.expected.retain(|(name, _)| *name != model.projection.name());
                    self.models.push(model);
                    self.moved = true;
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Whether this process leads: it has the lease, or can have it.
    async fn lead(&mut self) -> Result<bool, ProjectionError> {
        let renewed = if let Some(lease) = &mut self.lease {
            match self.database.keep_lease(lease).await {
                Err(ProjectionError::LeaseLost) => {
                    self.lost();
                    return Ok(false);
                }
                renewed => renewed?,
            }
        } else {
            self.lease = self.database.take_lease(lease::OF_ALL, self.limits.lease).await?;
            if self.lease.is_none() {
                return Ok(false);
            }
            // Where another process stopped, this one may get by.
            self.models.iter_mut().for_each(|model| model.stopped = None);
            true
        };
        // Where nothing new comes, no batch would find that the tables are elsewhere than this process thinks.
        if renewed || self.moved {
            self.look().await?;
        }
        Ok(true)
    }

    /// Looks how far the tables are, which others may have written, or a crash of their server may have taken back.
    async fn look(&mut self) -> Result<(), ProjectionError> {
        let leads = self.lease.is_some();
        let mut db = self.database.glance().await?;
        let mut found = checkpoint::all(&mut db).await?;
        let stops = if leads { Vec::new() } else { standing::stops_of_all(&mut db).await? };
        db.rollback().await?;
        let head = self.store.head().await?;
        for model in &mut self.models {
            let (name, version) = (model.projection.name(), model.projection.version());
            let found = found.remove(name).ok_or_else(|| ProjectionError::Damaged("a checkpoint is gone".into()))?;
            found.must_be_of(version)?;
            found.must_be_within(&head)?;
            if found != model.at {
                if leads {
                    found.must_be_of_this_history(&*self.store).await?;
                    model.stopped = None;
                }
                model.found(found);
            }
            if !leads {
                let stop = stops.iter().find(|(of, at, _)| (of.as_str(), *at) == (name, version));
                model.stopped = stop.map(|(.., stop)| (stop.position, stop.reason.clone()));
            }
        }
        self.moved = false;
        self.tell();
        Ok(())
    }

    /// What is to be done next; none where no model goes on.
    fn stretch(&mut self) -> Option<Turn> {
        let going = || self.models.iter().filter(|model| model.stopped.is_none()).map(|model| model.at.position);
        let (last, front) = (going().min()?, going().max()?);
        let next = going().filter(|position| *position > last).min();
        let nothing_new = *self.store.watch().borrow() <= front;
        let until = next.filter(|_| nothing_new || self.turn_of_those_behind);
        self.turn_of_those_behind = until.is_none();
        self.from = if until.is_some() { last } else { front };
        let proof = self.models.iter().filter(|model| model.goes_on_from(self.from)).find_map(|model| model.at.proof);
        let cursor = Cursor { position: self.from, proof };
        Some(until.map_or(Turn::Go(cursor), |until| Turn::Until(cursor, until)))
    }

    async fn write(&mut self, events: &[(Envelope, Event)], reached: Cursor) -> Result<(), ProjectionError> {
        let Self { database, models, from, coming, .. } = self;
        let lease = self.lease.as_ref().ok_or(ProjectionError::LeaseLost)?;
        let expected = coming.as_ref().map_or(&[][..], |coming| &coming.expected);
        let stretch = (*from, reached);
        let mut written = write(database, lease, models, expected, stretch, events, false).await;
        if events.len() == 1 && written.as_ref().is_err_and(|error| error.poison().is_some()) {
            // It stands alone: who cannot apply it stops here, and the others go on.
            written = write(database, lease, models, expected, stretch, events, true).await;
        }
        match written {
            Ok(Written::All) => self.tell(),
            Ok(Written::Nothing) => {
                self.moved = true;
                return Err(ProjectionError::LeaseLost);
            }
            Ok(Written::Joined) => {
                if let Some(coming) = &mut self.coming {
                    coming.one_is_due = true;
                }
                return Err(ProjectionError::LeaseLost);
            }
            Err(error) => {
                if matches!(error, ProjectionError::LeaseLost) {
                    self.lost();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn lost(&mut self) {
        tracing::warn!("another worker has taken over the read models");
        self.lease = None;
    }

    /// Tells how all of them are doing.
    fn tell(&self) {
        let front = self.front();
        self.told.tell(self.models.iter().map(|model| {
            let position = model.at.position;
            let far = front.0.saturating_sub(position.0) > self.limits.batch_events_max as u64;
            let status = match &model.stopped {
                Some((_, reason)) => Status::Stopped { position, reason: reason.clone() },
                None if far => Status::CatchingUp { position, head: front },
                None => Status::Following(position),
            };
            (model.projection.name(), status)
        }));
    }

    fn failed(&mut self, error: ProjectionError) -> Trouble {
        let trouble = trouble(&error);
        match (&error, &trouble) {
            (ProjectionError::Damaged(_), _) => self.database.distrust(&error.to_string()),
            (_, Trouble::Away(_)) => tracing::error!(%error, "the read models wait for their database"),
            _ => {}
        }
        self.error = Some(error);
        trouble
    }
}

#[async_trait]
impl Follower for Live {
    type Item = (Envelope, Event);

    fn name(&self) -> &'static str {
        "models"
    }

    /// Some are behind the others, and follow by themselves.
    fn has_more(&self) -> bool {
        let front = self.front();
        self.models.iter().any(|model| model.stopped.is_none() && model.at.position < front)
    }

    fn prepare(event: Envelope) -> Result<Self::Item, ReadError> {
        let said = event.event()?;
        Ok((event, said))
    }

    async fn turn(&mut self) -> Result<Turn, Trouble> {
        let turn = self.next_turn().await;
        turn.map_err(|error| self.failed(error))
    }

    async fn handle(&mut self, events: Vec<Self::Item>, reached: Cursor) -> Result<(), Trouble> {
        let written = self.write(&events, reached).await;
        written.map_err(|error| self.failed(error))
    }

    async fn begin_again(&mut self, found: &OtherHistory) -> Result<(), Trouble> {
        let error = ProjectionError::from(*found);
        Err(self.failed(error))
    }

    /// An event that says nothing to any of them.
    async fn stopped(&mut self, at: Position, reason: &str) -> Result<(), Trouble> {
        let stop = async {
            let reason = ProjectionError::Unapplicable { position: at, reason: reason.to_owned() }.to_string();
            let mut db = self.database.write().await?;
            let found = checkpoint::locked(&mut db).await?;
            for model in self.models.iter_mut().filter(|model| model.goes_on_from(self.from)) {
                let name = model.projection.name();
                // Another worker may have come further meanwhile.
                if found.get(name) == Some(&model.at) {
                    standing::stops(&mut db, name, model.at.version, at, reason.clone()).await?;
                    model.stop(at, reason.clone());
                }
            }
            db.commit().await?;
            Ok::<_, ProjectionError>(())
        };
        let stopped = stop.await;
        self.tell();
        stopped.map_err(|error| self.failed(error))
    }

    async fn rest(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.database.give_back(lease).await;
        }
    }
}
