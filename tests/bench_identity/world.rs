//! Customers, link by link, without being kept in memory.

use tributary_contracts::{framing, wire};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, Observation, SourceId};
use tributary_core::time::{DAY, Timestamp};

/// As long as the ids that SDKs make.
const MESSAGE: &str = "ajs-next-0123456789abcdef0123456789abcdef";
/// Of one customer.
const IDENTIFIERS: usize = 20;
const DEVICES: usize = 3;
/// A cookie with its device, a device with its login, an address with its login.
const LINKS: usize = IDENTIFIERS - 1;

pub(crate) struct World {
    people: usize,
    /// Prime to the number of links, so that its multiples are all of them, in no order.
    stride: usize,
}

/// A link as it is seen.
pub(crate) struct Link {
    one: Identifier,
    other: Identifier,
    first: i64,
    pub(crate) last_day: i32,
}

impl Link {
    pub(crate) fn observe(&self, graph: &mut Graph, source: SourceId) {
        let (one, other) = (graph.intern(&self.one), graph.intern(&self.other));
        let observation = Observation {
            first: Timestamp(self.first),
            last_day: self.last_day,
            source,
        };
        graph.observe(one, other, observation);
    }
}

impl Link {
    /// Bytes of its record on the links log, key and value, before compression.
    pub(crate) fn logged(&self) -> usize {
        let (higher, lower) = if self.one < self.other {
            (&self.one, &self.other)
        } else {
            (&self.other, &self.one)
        };
        let link = wire::Link {
            workspace: "default",
            higher_type: higher.r#type.name(),
            higher_value: &higher.value,
            lower_type: lower.r#type.name(),
            lower_value: &lower.value,
            source: "web",
            may_link: true,
            partition: 0,
            first_seen: Timestamp(self.first),
            first_message_id: MESSAGE,
            last_day: self.last_day,
        };
        let value = framing::encode(&link).expect("a link");
        link.key().len() + value.len()
    }
}

impl World {
    pub(crate) fn of(identifiers: usize) -> Self {
        let people = (identifiers / IDENTIFIERS).max(1);
        let links = people * LINKS;
        let mut stride = links / 2 + 7_919;
        while divisor(stride, links) != 1 {
            stride += 1;
        }
        Self { people, stride }
    }

    pub(crate) fn people(&self) -> usize {
        self.people
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let links = self.people * LINKS;
        (0..links).map(move |number| self.link(number * self.stride % links))
    }

    fn link(&self, number: usize) -> Link {
        let (person, which) = (number / LINKS, number % LINKS);
        let login = || Identifier::new(IdentifierType::USER_ID, &format!("customer-{person}"));
        let device = |which: usize| uuid(IdentifierType::DEVICE_ID, person, which);
        let (one, other) = match which {
            0 => {
                let address = format!("person.{person}@mail.example");
                (login(), Identifier::new(IdentifierType::EMAIL, &address))
            }
            1..=DEVICES => (login(), device(which - 1)),
            cookie => (
                device(cookie % DEVICES),
                uuid(IdentifierType::ANONYMOUS_ID, person, cookie),
            ),
        };
        let last_day = 20_000 + (mixed(number as u64) % 300) as i32;
        Link {
            one,
            other,
            first: i64::from(last_day) * DAY,
            last_day,
        }
    }
}

fn uuid(r#type: IdentifierType, person: usize, which: usize) -> Identifier {
    let (high, low) = (mixed(person as u64), mixed((person * 64 + which) as u64));
    let id = uuid::Uuid::from_u64_pair(high, low);
    Identifier::new(r#type, &id.to_string())
}

/// splitmix64's finish.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn divisor(one: usize, other: usize) -> usize {
    if other == 0 {
        one
    } else {
        divisor(other, one % other)
    }
}
