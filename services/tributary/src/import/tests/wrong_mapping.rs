//! A mapping that does not fit is told before anything is sent.

use super::*;

fn usage(mapping: &str, content: &str, parts: &[&str]) {
    let world = World::new(Behaviour::default());
    match world.run(&world.options(mapping, content)) {
        Err(Error::Usage(message)) => {
            for part in parts {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
        }
        other => panic!("{other:?} instead of an error with {parts:?}"),
    }
    assert!(world.ingest.events().is_empty(), "something was sent");
}

#[test]
fn a_wrong_mapping_is_named_before_anything_is_sent() {
    let valid = rows(1);
    usage(
        &MAPPING.replace("separator", "seperator"),
        &valid,
        &["seperator", "`separator`"],
    );
    usage(
        &MAPPING.replace("user_id", "costumer_id"),
        &valid,
        &["`fields.costumer_id`", "user_id, crm_id"],
    );
    usage(
        &MAPPING.replace("event =", "evnt ="),
        &valid,
        &["`constants.evnt`", "event"],
    );
    usage(
        &MAPPING.replace("\";\"", "\";;\""),
        &valid,
        &["`separator`", "blanks"],
    );
    usage(
        &MAPPING.replace("%d.%m.%Y", "%E"),
        &valid,
        &["`dates`", "%E"],
    );
    usage(
        &format!("time_zone = \"Nowhere\"\n{MAPPING}"),
        &valid,
        &["`time_zone`", "Nowhere"],
    );
    usage(&MAPPING.replace("csv", "xlsx"), &valid, &["xlsx", "csv"]);
    usage(
        &MAPPING.replace("event = \"Order Completed\"", ""),
        &valid,
        &["event"],
    );
    usage(
        &MAPPING.replace("user_id = \"customer\"", ""),
        &valid,
        &["no identifier", "email"],
    );
    usage(
        &MAPPING.replace("\"sum\"", "0"),
        &valid,
        &["`fields.total`", "numbered from 1"],
    );
    usage(
        &format!("{MAPPING}user_id = \"me\"\n"),
        &valid,
        &["`user_id`", "both"],
    );
    usage(
        &MAPPING.replace("\"sum\"", "{ column = \"sum\", as = \"text\" }"),
        &valid,
        &["`fields.total`", "number"],
    );
}

#[test]
fn a_missing_column_is_named_beside_those_that_there_are() {
    usage(
        &MAPPING.replace("\"sum\"", "\"amount\""),
        &rows(1),
        &["line 1", "`amount`", "`customer`, `day`, `sum`"],
    );
    usage(
        &MAPPING.replace("\"sum\"", "4"),
        &rows(1),
        &["`fields.total`", "column 4"],
    );
    usage(
        MAPPING,
        "customer;day;sum;day\na;31.12.1998;1;x\n",
        &["`day` twice"],
    );
}

#[test]
fn a_wrong_separator_is_guessed_right() {
    usage(
        &MAPPING.replace("\";\"", "\",\""),
        &rows(1),
        &["no separator \",\"", "it has \";\""],
    );
    usage(
        &MAPPING.replace("\";\"", "\"tab\""),
        &rows(1),
        &["no separator \"tab\"", "it has \";\""],
    );
}

#[test]
fn a_file_of_which_no_row_fits_is_not_a_file_of_bad_rows() {
    usage(
        &MAPPING.replace("%d.%m.%Y", "%Y-%m-%d"),
        &rows(200),
        &["none of the first 100 rows", "timestamp", "%Y-%m-%d"],
    );
}
