//! What every back end of the log promises: one body of tests, run against each of them.
//!
//! A back end is a [`Backend`]: a place that logs can be opened at, and a way past the store into its database. Adding one
//! means adding a module that implements it and a line of `conformance!`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "conformance/backend.rs"]
mod backend;
#[path = "conformance/contents.rs"]
mod contents;
#[path = "conformance/nothing.rs"]
mod nothing;
#[path = "conformance/order.rs"]
mod order;
#[path = "conformance/reading.rs"]
mod reading;
#[path = "conformance/tokens.rs"]
mod tokens;
#[path = "conformance/verdicts.rs"]
mod verdicts;

macro_rules! conformance {
    ($backend:ident: $($room:ident { $($test:ident),+ $(,)? })+) => {
        mod $backend {
            $(mod $room {
                $(#[tokio::test]
                async fn $test() {
                    crate::$room::$test::<crate::backend::$backend::Somewhere>().await;
                })+
            })+
        }
    };
    // The list of tests stands once, whatever the number of back ends.
    ($($backend:ident),+) => {
        $(conformance! { $backend:
            verdicts {
                a_stream_grows_from_the_version_that_was_expected,
                an_append_to_a_version_that_has_passed_is_a_conflict,
                a_stream_that_was_read_must_be_unchanged,
                an_append_sees_what_the_ones_before_it_in_its_batch_did,
                a_conflict_does_not_harm_its_neighbours_in_the_batch,
                a_rejected_append_leaves_no_gap,
                a_command_sent_again_gets_its_first_outcome,
                a_command_sent_twice_in_one_batch_is_appended_once,
                a_command_id_used_for_something_else_is_refused,
                a_command_is_remembered_only_if_it_appended,
                a_command_is_remembered_by_a_log_opened_again,
                time_does_not_run_backwards_within_a_stream,
                data_that_is_not_a_json_object_is_malformed,
                more_events_than_a_command_may_have_are_refused,
                more_bytes_than_an_event_may_have_are_refused,
                a_stream_does_not_grow_beyond_its_limit,
                a_full_queue_refuses_and_keeps_what_it_took,
            }
            nothing {
                a_command_that_changed_nothing_gets_its_first_outcome,
                that_there_is_nothing_to_do_is_checked_like_any_append,
                commands_that_change_nothing_share_a_commit_with_others,
                a_stream_at_its_limit_can_still_be_told_to_change_nothing,
                commands_that_changed_nothing_are_kept_as_long_as_they_must_be,
            }
            order {
                calls_are_appended_in_the_order_they_were_made,
                two_writers_of_one_log_share_one_order_without_gaps,
                two_writers_of_one_stream_never_both_win,
                a_dropped_future_has_appended_all_the_same,
                an_acknowledged_append_can_be_read_at_once,
                followers_wake_at_every_commit,
                recorded_at_does_not_run_backwards_when_the_clock_does,
                a_log_opened_again_keeps_its_identity_and_its_end,
                a_closed_log_has_answered_all_that_waited_and_takes_no_more,
            }
            contents {
                every_field_comes_back_as_it_was_given,
                event_ids_follow_from_the_command,
                data_is_kept_to_the_byte,
                the_largest_event_is_kept_to_the_byte,
                many_of_the_largest_commands_fit_in_one_queue,
                the_database_refuses_to_alter_an_event,
                the_database_refuses_to_delete_an_event,
                the_database_refuses_to_forget_a_command,
                the_database_refuses_to_move_the_head_back,
                a_gap_is_reported_as_damage,
                a_row_that_cannot_be_read_is_reported_as_damage,
            }
            reading {
                an_empty_log_has_nothing_to_read,
                a_page_holds_what_follows_its_start,
                a_page_is_never_longer_than_the_limit_of_the_log,
                pages_put_together_are_the_log,
                a_stream_is_read_by_its_versions,
                a_long_stream_is_read_from_anywhere_in_it,
                a_stream_that_does_not_exist_has_no_events,
                only_the_types_asked_for_are_read,
                each_type_of_the_log_is_told_once,
                a_rare_type_is_found_without_a_look_at_all_others,
                a_page_ends_by_its_bytes_too,
                who_reads_the_log_keeps_no_command_waiting,
                a_position_beyond_the_end_reads_nothing,
            }
            tokens {
                a_token_comes_back_as_it_was_given,
                a_token_added_beside_a_running_server_is_seen_by_it,
                a_token_is_revoked_once_and_kept,
                each_log_has_a_key_of_its_own_which_stays_once_there_are_tokens,
                the_database_refuses_to_alter_or_delete_a_token,
            }
        })+
    };
}

conformance!(sqlite, postgres);
