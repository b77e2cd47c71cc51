//! Whole imports, against an ingest of a few lines that remembers what it was sent.

mod server;
mod wrong_mapping;

use super::*;
use serde_json::{Value, json};
use server::{Behaviour, Ingest};
use std::fs;
use tempfile::TempDir;
use tributary_platform::config::{Secret, Source, Workspace};

const MAPPING: &str = r#"
format = "csv"
separator = ";"
dates = ["%d.%m.%Y"]
[fields]
user_id = "customer"
timestamp = "day"
total = "sum"
[constants]
event = "Order Completed"
"#;

struct World {
    folder: TempDir,
    ingest: Ingest,
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        World {
            folder: tempfile::tempdir().unwrap(),
            ingest: Ingest::start(behaviour),
        }
    }

    fn options(&self, mapping: &str, content: &str) -> Options {
        let path = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Options {
            mapping: path("mapping.toml", mapping),
            file: path("till.csv", content),
            ingest: Some(self.ingest.url()),
            write_key: Some("a-key".to_owned()),
            rejects: Some(self.folder.path().join("rejects.csv")),
            ..Options::default()
        }
    }

    fn run(&self, options: &Options) -> Result<Summary, Error> {
        let config = Config {
            data: self.folder.path().join("data"),
            ..Config::default()
        };
        run_with(options, &config, Duration::ZERO)
    }

    fn rejects(&self) -> String {
        fs::read_to_string(self.folder.path().join("rejects.csv")).unwrap_or_default()
    }
}

fn rows(count: usize) -> String {
    let rows: String = (0..count)
        .map(|row| format!("c{row};31.12.1998;{row}.50\n"))
        .collect();
    format!("customer;day;sum\n{rows}")
}

fn one_event(mapping: &str, content: &str) -> Value {
    let world = World::new(Behaviour::default());
    let options = world.options(mapping, content);
    assert_eq!(
        world.run(&options).unwrap().accepted,
        1,
        "{}",
        world.rejects()
    );
    let mut event = world.ingest.events().remove(0);
    event.as_object_mut().unwrap().remove("messageId");
    event
}

#[test]
fn every_row_becomes_one_event_whose_id_is_the_files_digest_and_the_line() {
    let world = World::new(Behaviour::default());
    let options = world.options(MAPPING, &rows(1_700));
    let summary = world.run(&options).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (1_700, 0));
    let digest = Survey::of(&options.file).unwrap().digest;
    let expected: Vec<String> = (2..1_702).map(|line| format!("{digest}:{line}")).collect();
    let mut ids = world.ingest.message_ids();
    ids.sort_by_key(|id| id.split_once(':').unwrap().1.parse::<u64>().unwrap());
    assert_eq!(ids, expected);
    assert_eq!(world.ingest.authorization(), "Basic YS1rZXk6");
}

