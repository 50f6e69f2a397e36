//! Random commands in a small company. Whatever is asked, the events that come of it obey the rules: [`witness`] checks
//! them one by one from the events alone, with no look at the states that the rules decide on.

mod tally;
mod tape;
mod wish;
mod witness;
mod world;

use std::cell::RefCell;

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{
    tally::Tally,
    tape::{STEP_BYTES, Tape},
    world::World,
};

const SEQUENCES: u32 = 10_000;
const SAMPLED_SEQUENCES: u32 = 2_000;
const COMMANDS_MAX: usize = 40;

/// A company to begin with, and bytes from which each command is chosen: the first ones of a list where they are zero,
/// so that shrinking leads to plain commands.
fn sequences() -> impl Strategy<Value = (u8, Vec<[u8; STEP_BYTES]>)> {
    (any::<u8>(), vec(any::<[u8; STEP_BYTES]>(), 1..=COMMANDS_MAX))
}

/// Runs each sequence through the rules and the witness.
fn run(mut runner: TestRunner) -> Tally {
    let tally = RefCell::new(Tally::default());
    let outcome = runner.run(&sequences(), |(beginning, steps)| {
        let mut world = World::begin(beginning);
        for step in &steps {
            world.ask(&mut Tape::new(step), &mut tally.borrow_mut()).map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    tally.into_inner()
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

#[test]
fn whatever_is_asked_the_events_obey_the_rules() {
    run(TestRunner::new(config(SEQUENCES)));
}

/// Always the same sequences, so that what they reach is known: were the generator to rot, this would say so.
#[test]
fn random_sequences_reach_every_event_type_and_every_refusal() {
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = run(TestRunner::new_with_rng(config(SAMPLED_SEQUENCES), seed));
    println!("{tally}");
    tally.assert_reaches_everything();
}
