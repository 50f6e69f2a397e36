//! Named limits of callers.

use std::time::Duration;

/// How long a caller's questions wait, and how fast they may send commands.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a question waits for its `min_position`, or for figures or read models that catch up with the log.
    pub min_position_wait: Duration,
    /// Commands of a seller that are carried out in a second. A command counts as many times as it appends events.
    pub seller_commands_per_second: u32,
    /// Those that may come at once.
    pub seller_commands_burst: u32,
    /// The same for people of other roles.
    pub person_commands_per_second: u32,
    /// Those that may come at once.
    pub person_commands_burst: u32,
    /// The same for services.
    pub service_commands_per_second: u32,
    /// Those that may come at once.
    pub service_commands_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_position_wait: Duration::from_secs(5),
            seller_commands_per_second: 30,
            seller_commands_burst: 300,
            person_commands_per_second: 100,
            person_commands_burst: 1_000,
            service_commands_per_second: 5_000,
            service_commands_burst: 20_000,
        }
    }
}
