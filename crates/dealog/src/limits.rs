//! All limits, by the names that docs/settings.md lists. Each room has its own with their defaults; what is set here takes their
//! place.

use std::time::Duration;

use dealog_projections::ImageLimits;
use dealog_store::sqlite::JournalLimits;
use serde::Deserialize;

/// The limits of each room.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "Set")]
pub(crate) struct Limits {
    pub(crate) store: dealog_store::Limits,
    /// Of the log and of the read models.
    pub(crate) journal: JournalLimits,
    pub(crate) commands: dealog_commands::Limits,
    pub(crate) worker: dealog_projections::Limits,
    pub(crate) image: ImageLimits,
    pub(crate) app: dealog_app::Limits,
    pub(crate) api: dealog_api::Limits,
}

/// Declares what can be set: its name and type, and the limit of a room that it is, with the unit where that is a time.
macro_rules! limits {
    ($($name:ident: $type:ty => $room:ident.$field:ident $(in $unit:ident)?;)+) => {
        /// Limits that are set; the others stand as each room has them.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Set {
            $($name: Option<$type>,)+
        }

        impl TryFrom<Set> for Limits {
            type Error = String;

            fn try_from(set: Set) -> Result<Self, String> {
                let mut rooms = Self::default();
                $(if let Some(limit) = set.$name {
                    if limit == 0 && !MAY_BE_NONE.contains(&stringify!($name)) {
                        return Err(format!("the limit {} must be at least 1", stringify!($name)));
                    }
                    rooms.$room.$field = limits!(@value limit $($unit)?);
                })+
                // The log gives what the API may be asked for.
                let page = rooms.api.page_events_max as usize;
                rooms.store.page_events_max = rooms.store.page_events_max.max(page);
                rooms.commands.stream_events_max = rooms.store.stream_events_max;
                rooms.store.journal = rooms.journal;
                Ok(rooms)
            }
        }

        /// Each name with its default.
        #[cfg(test)]
        fn defaults() -> Vec<(&'static str, u128)> {
            let rooms = Limits::default();
            vec![$((stringify!($name), limits!(@default rooms.$room.$field, $($unit)?)),)+]
        }
    };
    (@value $limit:ident) => { $limit };
    (@value $limit:ident milliseconds) => { Duration::from_millis($limit) };
    (@value $limit:ident seconds) => { Duration::from_secs($limit) };
    (@default $limit:expr,) => { u128::try_from($limit).unwrap_or_default() };
    (@default $limit:expr, milliseconds) => { $limit.as_millis() };
    (@default $limit:expr, seconds) => { u128::from($limit.as_secs()) };
}

