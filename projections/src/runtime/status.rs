//! How the models of this process are doing. What other processes can see of them is in `standing.rs`.

use std::sync::Arc;

use dealog_events::Position;
use dealog_followers::Status;
use tokio::sync::watch;

use crate::Projection;

/// How a model is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// Its name.
    pub name: &'static str,
    /// The version of it that this process has.
    pub version: i64,
    /// How it is doing. It is catching up while there are no tables of this version, which are being made then.
    pub status: Status,
}

/// How the models of a worker are doing, now and from now on.
#[derive(Debug, Clone)]
pub struct Watch {
    models: watch::Receiver<Vec<ModelStatus>>,
    /// How it goes with following the log, which concerns all of them.
    following: watch::Receiver<Status>,
}

impl Watch {
    /// How all of them are doing.
    pub fn now(&self) -> Vec<ModelStatus> {
        let mut models = self.models.borrow().clone();
        let following = self.following.borrow();
        for ModelStatus { status, .. } in &mut models {
            let Status::Following(position) = *status else { continue };
            match &*following {
                Status::Waiting { reason, .. } => *status = Status::Waiting { position, reason: reason.clone() },
                Status::Stopped { reason, .. } => *status = Status::Stopped { position, reason: reason.clone() },
                Status::Following(_) | Status::CatchingUp { .. } => {}
            }
        }
        models
    }

    /// How the model of this name is doing; none where it is not among them.
    pub fn of(&self, name: &str) -> Option<Status> {
        self.now().into_iter().find(|model| model.name == name).map(|model| model.status)
    }

    /// Whether there are no tables yet of one of them that can be asked.
    pub fn is_catching_up(&self) -> bool {
        self.models.borrow().iter().any(|model| model.status.is_catching_up())
    }

    /// Whether the worker has ended: nothing more will be told.
    pub fn has_ended(&self) -> bool {
        self.following.has_changed().is_err()
    }

    /// Waits until something is another way; false where the worker has ended.
    pub async fn changed(&mut self) -> bool {
        let Self { models, following } = self;
        tokio::select! {
            changed = following.changed() => changed.is_ok(),
            changed = models.changed() => changed.is_ok(),
        }
    }

    /// Waits until they are as `wanted`; false where the worker ends before.
    pub async fn wait_for(&mut self, wanted: impl Fn(&[ModelStatus]) -> bool) -> bool {
        loop {
            if wanted(&self.now()) {
                return true;
            }
            if !self.changed().await {
                return wanted(&self.now());
            }
        }
    }
}

/// Tells how the models of a worker are doing. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Told(Arc<watch::Sender<Vec<ModelStatus>>>);

impl Told {
    /// Nobody knows yet how far these are.
    pub(super) fn of(models: &[Box<dyn Projection>]) -> Self {
        let unknown = Status::Following(Position::ZERO);
        let models = models.iter().map(|model| ModelStatus {
            name: model.name(),
            version: model.version(),
            status: unknown.clone(),
        });
        Self(Arc::new(watch::Sender::new(models.collect())))
    }

    pub(super) fn watch(&self, following: &watch::Sender<Status>) -> Watch {
        Watch { models: self.0.subscribe(), following: following.subscribe() }
    }

    /// Tells how some of them are doing now. Whoever waits is woken only where something is another way.
    pub(super) fn tell(&self, news: impl IntoIterator<Item = (&'static str, Status)>) {
        self.0.send_if_modified(|models| {
            let mut changed = false;
            for (name, new) in news {
                let Some(model) = models.iter_mut().find(|model| model.name == name) else { continue };
                changed |= model.status != new;
                model.status = new;
            }
            changed
        });
    }

    /// How far one was by what was told of it last.
    pub(super) fn position(&self, name: &str) -> Position {
        let models = self.0.borrow();
        models.iter().find(|model| model.name == name).map_or(Position::ZERO, |model| model.status.position())
    }

    /// Why the first that goes no further does not.
    pub(super) fn first_stop(&self) -> Option<String> {
        let models = self.0.borrow();
        models.iter().find_map(|ModelStatus { status, .. }| match status {
            Status::Stopped { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }
}