#[test]
fn equal_lines_are_two_purchases() {
    let world = World::new(Behaviour::default());
    let options = world.options(
        MAPPING,
        "customer;day;sum\na;01.02.1997;5\na;01.02.1997;5\n",
    );
    assert_eq!(world.run(&options).unwrap().accepted, 2);
    let ids = world.ingest.message_ids();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn amounts_stay_exact_and_dates_become_moments() {
    let world = World::new(Behaviour::default());
    world
        .run(&world.options(
            MAPPING,
            "customer;day;sum\n00017;31.12.1998;999999999999.999999\n",
        ))
        .unwrap();
    let body = &world.ingest.bodies()[0];
    for part in [
        r#""total":999999999999.999999}"#,
        r#""userId":"00017""#,
        r#""timestamp":"1998-12-31T00:00:00Z""#,
        r#""event":"Order Completed""#,
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
}

#[test]
fn a_decimal_comma_is_read_where_the_mapping_says_so() {
    let world = World::new(Behaviour::default());
    let options = world.options(
        &format!("decimal = \",\"\n{MAPPING}"),
        "customer;day;sum\na;31.12.1998;12,500000\nb;31.12.1998;1.250,00\n",
    );
    assert_eq!(
        world.run(&options).unwrap(),
        Summary {
            accepted: 1,
            rejected: 1
        }
    );
    assert!(
        world.ingest.bodies()[0].contains(r#""total":12.5}"#),
        "{:?}",
        world.ingest.bodies()
    );
    assert!(
        world
            .rejects()
            .contains("3,\"is not a decimal number such as 12,50\",total"),
        "{}",
        world.rejects()
    );
}

#[test]
fn every_identifier_stands_where_segments_api_wants_it() {
    let mapping = r#"
format = "ndjson"
[fields]
timestamp = "at"
event = "what"
user_id = "/customer/id"
email = "/customer/mail"
loyalty_card = "/customer/cards/1"
device_id = "device"
properties = "more"
"properties.aisle" = "aisle"
"traits.city" = "city"
"context.campaign.name" = "campaign"
quantity = "pieces"
sku = "sku"
store = "shop"
"#;
    let row = r#"{"at":"2024-05-01T10:00:00Z","what":"Order Completed","customer":{"id":17,"mail":"a@b.example","cards":["x","L9"]},"device":"d1","more":{"gift":true},"aisle":7,"city":"Lyon","campaign":"may","pieces":"3","sku":"s1","shop":"s-4"}"#;
    let expected = json!({
        "type": "track", "event": "Order Completed", "userId": "17", "timestamp": "2024-05-01T10:00:00Z",
        "properties": {"gift": true, "aisle": 7, "products": [{"quantity": 3, "sku": "s1"}]},
        "context": {
            "traits": {"email": "a@b.example", "city": "Lyon"},
            "device": {"id": "d1"},
            "campaign": {"name": "may"},
            "store": "s-4",
            "externalIds": [{"id": "L9", "type": "loyalty_card", "collection": "users", "encoding": "none"}],
        },
    });
    assert_eq!(one_event(mapping, row), expected);
}

#[test]
fn an_identify_carries_its_traits_at_the_top() {
    let mapping = "format = \"csv\"\ntype = \"identify\"\n[fields]\nuser_id = 1\ntimestamp = 2\nemail = 3\n\"traits.vip\" = { column = 4, as = \"boolean\" }\n";
    let event = one_event(
        &format!("header = false\n{mapping}"),
        "u1,2024-01-01,a@b.example,yes\n",
    );
    let expected = json!({
        "type": "identify", "userId": "u1", "timestamp": "2024-01-01T00:00:00Z",
        "traits": {"email": "a@b.example", "vip": true},
    });
    assert_eq!(event, expected);
}

#[test]
fn rejected_rows_are_told_with_line_reason_and_field_and_the_others_are_taken() {
    let world = World::new(Behaviour {
        refused_user: Some("refused"),
        ..Behaviour::default()
    });
    let content = "customer;day;sum\na;31.12.1998;1\nb;31.02.1998;1\nc;31.12.1998;many\n;31.12.1998;1\nrefused;31.12.1998;1\nd;31.12.1998\ne;31.12.1998;\nf;30.12.1998;2\n";
    let summary = world.run(&world.options(MAPPING, content)).unwrap();
    assert_eq!(
        summary,
        Summary {
            accepted: 2,
            rejected: 6
        }
    );
    let expected = "line,reason,field,row\n\
        3,is no date written as %d.%m.%Y,timestamp,b;31.02.1998;1\n\
        4,is not a decimal number such as 12.50,total,c;31.12.1998;many\n\
        5,\"has no identifier, so it belongs to nobody\",user_id,;31.12.1998;1\n\
        6,refused by ingest: unwanted: is not wanted,userId,refused;31.12.1998;1\n\
        7,\"has 2 values, and the header has 3 columns\",,d;31.12.1998\n\
        8,is missing,total,e;31.12.1998;\n";
    assert_eq!(world.rejects(), expected);
}

#[test]
fn what_ingest_cannot_take_now_is_sent_again() {
    let world = World::new(Behaviour {
        answers: vec![503, 429, 0, 500],
        ..Behaviour::default()
    });
    let options = world.options(MAPPING, &rows(2_100));
    let config = Config {
        data: world.folder.path().join("data"),
        ..Config::default()
    };
    let summary = run_with(&options, &config, Duration::from_secs(60)).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (2_100, 0));
    let mut ids = world.ingest.message_ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2_100);
}

#[test]
fn an_interrupted_import_goes_on_where_it_was_and_rejects_nothing_twice() {
    let world = World::new(Behaviour {
        stop_at: Some("c3200"),
        ..Behaviour::default()
    });
    let content = rows(8_000)
        .replace("c100;31.12.1998", "c100;never")
        .replace("c7000;31.12.1998", "c7000;never");
    let options = world.options(MAPPING, &content);
    let error = world.run(&options).unwrap_err();
    // Six batches of 500 events, one row more that was rejected, and the header.
    let done = "Up to line 3002 all is done; the same command goes on from there";
    assert!(
        matches!(&error, Error::Failed(text) if text.contains(done)),
        "{error}"
    );
    world.ingest.behave(Behaviour::default());
    let summary = world.run(&options).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (7_998, 2));
    let mut ids = world.ingest.message_ids();
    let sent = |id: &str| ids.iter().filter(|sent| sent.ends_with(id)).count();
    assert_eq!(
        (sent(":2"), sent(":3002"), sent(":3003")),
        (1, 1, 1),
        "what was done before it was interrupted is sent once"
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7_998);
    assert_eq!(world.rejects().lines().count(), 3, "{}", world.rejects());
}

