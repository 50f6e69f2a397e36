//! The list of aggregates. States, commands, rejections and the way from a command to its rule follow from it, so a new
//! aggregate is a module with its rules and one line here. `dealog_events` has the same list; this crate compiles only if
//! the two name the same aggregates.

use dealog_events::{Category, CustomerId, DealId, Event, PipelineId, TeamId, UserId};

use crate::{
    Common, Details, Standing, customer, deal,
    facts::{Id, Rule},
    pipeline, settings, team, user,
};

/// What the module of an aggregate provides for its state: the decider.
pub(crate) trait Aggregate: Default {
    /// What can be asked of it.
    type Command;
    /// What can happen to it.
    type Event;

    /// Whether `command` begins a stream: it is then decided without reading that stream first.
    fn begins_stream(command: &Self::Command) -> bool;

    /// What decides `command` of a caller who stands here. The rule names the streams that it reads, and is given the states
    /// of these alone.
    fn rule<'a>(&'a self, standing: Standing, command: &'a Self::Command) -> Rule<'a>;

    /// The state after one more event.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;
}

/// A line names the aggregate, its state before and after its first event, its module, and the id by which other rules read
/// it.
macro_rules! aggregates {
    ($($aggregate:ident($state:ty) in $module:ident, read by $id:ty;)+) => {
        /// What is known of a stream: `None` as long as it has no event.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum State {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $aggregate($state)),+
        }

        /// What someone asks for.
        #[derive(Debug, Clone)]
        pub enum Command {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $aggregate($module::Command)),+
        }

        /// Why a command was refused. The text says what to do instead.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            /// For a reason that aggregates have in common.
            #[error(transparent)]
            Common(#[from] Common),
            $(#[doc = concat!("For a reason in [`", stringify!($module), "`].")]
            #[error(transparent)]
            $aggregate(#[from] $module::Rejection)),+
        }

        impl State {
            /// The state before the first event of a stream of this category.
            pub fn empty(category: Category) -> Self {
                match category { $(Category::$aggregate => Self::$aggregate(<$state>::default())),+ }
            }
        }

        impl Command {
            /// Whether it begins a stream. Such a command can be decided without reading the stream first: the append
            /// checks that there is none.
            pub fn begins_stream(&self) -> bool {
                match self { $(Self::$aggregate(command) => <$state as Aggregate>::begins_stream(command)),+ }
            }
        }

        impl Rejection {
            /// What it says to programs.
            pub fn details(&self) -> Details {
                match self {
                    Self::Common(rejection) => rejection.details(),
                    $(Self::$aggregate(rejection) => rejection.details()),+
                }
            }
        }

        /// What decides `command`: the rule of its aggregate, if the stream is one of that.
        pub(crate) fn rule<'a>(state: &'a State, standing: Standing, command: &'a Command) -> Rule<'a> {
            match command {
                $(Command::$aggregate(command) => {
                    let State::$aggregate(state) = state else { return Rule::wrong_stream() };
                    state.rule(standing, command)
                })+
            }
        }

        /// The state after one more event. Total: an event of another aggregate leaves the state as it is, since only
        /// [`decide`](crate::decide) guards what gets into the log.
        #[must_use]
        pub fn evolve(state: State, event: &Event) -> State {
            match event {
                $(Event::$aggregate(event) => match state {
                    State::$aggregate(state) => State::$aggregate(state.evolve(event)),
                    of_another => of_another,
                }),+
            }
        }

        $(impl Id for $id {
            type State = $state;
            fn of(state: &State) -> Option<&$state> {
                if let State::$aggregate(state) = state { Some(state) } else { None }
            }
        })+
    };
}

aggregates! {
    Deal(Option<deal::Deal>) in deal, read by DealId;
    Pipeline(Option<pipeline::Pipeline>) in pipeline, read by PipelineId;
    Customer(Option<customer::Customer>) in customer, read by CustomerId;
    User(Option<user::User>) in user, read by UserId;
    Team(Option<team::Team>) in team, read by TeamId;
    Settings(settings::Settings) in settings, read by settings::TheSettings;
}
