//! From a record of a topic to rows of its tables.

mod customer;
mod dead_letter;
mod kpi;
mod stitching;
mod touchpoint;

use tributary_contracts::framing;
use tributary_contracts::topics::{self, Topic as Contract};

use crate::row::Row;
use crate::rows::Rows;
use crate::table::{self, Table};

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Which life of the topic this is.
    pub(crate) epoch: &'a str,
}

impl Position<'_> {
    /// `kafka_partition, kafka_offset`.
    fn append(self, row: &mut Row<'_>) {
        row.integer(self.partition).long(self.offset);
    }

    /// `kafka_partition, kafka_offset, kafka_epoch`.
    fn append_with_epoch(self, row: &mut Row<'_>) {
        self.append(row);
        row.text(self.epoch);
    }
}

type Encode = fn(&[u8], Position<'_>, &mut [Rows]) -> Result<(), framing::Error>;

/// A topic that the sink reads.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its name, without prefix.
    pub(crate) name: &'static str,
    /// Its tables, in the order in which they are stored.
    pub(crate) tables: &'static [&'static Table],
    /// Adds the rows of a record, to one [`Rows`] for each table; none at all if it cannot be read.
    pub(crate) encode: Encode,
}

/// Every topic that the sink reads, with its tables.
pub(crate) static TOPICS: &[Topic] = &[
    Topic {
        name: "resolved",
        tables: &[&table::TOUCHPOINTS, &table::ORDER_LINES, &table::ANSWERS],
        encode: touchpoint::resolved,
    },
    Topic {
        name: "overrides",
        tables: &[&table::OVERRIDES],
        encode: stitching::overrides,
    },
    Topic {
        name: "sessions",
        tables: &[&table::SESSIONS],
        encode: customer::session,
    },
    Topic {
        name: "identities",
        tables: &[&table::IDENTITIES],
        encode: stitching::identity,
    },
    Topic {
        name: "refusals",
        tables: &[&table::REFUSALS],
        encode: stitching::refusal,
    },
    Topic {
        name: "links",
        tables: &[
            &table::LINKS,
            &table::OPERATIONS,
            &table::CONSENTS,
            &table::RULES,
        ],
        encode: stitching::logged,
    },
    Topic {
        name: "orders",
        tables: &[&table::ORDERS],
        encode: customer::order,
    },
    Topic {
        name: "profiles",
        tables: &[&table::PROFILES],
        encode: customer::profile,
    },
    Topic {
        name: "kpis",
        tables: &[&table::KPIS],
        encode: kpi::block,
    },
    Topic {
        name: "alerts",
        tables: &[&table::ALERTS],
        encode: kpi::alert,
    },
    Topic {
        name: "dead_letters",
        tables: &[&table::DEAD_LETTERS],
        encode: dead_letter::dead_letter,
    },
];

impl Topic {
    /// The topic of that name, without prefix.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TOPICS.iter().find(|topic| topic.name == name)
    }

    /// What topics.toml says of it.
    pub(crate) fn contract(&self) -> &'static Contract {
        topics::all()
            .get(self.name)
            .expect("every topic of the sink is in topics.toml, as tested")
    }

    /// No rows yet, for each table.
    pub(crate) fn no_rows(&self) -> Vec<Rows> {
        self.tables.iter().map(|table| Rows::new(table)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sink_reads_the_topics_that_topics_toml_says_it_does() {
        let mut stated: Vec<&str> = topics::all()
            .iter()
            .filter(|(_, topic)| topic.consumers.iter().any(|consumer| consumer == "sink"))
            .map(|(name, _)| name.as_str())
            .collect();
        let mut read: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
        stated.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, stated);
        for topic in TOPICS {
            assert!(topic.contract().partitions > 0, "{}", topic.name);
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_adds_no_row() {
        for topic in TOPICS {
            for message in [
                b"".as_slice(),
                b"\x01\0\0\0\x02",
                b"\0\0\0\xff\xff",
                b"\0\0\0\0\x0f\x02",
            ] {
                let mut rows = topic.no_rows();
                let position = Position {
                    partition: 0,
                    offset: 0,
                    epoch: "",
                };
                assert!(
                    (topic.encode)(message, position, &mut rows).is_err(),
                    "{} {message:?}",
                    topic.name
                );
                assert!(rows.iter().all(Rows::is_empty), "{}", topic.name);
            }
        }
    }
}