#[test]
fn a_finished_import_is_sent_again_only_when_asked_and_then_under_the_same_ids() {
    let world = World::new(Behaviour::default());
    let options = world.options(MAPPING, &rows(10));
    world.run(&options).unwrap();
    assert_eq!(
        world.run(&options).unwrap(),
        Summary {
            accepted: 10,
            rejected: 0
        }
    );
    assert_eq!(world.ingest.message_ids().len(), 10);
    let again = Options {
        again: true,
        ..options
    };
    world.run(&again).unwrap();
    let mut ids = world.ingest.message_ids();
    assert_eq!(ids.len(), 20);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[test]
fn a_dry_run_counts_and_sends_nothing() {
    let world = World::new(Behaviour::default());
    let options = Options {
        dry_run: true,
        write_key: None,
        ingest: None,
        ..world.options(MAPPING, &rows(20).replace("c7;31.12", "c7;31.13"))
    };
    assert_eq!(
        world.run(&options).unwrap(),
        Summary {
            accepted: 19,
            rejected: 1
        }
    );
    assert!(world.ingest.events().is_empty());
    assert!(
        world.rejects().contains("9,is no date"),
        "{}",
        world.rejects()
    );
}

#[test]
fn an_ingest_that_does_not_answer_or_know_the_key_is_said() {
    for (answer, part) in [
        (401, "write key"),
        (400, "answers 400"),
        (503, "answers 503"),
        (0, "does not answer"),
    ] {
        let world = World::new(Behaviour {
            answers: vec![answer; 50],
            ..Behaviour::default()
        });
        let error = world.run(&world.options(MAPPING, &rows(3))).unwrap_err();
        assert!(
            matches!(&error, Error::Failed(text) if text.contains(part)),
            "{error}"
        );
    }
}

#[test]
fn a_source_is_found_by_its_name_alone_only_where_that_is_enough() {
    let source = |workspace: &str, name: &str| Source {
        name: name.to_owned(),
        workspace: workspace.to_owned(),
        write_keys: vec![Secret::new(format!("{workspace}-{name}-key"))],
        ..Config::default().source
    };
    let config = Config {
        sources: vec![
            source("a", "till"),
            source("b", "till"),
            source("b", "history"),
        ],
        ..Config::default()
    };
    let options = Options {
        ingest: Some("http://127.0.0.1:1".to_owned()),
        ..Options::default()
    };
    let find = |name: Option<&str>| {
        Target::find(&options, name, &config)
            .map(|target| target.write_key)
            .map_err(|error| error.to_string())
    };
    assert_eq!(find(None).as_deref(), Ok("b-history-key"));
    assert_eq!(find(Some("a/till")).as_deref(), Ok("a-till-key"));
    let ambiguous = find(Some("till")).unwrap_err();
    assert!(ambiguous.contains("a/till, b/till"), "{ambiguous}");
    let unknown = find(Some("kiosk")).unwrap_err();
    assert!(
        unknown.contains("`kiosk`") && unknown.contains("b/history"),
        "{unknown}"
    );
}

#[test]
fn a_time_without_zone_is_that_of_the_sources_workspace() {
    let world = World::new(Behaviour::default());
    let options = world.options(
        &MAPPING.replace("%d.%m.%Y", "%d.%m.%Y %H:%M"),
        "customer;day;sum\na;01.07.1998 12:00;1\n",
    );
    let zoned = Workspace {
        name: "paris".to_owned(),
        time_zone: "Europe/Paris".to_owned(),
        ..Config::default().workspace
    };
    let config = Config {
        data: world.folder.path().join("data"),
        workspaces: vec![Config::default().workspace, zoned],
        sources: vec![Source {
            workspace: "paris".to_owned(),
            write_keys: vec![Secret::new("a-key")],
            ..Config::default().source
        }],
        ..Config::default()
    };
    run_with(&options, &config, Duration::ZERO).unwrap();
    assert_eq!(
        world.ingest.events()[0]["timestamp"],
        "1998-07-01T10:00:00Z"
    );
}

#[test]
fn the_sources_that_were_made_are_found_in_the_data_folder() {
    let world = World::new(Behaviour::default());
    let options = Options {
        write_key: None,
        ..world.options(MAPPING, &rows(1))
    };
    let data = world.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(
        data.join("keys.json"),
        r#"{"default": "d", "history": "h"}"#,
    )
    .unwrap();
    let config = Config {
        data,
        ..Config::default()
    };
    run(&options, &config).unwrap();
    assert_eq!(world.ingest.authorization(), "Basic aDo=");
    let nothing_runs = Options {
        ingest: None,
        ..options
    };
    assert!(
        run(&nothing_runs, &config)
            .unwrap_err()
            .message()
            .contains("tributary all")
    );
}

#[test]
fn unreadable_files_and_empty_ones_are_said() {
    let world = World::new(Behaviour::default());
    let options = world.options(MAPPING, "customer;day;sum\n");
    assert_eq!(
        world.run(&options).unwrap(),
        Summary {
            accepted: 0,
            rejected: 0
        }
    );
    let absent = Options {
        file: world.folder.path().join("absent.csv"),
        ..options.clone()
    };
    assert!(matches!(world.run(&absent), Err(Error::Failed(text)) if text.contains("absent.csv")));
    let folder = Options {
        mapping: world.folder.path().join("absent.toml"),
        ..options
    };
    assert!(matches!(world.run(&folder), Err(Error::Usage(text)) if text.contains("absent.toml")));
}
