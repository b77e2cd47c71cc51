//! What people do, in the order in which it arrives.
//!
//! ```text
//! next session of each person (a heap by time) ─> events with their time ─> arrivals (a heap; late ones, doubles) ─> out
//! ```
//!
//! Memory is that of the people, whatever the time.

use super::dice::Dice;
use super::people::{Device, Person, everybody};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tributary_core::time::{DAY, MINUTE, SECOND};

/// What the world is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) people: u64,
    pub(super) days: i64,
    /// Of 100 sessions of browsers and apps.
    pub(super) login_percent: u64,
    pub(super) seed: u64,
    /// The end; milliseconds since 1970.
    pub(super) until: i64,
}

/// An event, and what is true of it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// As an SDK sends it.
    pub(super) message: Value,
    /// Who did it.
    pub(super) person: u64,
    /// Type and value, as Tributary compares them; placeholders are none.
    pub(super) identifiers: Vec<(&'static str, String)>,
    /// Event time in milliseconds.
    pub(super) time: i64,
    /// It has arrived before.
    pub(super) again: bool,
}

/// Between two sessions of a person: from nothing to twice the mean.
const MEAN_BETWEEN: i64 = 6 * DAY;
const PEOPLE_A_STORE: u64 = 500;
/// What senders write where they know nobody.
const JUNK: [&str; 5] = ["guest", "anonymous", "null", "test", "0"];

/// All events of a world, one after the other.
pub(super) struct World {
    settings: Settings,
    people: Vec<Person>,
    tablets: Vec<Device>,
    /// Time and person of sessions to come.
    sessions: BinaryHeap<Reverse<(i64, usize)>>,
    /// Time of arrival, number, and what arrives.
    arrivals: BinaryHeap<Reverse<Arrival>>,
    arrived: u64,
    messages: u64,
}

#[derive(Debug)]
struct Arrival {
    at: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let start = settings.until - settings.days * DAY;
        let (mut people, tablets) =
            everybody(settings.people, settings.seed, start, settings.until);
        let sessions = people
            .iter_mut()
            .enumerate()
            .map(|(index, person)| {
                Reverse((start + person.dice.between(0, 2 * MEAN_BETWEEN), index))
            })
            .collect();
        World {
            settings,
            people,
            tablets,
            sessions,
            arrivals: BinaryHeap::new(),
            arrived: 0,
            messages: 0,
        }
    }

    /// One session of a person, and when the next begins.
    fn session(&mut self, start: i64, index: usize) {
        let person = &mut self.people[index];
        let mut dice = person.dice.clone();
        let next = start + dice.between(MINUTE, 2 * MEAN_BETWEEN);
        if next < self.settings.until {
            self.sessions.push(Reverse((next, index)));
        }
        let store = person.number / PEOPLE_A_STORE;
        let mut session = Session {
            events: Vec::new(),
            messages: &mut self.messages,
            seed: self.settings.seed,
            person: person.number,
        };
        let login = self.settings.login_percent;
        match dice.weighted(&[85, 8, 1, 6]) {
            0 => session.browse(person, &mut self.tablets, &mut dice, start, login),
            1 => session.till(person, &mut dice, store, start),
            2 => session.kiosk(person, &mut dice, store, start, login),
            _ => session.mail(person, &mut dice, start),
        }
        person.dice = dice;
        for event in session.events {
            self.arrive(index, event);
        }
    }

    /// Most arrive at once, some late, some twice.
    fn arrive(&mut self, index: usize, event: Event) {
        let dice = &mut self.people[index].dice;
        let late = if dice.chance(20_000) {
            dice.between(MINUTE, 3 * DAY)
        } else {
            0
        };
        let again = dice.chance(20_000).then(|| dice.between(SECOND, DAY));
        let at = event.time + late;
        if let Some(again) = again {
            let event = Event {
                again: true,
                ..event.clone()
            };
            self.push(at + again, event);
        }
        self.push(at, event);
    }

    fn push(&mut self, at: i64, event: Event) {
        let number = self.arrived;
        self.arrived += 1;
        self.arrivals.push(Reverse(Arrival { at, number, event }));
    }
}

impl Iterator for World {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        // Whatever a session yet to come holds is not before its start.
        while let Some(Reverse((start, index))) = self.sessions.peek().copied() {
            if self
                .arrivals
                .peek()
                .is_some_and(|Reverse(first)| first.at <= start)
            {
                break;
            }
            self.sessions.pop();
            self.session(start, index);
        }
        self.arrivals.pop().map(|Reverse(arrival)| arrival.event)
    }
}

/// A session in the making.
struct Session<'w> {
    events: Vec<Event>,
    messages: &'w mut u64,
    seed: u64,
    person: u64,
}

