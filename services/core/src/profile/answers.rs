//! What a profile answered, and the attitude that follows.

use crate::kpi::minute_of;
use crate::time::Timestamp;

use super::atom::Note;
use super::contributions::{Definitions, Sign};
use super::fold::{Counted, change};
use super::standing::Attitude;

/// Notes by aspect, so that the last of each is at hand, however many there are of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    recommended: Counted<Answered>,
    satisfied: Counted<Answered>,
    effort: Counted<Answered>,
    /// By minute, changes only, of the answers as they were when this was last asked for.
    attitudes: Vec<(i64, Attitude)>,
    /// Whether they were a customer's then.
    are_told: bool,
    /// Whether an answer has changed since.
    is_changed: bool,
}

/// An answer with a note; the greatest is the latest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answered {
    occurred_at: Timestamp,
    message_id: Box<str>,
    timeline: (Box<str>, Box<str>),
    /// Of the answers of one message.
    number: u32,
    note: Note,
    comment: Box<str>,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether the brand is recommended, on either scale.
    Recommendation,
    /// Whether the customer is satisfied.
    Satisfaction,
    /// What effort it was.
    Effort,
}

impl Aspect {
    const fn of(note: Note) -> Self {
        match note {
            Note::Nps(_) | Note::NpsFromOne(_) => Self::Recommendation,
            Note::Stars(_) | Note::YesNo(_) => Self::Satisfaction,
            Note::Ces(_) => Self::Effort,
        }
    }
}

impl Answers {
    /// Adds a note, with the number of its answer and the comment, or takes it back.
    pub(super) fn change(
        &mut self,
        note: Note,
        (number, comment): (u32, &str),
        (occurred_at, message_id, timeline): (Timestamp, &str, (&str, &str)),
        sign: Sign,
    ) {
        let answered = Answered {
            occurred_at,
            message_id: message_id.into(),
            timeline: (timeline.0.into(), timeline.1.into()),
            number,
            note,
            comment: comment.into(),
        };
        let aspect = Aspect::of(note);
        let of_aspect = match aspect {
            Aspect::Recommendation => &mut self.recommended,
            Aspect::Satisfaction => &mut self.satisfied,
            Aspect::Effort => &mut self.effort,
        };
        change(of_aspect, answered, sign.of_amount(1) as i64);
        self.is_changed |= aspect != Aspect::Effort;
    }

    /// The last note of an aspect, when it was given, and the comment with it.
    pub(super) fn last(&self, aspect: Aspect) -> Option<(Timestamp, Note, &str)> {
        let of_aspect = match aspect {
            Aspect::Recommendation => &self.recommended,
            Aspect::Satisfaction => &self.satisfied,
            Aspect::Effort => &self.effort,
        };
        let (answered, _) = of_aspect.last_key_value()?;
        Some((answered.occurred_at, answered.note, &answered.comment))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.recommended.len() + self.satisfied.len() + self.effort.len()
    }

    /// The attitude that each answer decides, by minute, and changes only: by the last recommendation, or where that is
    /// neither high nor low by the last word on satisfaction; none where the answers are no customer's. With it, whether it
    /// may be another than when it was last asked for.
    pub(super) fn attitudes(
        &mut self,
        of_customer: bool,
        definitions: &Definitions,
    ) -> (&[(i64, Attitude)], bool) {
        let was_told = std::mem::replace(&mut self.are_told, of_customer);
        let is_changed = std::mem::take(&mut self.is_changed) || was_told != of_customer;
        if is_changed {
            self.attitudes = match of_customer {
                true => self.decided(definitions),
                false => Vec::new(),
            };
        }
        (&self.attitudes, is_changed)
    }

    fn decided(&self, definitions: &Definitions) -> Vec<(i64, Attitude)> {
        let mut attitudes: Vec<(i64, Attitude)> = Vec::new();
        let (mut promotes, mut satisfied) = (0, None);
        let mut recommended = self.recommended.keys().peekable();
        let mut others = self.satisfied.keys().peekable();
        while let Some(answered) = match (recommended.peek(), others.peek()) {
            (Some(one), Some(other)) if other < one => others.next(),
            (Some(_), _) => recommended.next(),
            (None, _) => others.next(),
        } {
            match answered.note {
                Note::Nps(note) | Note::NpsFromOne(note) => {
                    promotes = i8::from(note >= definitions.high_attitude)
                        - i8::from(note <= definitions.low_attitude);
                }
                Note::Stars(_) | Note::YesNo(_) => satisfied = Some(answered.note.is_satisfied()),
                Note::Ces(_) => {}
            }
            let attitude = match (promotes, satisfied) {
                (1, _) | (0, Some(true)) => Attitude::High,
                (-1, _) | (0, Some(false)) => Attitude::Low,
                _ => Attitude::Unknown,
            };
            let minute = minute_of(answered.occurred_at);
            if attitudes.last().is_some_and(|(last, _)| *last == minute) {
                attitudes.pop();
            }
            if attitudes.last().is_none_or(|(_, last)| *last != attitude) {
                attitudes.push((minute, attitude));
            }
        }
        attitudes
    }
}
