//! The paths of deals: the stages that they entered, in order. Many deals share a path, and each path is kept once.

use serde::{Deserialize, Serialize};

use crate::{
    image::Image,
    names::{Name, Names},
    resolved::Resolved,
    step::Status,
};

/// The last stage of a path, and the path before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Visited {
    /// The stages before; none where the deal began in this one.
    pub before: Option<Name>,
    /// The stage that it entered.
    pub stage: Name,
    /// Whether it was won in the stage before, and then reopened.
    pub after_win: bool,
}

/// Where the deals of one path were in one pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// Its index in [`Resolved::pipelines`].
    pub(crate) pipeline: usize,
    /// The place of the stage that they were last in.
    pub(crate) last: usize,
    /// The place of the furthest stage that they ever were in. A deal ever won reached all.
    pub(crate) furthest: usize,
    /// Whether they began in it. If not, they came by a transfer.
    pub(crate) begins: bool,
    /// Whether they still are in it.
    pub(crate) stays: bool,
}

/// What became of a deal in a pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Became {
    pub(crate) what: What,
    /// The place of the stage that it was last in.
    pub(crate) last: usize,
    /// The place of the furthest stage that it ever was in.
    pub(crate) furthest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Open,
    Won,
    Lost,
    Left,
    Excluded,
}

/// For each path, the pipelines that it leads through. Stages have the order of the instant asked about.
#[derive(Debug)]
pub(crate) struct Courses(Vec<Vec<Course>>);

impl Courses {
    pub(crate) fn new(resolved: &Resolved<'_>) -> Self {
        let Image { paths, .. } = resolved.image;
        let mut all: Vec<Vec<Course>> = Vec::with_capacity(paths.len());
        // Every path is named after the path that it extends.
        for (_, visited) in paths.iter() {
            let before = visited.before.and_then(|before| all.get(before.index()));
            let mut courses = before.cloned().unwrap_or_default();
            for course in courses.iter_mut().filter(|course| course.stays) {
                if visited.after_win {
                    course.furthest = last_place(resolved, course.pipeline);
                }
                course.stays = false;
            }
            if let Some(stage) = resolved.stage(visited.stage) {
                let (pipeline, last) = (stage.pipeline, stage.place);
                if let Some(course) = courses.iter_mut().find(|course| course.pipeline == pipeline) {
                    (course.last, course.furthest, course.stays) = (last, course.furthest.max(last), true);
                } else {
                    let begins = visited.before.is_none();
                    courses.push(Course { pipeline, last, furthest: last, begins, stays: true });
                }
            }
            all.push(courses);
        }
        Self(all)
    }

    /// The pipelines that a path leads through, in the order in which it came to them.
    pub(crate) fn of(&self, path: Name) -> &[Course] {
        self.0.get(path.index()).map_or(&[], Vec::as_slice)
    }
}

impl Course {
    /// What became of a deal of this path in this pipeline, given where it stands.
    pub(crate) fn became(&self, resolved: &Resolved<'_>, status: Status) -> Became {
        let Self { last, mut furthest, .. } = *self;
        let what = match status {
            Status::Excluded => What::Excluded,
            _ if !self.stays => What::Left,
            Status::Open => What::Open,
            Status::Lost => What::Lost,
            Status::Won => {
                furthest = last_place(resolved, self.pipeline);
                What::Won
            }
        };
        Became { what, last, furthest }
    }
}

fn last_place(resolved: &Resolved<'_>, pipeline: usize) -> usize {
    resolved.pipelines.get(pipeline).map_or(0, |pipeline| pipeline.stages.len()).saturating_sub(1)
}

/// The paths that deals took.
pub(crate) type Paths = Names<Visited>;