/// What an event is sent with.
#[derive(Clone, Default)]
struct Sender {
    cookie: Option<String>,
    receipt: Option<String>,
    device_id: Option<String>,
    user_id: Option<String>,
    email: Option<String>,
    card: Option<String>,
    behind: i64,
    store: Option<u64>,
}

impl Session<'_> {
    /// A visit with a browser or app, on one's own device or the household's tablet.
    fn browse(
        &mut self,
        person: &mut Person,
        tablets: &mut [Device],
        dice: &mut Dice,
        start: i64,
        login: u64,
    ) {
        let device = match person.tablet {
            Some(tablet) if dice.chance(250_000) => &mut tablets[tablet],
            _ => {
                let devices = person.devices.len() as u64;
                &mut person.devices[dice.below(devices) as usize]
            }
        };
        let behind = device.behind;
        let browsers = device.browsers.len() as u64;
        let browser = &mut device.browsers[dice.below(browsers) as usize];
        let is_private = browser.device_id.is_none() && dice.chance(40_000);
        let cookie = if is_private {
            dice.hex()
        } else {
            browser.cookie(start, dice).to_owned()
        };
        let sender = Sender {
            cookie: Some(cookie),
            device_id: browser.device_id.clone(),
            behind,
            ..Sender::default()
        };
        self.visit(person, dice, sender, start, login);
    }

    /// Pages, with a login before one of them, and perhaps an order.
    fn visit(
        &mut self,
        person: &Person,
        dice: &mut Dice,
        mut sender: Sender,
        start: i64,
        login: u64,
    ) {
        let pages = dice.between(1, 7);
        let login = dice.chance(login * 10_000).then(|| dice.between(0, pages));
        let mut now = start;
        for page in 0..pages {
            if login == Some(page) {
                let is_junk = dice.chance(10_000);
                sender.user_id = Some(if is_junk {
                    JUNK[dice.below(JUNK.len() as u64) as usize].to_owned()
                } else {
                    person.user_id.clone()
                });
                let mut stated = sender.clone();
                if !is_junk && dice.chance(600_000) {
                    stated.email = Some(person.email(now).to_owned());
                }
                if let (false, Some((card, true))) = (is_junk, &person.card) {
                    stated.card = Some(card.clone());
                }
                self.add("identify", "", &stated, now, Value::Null);
                now += dice.between(SECOND, 20 * SECOND);
            }
            let number = dice.below(200);
            let page = json!({"url": format!("https://shop.example/products/{number}")});
            self.add("page", "", &sender, now, page);
            now += dice.between(5 * SECOND, 5 * MINUTE);
        }
        if login.is_some() && dice.chance(150_000) {
            let order = json!({"order_id": format!("o-{}-{}", self.person, now), "total": dice.between(500, 20_000), "currency": "EUR"});
            self.add("track", "Order Completed", &sender, now, order);
        }
    }

    /// A purchase at a till: by card, by the till's default card, or by nobody's.
    fn till(&mut self, person: &Person, dice: &mut Dice, store: u64, start: i64) {
        let till = dice.below(4);
        let card = person.card.as_ref().filter(|_| dice.chance(800_000));
        let card = match card {
            Some((card, _)) => Some(card.clone()),
            // One till in four presses its default card where the customer shows none.
            None if till == 0 => Some(format!("9999{store:04}")),
            None => None,
        };
        let sender = Sender {
            // Tills know a purchase by its receipt.
            receipt: Some(format!("receipt-{}", dice.hex())),
            card,
            store: Some(store),
            ..Sender::default()
        };
        let order = json!({"order_id": format!("s-{}-{start}", self.person), "total": dice.between(200, 15_000), "currency": "EUR"});
        self.add("track", "Order Completed", &sender, start, order);
    }

    /// The store's kiosk: everybody's.
    fn kiosk(&mut self, person: &Person, dice: &mut Dice, store: u64, start: i64, login: u64) {
        let sender = Sender {
            cookie: Some(format!("kiosk-{store}")),
            store: Some(store),
            ..Sender::default()
        };
        self.visit(person, dice, sender, start, login);
    }

    /// A click in an e-mail opens the browser of the mail program, whose cookie nobody has seen.
    fn mail(&mut self, person: &Person, dice: &mut Dice, start: i64) {
        let sender = Sender {
            cookie: Some(dice.hex()),
            ..Sender::default()
        };
        let mut clicked = sender.clone();
        clicked.email = Some(person.email(start).to_owned());
        self.add("identify", "", &clicked, start, Value::Null);
        self.visit(person, dice, sender, start + SECOND, 0);
    }

    fn add(&mut self, r#type: &str, event: &str, sender: &Sender, at: i64, properties: Value) {
        let time = at - sender.behind;
        *self.messages += 1;
        let library = match (&sender.cookie, &sender.device_id) {
            (Some(_), Some(_)) => "analytics-ios",
            (Some(_), None) => "analytics.js",
            (None, _) => "tills",
        };
        let is_till = sender.receipt.is_some();
        let mut message = json!({
            "type": r#type,
            "messageId": format!("sim-{}-{}", self.seed, self.messages),
            "timestamp": stamp(time),
            "context": {"library": {"name": library}},
        });
        let mut identifiers: Vec<(&'static str, String)> = Vec::new();
        if !event.is_empty() {
            message["event"] = json!(event);
        }
        if r#type == "page" {
            message["name"] = json!("Product");
            message["context"]["page"] = properties;
        } else if !properties.is_null() {
            message["properties"] = properties;
        }
        if let Some(cookie) = sender.cookie.as_ref().or(sender.receipt.as_ref()) {
            message["anonymousId"] = json!(cookie);
            identifiers.push(("anonymous_id", cookie.clone()));
        }
        if let Some(device) = &sender.device_id {
            message["context"]["device"] = json!({"id": device, "type": "phone"});
            identifiers.push(("device_id", device.clone()));
        }
        if is_till {
            message["context"]["device"] = json!({"type": "till"});
        }
        if let Some(user) = &sender.user_id {
            message["userId"] = json!(user);
            if !matches!(user.as_str(), "null" | "0") {
                identifiers.push(("user_id", user.clone()));
            }
        }
        if let Some(email) = &sender.email {
            message["traits"] = json!({"email": email});
            identifiers.push(("email", email.clone()));
        }
        if let Some(card) = &sender.card {
            message["context"]["externalIds"] = json!([{"id": card, "type": "loyalty_card", "collection": "users", "encoding": "none"}]);
            identifiers.push(("loyalty_card", card.clone()));
        }
        if let Some(store) = sender.store {
            message["context"]["store"] = json!(format!("store-{store}"));
        }
        self.events.push(Event {
            message,
            person: self.person,
            identifiers,
            time,
            again: false,
        });
    }
}

