use serde::{Deserialize, Serialize};

use crate::identifier::{BUILT_IN, IdentifierType, Kind};

/// The form in which values of a type are compared; ingest brings them into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// As sent, without white space around it.
    None,
    /// In lower case.
    Lowercase,
    /// An e-mail address: in lower case.
    Email,
    /// A phone number: E.164, as far as the number and the workspace's region tell it.
    Phone,
}

impl Normalisation {
    /// As in configuration, tables and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lowercase => "lowercase",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// What the rules say of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    /// The type.
    pub r#type: IdentifierType,
    /// Whether it names persons or devices.
    pub kind: Kind,
    /// The form of its values.
    pub normalisation: Normalisation,
    /// How many of it one profile may hold.
    pub limit: u32,
    /// Whether one of it that is linked to too many persons joins nobody.
    pub can_be_hub: bool,
}

/// Why rules of types contradict themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTypes {
    /// What one profile holds is counted for each of them.
    #[error("has more than {} types", Types::MOST)]
    TooMany,
    /// It can have one priority only.
    #[error("names {} twice", .0.name())]
    Twice(IdentifierType),
}

/// The types of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    by_priority: Vec<TypeRule>,
    /// Each type's place in it.
    places: [u8; 256],
}

const NOWHERE: u8 = u8::MAX;

impl Default for Types {
    /// The built-in types.
    fn default() -> Self {
        let limits = [1, 1, 3, 5, 5, 10, 20, 100, 20, 20];
        let rule = |(number, ((_, kind), limit))| {
            let r#type = IdentifierType(number);
            TypeRule {
                r#type,
                kind,
                normalisation: match r#type {
                    IdentifierType::EMAIL => Normalisation::Email,
                    IdentifierType::PHONE => Normalisation::Phone,
                    _ => Normalisation::None,
                },
                limit,
                can_be_hub: r#type != IdentifierType::USER_ID && r#type != IdentifierType::CRM_ID,
            }
        };
        let by_priority = (0..)
            .zip(BUILT_IN.into_iter().zip(limits))
            .map(rule)
            .collect();
        Self::new(by_priority).expect("the built-in types are few, and each is named once")
    }
}

impl Types {
    /// The most that a workspace can have.
    pub const MOST: usize = 20;

    /// Of these rules, the type of highest priority first.
    ///
    /// # Errors
    /// When there are too many, or two of one type.
    pub fn new(by_priority: Vec<TypeRule>) -> Result<Self, NoTypes> {
        if by_priority.len() > Self::MOST {
            return Err(NoTypes::TooMany);
        }
        let mut places = [NOWHERE; 256];
        for (place, rule) in (0..).zip(&by_priority) {
            let known = std::mem::replace(&mut places[usize::from(rule.r#type.0)], place);
            if known != NOWHERE {
                return Err(NoTypes::Twice(rule.r#type));
            }
        }
        Ok(Self {
            by_priority,
            places,
        })
    }

    /// All of them, the type of highest priority first.
    #[must_use]
    pub fn by_priority(&self) -> &[TypeRule] {
        &self.by_priority
    }

    /// Its place among them, from 0 for the highest; none where no rule is of it.
    pub(super) fn place(&self, r#type: IdentifierType) -> Option<usize> {
        let place = self.places[usize::from(r#type.0)];
        (place != NOWHERE).then_some(usize::from(place))
    }

    /// What is said of the type, if anything.
    #[must_use]
    pub fn get(&self, r#type: IdentifierType) -> Option<&TypeRule> {
        self.place(r#type).map(|place| &self.by_priority[place])
    }

    /// The type of that name, if a rule is of it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<IdentifierType> {
        let mut types = self.by_priority.iter().map(|rule| rule.r#type);
        types.find(|r#type| r#type.name() == name)
    }

    /// Whether it names persons.
    #[must_use]
    pub fn is_person(&self, r#type: IdentifierType) -> bool {
        self.get(r#type)
            .is_some_and(|rule| rule.kind == Kind::Person)
    }

    /// Whether every type that these or those rules name is a person's in both or in neither.
    #[must_use]
    pub fn name_the_same(&self, other: &Self) -> bool {
        let mut all = self.by_priority.iter().chain(&other.by_priority);
        all.all(|rule| self.is_person(rule.r#type) == other.is_person(rule.r#type))
    }

    /// The same rules with another limit of the type, if there is one of it.
    #[must_use]
    pub fn with_limit(mut self, r#type: IdentifierType, limit: u32) -> Self {
        if let Some(place) = self.place(r#type) {
            self.by_priority[place].limit = limit;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_rules_is_the_priority_of_the_types() {
        let mut rules = Types::default().by_priority().to_vec();
        rules.rotate_right(1);
        let types = Types::new(rules.clone()).expect("rules of each type once");
        assert_eq!(types.place(IdentifierType::PUSH_TOKEN), Some(0));
        assert_eq!(types.place(IdentifierType::USER_ID), Some(1));
        let fax = IdentifierType::of("fax").expect("a type");
        assert_eq!((types.get(fax), types.is_person(fax)), (None, false));
        rules.push(rules[3].clone());
        assert_eq!(
            Types::new(rules.clone()),
            Err(NoTypes::Twice(rules[3].r#type))
        );
        let many = vec![rules[0].clone(); Types::MOST + 1];
        assert_eq!(Types::new(many), Err(NoTypes::TooMany));
    }
}
