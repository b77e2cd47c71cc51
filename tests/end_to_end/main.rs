//! One event, and one customer, all the way: from a request to a row. The scenarios share one system, each in a
//! workspace of its own.

mod bad_input;
mod customers;
mod files;
mod kpis;
mod operations;
mod outreach;
mod profiles;
mod sdk;
mod shop;

use std::process::ExitCode;
use tributary_tests::{run, scenarios};

fn main() -> ExitCode {
    let scenarios = scenarios![
        customers::one_event_is_stored_once_however_often_it_is_sent,
        customers::logins_on_two_devices_make_one_customer_of_three,
        customers::people_on_a_shared_tablet_stay_two,
        customers::an_order_sent_by_two_systems_counts_once_and_a_refund_is_taken_off,
        customers::a_product_brings_its_lines_less_what_is_given_back_of_it,
        customers::kpis_are_what_sql_says_over_all_events,
        customers::a_kpi_that_is_not_what_sql_says_is_told,
        kpis::answers_leads_and_points_follow_their_customer,
        kpis::a_customer_is_worth_all_orders_ever_whatever_profiles_they_were_of,
        kpis::who_stays_and_who_leaves_is_told_at_every_mark,
        kpis::what_goes_wrong_with_orders_answers_and_times_has_its_outcome,
        outreach::an_email_counts_when_it_was_sent_and_once_however_often_it_is_opened,
        profiles::a_trait_is_chosen_by_its_rule_and_says_where_it_is_from,
        profiles::a_group_has_its_traits_and_its_members,
        outreach::bad_buzz_raises_an_alert,
        outreach::of_a_social_network_the_last_report_counts_and_every_mention,
        customers::explain_tells_why_a_customer_is_one,
        operations::what_is_entered_changes_the_past_and_what_is_taken_back_restores_it,
        operations::entries_that_cannot_be_are_refused_with_what_to_write,
        operations::who_refuses_to_be_stitched_is_not,
        operations::explain_tells_the_way_between_two_and_who_it_was_when,
        operations::a_simulated_customer_base_is_recognised_as_its_truth_says,
        sdk::a_visit_with_the_real_sdk_is_one_customer,
        files::a_file_is_imported_once_and_its_bad_rows_are_told,
        files::a_json_file_is_imported_by_pointers,
        bad_input::a_bad_event_is_refused_alone_and_kept_as_a_dead_letter,
        bad_input::requests_that_are_wrong_as_a_whole_say_why,
        bad_input::compressed_requests_are_taken_and_bombs_are_not,
        bad_input::identifiers_that_nobody_can_use_are_told_and_join_nobody,
        bad_input::a_clock_that_is_years_wrong_is_corrected,
        bad_input::who_says_very_much_stops_nobody,
        bad_input::every_partition_tells_up_to_when_it_is_complete_and_what_is_late_is_counted,
        bad_input::a_topic_with_too_few_partitions_is_named,
    ];
    run(env!("CARGO_BIN_EXE_tributary"), profiles::TRAITS, scenarios)
}