/// A moment as SDKs write it.
fn stamp(time: i64) -> String {
    jiff::Timestamp::from_millisecond(time)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    fn settings(seed: u64, login_percent: u64) -> Settings {
        Settings {
            people: 400,
            days: 365,
            login_percent,
            seed,
            until: 1_760_000_000_000,
        }
    }

    #[test]
    fn a_seed_makes_the_same_world_and_another_another() {
        let world = |seed| {
            World::new(settings(seed, 30))
                .take(3_000)
                .map(|event| event.message.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(world(1), world(1));
        assert_ne!(world(1), world(2));
    }

    #[test]
    fn a_person_has_nineteen_cookies_a_year_and_some_arrive_late_or_twice() {
        let mut cookies: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        let (mut seen, mut twice, mut late, mut last) = (HashSet::new(), 0, 0, i64::MIN);
        let (mut sessions, mut logins) = (0_u32, 0_u32);
        let mut people: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for event in World::new(settings(3, 30)) {
            if let Some(cookie) = event.message["anonymousId"].as_str()
                && !cookie.starts_with("kiosk")
                && !cookie.starts_with("receipt")
            {
                people
                    .entry(cookie.to_owned())
                    .or_default()
                    .insert(event.person);
                cookies
                    .entry(event.person)
                    .or_default()
                    .insert(cookie.to_owned());
            }
            if !seen.insert(event.message["messageId"].to_string()) {
                twice += 1;
            }
            late += u32::from(event.time < last);
            last = last.max(event.time);
            sessions += u32::from(event.message["type"] == "page");
            logins += u32::from(
                event.message["type"] == "identify" && !event.message["userId"].is_null(),
            );
        }
        let mean = cookies.values().map(BTreeSet::len).sum::<usize>() as f64 / 400.0;
        assert!((17.5..20.5).contains(&mean), "{mean} cookies a person");
        let shared = people.values().filter(|people| people.len() > 1).count();
        assert!(shared > 20, "households share their tablets: {shared}");
        let most = people.values().map(BTreeSet::len).max();
        assert_eq!(most, Some(4), "only a household shares a cookie");
        assert!(twice > 100 && late > 100, "{twice} twice, {late} late");
        // A visit has 3.5 pages on average.
        let rate = f64::from(logins) / (f64::from(sessions) / 3.5);
        assert!((0.24..0.32).contains(&rate), "{rate} logins a visit");
    }
}