limits!(
    queue_length_max: usize => store.queue_length_max;
    batch_appends_max: usize => store.batch_appends_max;
    append_events_max: usize => store.append_events_max;
    stream_events_max: u64 => store.stream_events_max;
    unchanged_commands_hours_min: u64 => store.unchanged_commands_hours_min;
    page_bytes_max: usize => store.page_bytes_max;
    read_connections_max: u32 => store.read_connections_max;
    command_connections_max: u32 => store.command_connections_max;
    scrub_events_per_second: u32 => store.scrub_events_per_second;
    wal_bytes_max: u64 => journal.wal_bytes_max;
    wal_wait_ms: u64 => journal.wal_wait in milliseconds;
    database_connect_seconds: u64 => store.database_connect_timeout in seconds;
    database_lock_seconds: u64 => store.database_lock_timeout in seconds;
    database_statement_seconds: u64 => store.database_statement_timeout in seconds;
    stream_reserved_percent: u64 => commands.stream_reserved_percent;
    backdate_days_max: u32 => commands.backdate_days_max;
    cached_streams_max: u64 => commands.cached_streams_max;
    command_attempts_max: u32 => commands.attempts_max;
    projection_batch_events_max: usize => worker.batch_events_max;
    projection_build_events_max: usize => worker.build_events_max;
    projection_lease_ms: u64 => worker.lease in milliseconds;
    figures_snapshot_events_min: u64 => image.snapshot_events_min;
    figures_last_snapshot_events_min: u64 => image.last_snapshot_events_min;
    body_bytes_max: usize => api.body_bytes_max;
    bodies_bytes_max: usize => api.bodies_bytes_max;
    url_bytes_max: usize => api.url_bytes_max;
    header_bytes_max: usize => api.header_bytes_max;
    page_items_max: u32 => api.page_items_max;
    page_events_max: u32 => api.page_events_max;
    response_bytes_max: u64 => api.response_bytes_max;
    groups_max: usize => api.groups_max;
    idempotency_key_chars_max: usize => api.idempotency_key_chars_max;
    min_position_wait_ms: u64 => app.min_position_wait in milliseconds;
    request_ms: u64 => api.request_time in milliseconds;
    write_stall_ms: u64 => api.write_stall in milliseconds;
    write_bytes_min: usize => api.write_bytes_min;
    connections_max: usize => api.connections_max;
    connections_per_address_max: usize => api.connections_per_address_max;
    head_ms: u64 => api.head_time in milliseconds;
    idle_ms: u64 => api.idle_time in milliseconds;
    body_ms: u64 => api.body_time in milliseconds;
    failed_attempts_max: u32 => api.failed_attempts_max;
    failed_attempts_window_seconds: u64 => api.failed_attempts_window in seconds;
    seller_commands_per_second: u32 => app.seller_commands_per_second;
    seller_commands_burst: u32 => app.seller_commands_burst;
    person_commands_per_second: u32 => app.person_commands_per_second;
    person_commands_burst: u32 => app.person_commands_burst;
    service_commands_per_second: u32 => app.service_commands_per_second;
    service_commands_burst: u32 => app.service_commands_burst;
    audit_file_bytes_max: u64 => api.audit_file_bytes_max;
    audit_files_max: u32 => api.audit_files_max;
    audit_queue_max: usize => api.audit_queue_max;
    subscribers_max: usize => api.subscribers_max;
    subscribers_per_caller_max: usize => api.subscribers_per_caller_max;
    heavy_queries_max: usize => api.heavy_queries_max;
    log_queries_max: usize => api.log_queries_max;
    light_queries_max: usize => api.light_queries_max;
    queries_waiting_per_caller_max: usize => api.queries_waiting_per_caller_max;
    subscriber_queue_events_max: usize => api.subscriber_queue_events_max;
    subscriber_queue_bytes_max: usize => api.subscriber_queue_bytes_max;
    subscriber_pages_bytes_max: usize => api.subscriber_pages_bytes_max;
    subscriber_keep_alive_ms: u64 => api.subscriber_keep_alive in milliseconds;
);

/// Those that may be zero: nothing is kept, nothing is waited for. With no more of the others nothing works.
const MAY_BE_NONE: [&str; 4] =
    ["stream_reserved_percent", "backdate_days_max", "cached_streams_max", "min_position_wait_ms"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_limit_with_its_default() {
        let page = include_str!("../../../docs/settings.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for (name, default) in defaults() {
            let row = rows.iter().find(|row| row.starts_with(&format!("| `{name}` | ")));
            let row = row.unwrap_or_else(|| panic!("docs/settings.md does not list {name}"));
            let listed: String = row.split('|').nth(2).unwrap().chars().filter(char::is_ascii_digit).collect();
            assert_eq!(listed, default.to_string(), "{row}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused_where_nothing_would_work() {
        let none = |name: &str| toml::from_str::<Limits>(&format!("{name} = 0"));
        for (name, _) in defaults() {
            match none(name) {
                Ok(_) => assert!(MAY_BE_NONE.contains(&name), "{name}"),
                Err(refused) => assert!(refused.to_string().contains(name), "{refused}"),
            }
        }
    }

    #[test]
    fn what_is_set_takes_the_place_of_the_default() {
        let rooms: Limits = toml::from_str("queue_length_max = 7\nrequest_ms = 1500\npage_events_max = 20000").unwrap();
        assert_eq!(rooms.store.queue_length_max, 7);
        assert_eq!(rooms.api.request_time, Duration::from_millis(1500));
        assert_eq!(rooms.store.page_events_max, 20_000);
        assert_eq!(rooms.store.batch_appends_max, dealog_store::Limits::default().batch_appends_max);
    }
}
