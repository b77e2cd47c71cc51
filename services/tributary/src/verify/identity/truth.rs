//! The truth that `tributary simulate --truth` has written: who did what.

use crate::exit::Failure;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use tributary_core::identifier::IdentifierType;
use tributary_core::identity::Types;

/// An event of which it is known who did it. Numbers stand for texts, see [`Truth`].
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) message: String,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    pub(super) person: u32,
    pub(super) timeline: u32,
    pub(super) identifiers: Vec<u32>,
    /// The highest person identifier on it.
    pub(super) login: Option<u32>,
}

/// All events, and what they name.
#[derive(Debug)]
pub(super) struct Truth {
    types: Types,
    pub(super) events: Vec<Event>,
    /// By number.
    pub(super) identifiers: Vec<(IdentifierType, String)>,
    numbers: HashMap<(IdentifierType, String), u32>,
    people: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct Line {
    message_id: String,
    timestamp: String,
    person: String,
    identifiers: Vec<(String, String)>,
}

impl Truth {
    fn new(types: Types) -> Self {
        Self {
            types,
            events: Vec::new(),
            identifiers: Vec::new(),
            numbers: HashMap::new(),
            people: HashMap::new(),
        }
    }

    /// Reads a file; `types` say which identifiers are persons'.
    pub(super) fn read(path: &Path, types: Types) -> Result<Self, Failure> {
        let cannot = |what: &dyn std::fmt::Display| {
            Failure::failed(format!("cannot read {}: {what}", path.display()))
        };
        let file = File::open(path).map_err(|error| cannot(&error))?;
        let mut truth = Self::new(types);
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| cannot(&error))?;
            let read = serde_json::from_str(&line).map_err(|error| error.to_string());
            read.and_then(|line| truth.add(line)).map_err(|error| {
                cannot(&format!(
                    "line {}: {error}; a line is what `tributary simulate --truth` writes",
                    number + 1
                ))
            })?;
        }
        if truth.events.is_empty() {
            return Err(cannot(&"it has no events"));
        }
        Ok(truth)
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        let timestamp: jiff::Timestamp = line
            .timestamp
            .parse()
            .map_err(|error| format!("timestamp: {error}"))?;
        let mut identifiers = Vec::with_capacity(line.identifiers.len());
        for (r#type, value) in line.identifiers {
            let known = IdentifierType::named(&r#type)
                .ok_or_else(|| format!("there is no identifier type `{type}`"))?;
            identifiers.push((known, value));
        }
        let timeline = identifiers
            .iter()
            .min_by(|a, b| (a.0.timeline_rank(), &a.1).cmp(&(b.0.timeline_rank(), &b.1)))
            .cloned()
            .ok_or("the event has no identifier")?;
        let login = identifiers
            .iter()
            .filter(|identifier| self.types.is_person(identifier.0))
            .min()
            .cloned();
        let next = self.people.len() as u32;
        let person = *self.people.entry(line.person).or_insert(next);
        let event = Event {
            message: line.message_id,
            time: timestamp.as_millisecond(),
            person,
            timeline: self.number(timeline),
            login: login.map(|login| self.number(login)),
            identifiers: identifiers
                .into_iter()
                .map(|identifier| self.number(identifier))
                .collect(),
        };
        self.events.push(event);
        Ok(())
    }

    fn number(&mut self, identifier: (IdentifierType, String)) -> u32 {
        if let Some(number) = self.numbers.get(&identifier) {
            return *number;
        }
        let number = self.identifiers.len() as u32;
        self.identifiers.push(identifier.clone());
        self.numbers.insert(identifier, number);
        number
    }

    pub(super) fn people(&self) -> usize {
        self.people.len()
    }

    /// Whether the identifier of that number names a person.
    pub(super) fn is_person(&self, number: u32) -> bool {
        self.types.is_person(self.identifiers[number as usize].0)
    }

    /// Who has each identifier: none where several people do.
    pub(super) fn owners(&self) -> Vec<Option<u32>> {
        let mut owners: Vec<Option<Option<u32>>> = vec![None; self.identifiers.len()];
        for event in &self.events {
            for identifier in &event.identifiers {
                let owner = &mut owners[*identifier as usize];
                *owner = match owner {
                    None => Some(Some(event.person)),
                    Some(Some(person)) if *person == event.person => Some(Some(event.person)),
                    Some(_) => Some(None),
                };
            }
        }
        owners.into_iter().map(Option::flatten).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Events as (minute, person, identifiers).
    pub(in super::super) fn truth(events: &[(i64, &str, &[(&str, &str)])]) -> Truth {
        let mut truth = Truth::new(Types::default());
        for (number, (minute, person, identifiers)) in events.iter().enumerate() {
            let owned =
                |(r#type, value): &(&str, &str)| ((*r#type).to_owned(), (*value).to_owned());
            truth
                .add(Line {
                    message_id: format!("m{number}"),
                    timestamp: jiff::Timestamp::from_second(minute * 60)
                        .expect("a moment")
                        .to_string(),
                    person: (*person).to_owned(),
                    identifiers: identifiers.iter().map(owned).collect(),
                })
                .expect("an event");
        }
        truth
    }

    #[test]
    fn an_identifier_of_several_people_has_no_owner() {
        let truth = truth(&[
            (0, "ann", &[("anonymous_id", "tablet"), ("user_id", "ann")]),
            (1, "bob", &[("anonymous_id", "tablet")]),
        ]);
        assert_eq!(truth.owners(), [None, Some(0)]);
        assert_eq!(truth.events[0].timeline, truth.events[1].timeline);
        assert_eq!(truth.events[0].login, Some(1));
    }
}
