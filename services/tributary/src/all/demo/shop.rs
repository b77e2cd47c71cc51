//! A shop's three days: people who browse on several devices, log in, buy on line and at the till, and get a newsletter, which
//! costs something; and what is said of the shop on a social network.

use jiff::Timestamp;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
const DAYS: i64 = 3;

const PRODUCTS: [(&str, &str, u64); 6] = [
    ("sku-101", "Espresso Cups", 2490),
    ("sku-102", "Coffee Grinder", 8900),
    ("sku-103", "House Blend 1 kg", 1990),
    ("sku-104", "Milk Jug", 1750),
    ("sku-105", "Moka Pot", 3490),
    ("sku-106", "Descaler", 990),
];
const PAGES: [&str; 5] = ["/", "/coffee", "/machines", "/sale", "/stores"];
const CITIES: [&str; 4] = ["paris", "lyon", "nantes", "lille"];

/// Notes from 0 to 10, with what is said of them.
const ANSWERS: [(u8, &str); 8] = [
    (10, "Lovely people."),
    (9, ""),
    (9, "Good coffee while waiting."),
    (10, ""),
    (8, ""),
    (7, "A bit crowded."),
    (6, "Waited too long at the till."),
    (2, "The grinder I wanted was sold out."),
];

/// Events by the source that sends them.
#[derive(Debug, PartialEq)]
pub(super) struct Shop {
    /// Sites and apps.
    pub(super) online: Vec<Value>,
    /// Tills, whose events come with the till's own time.
    pub(super) till: Vec<Value>,
}

/// What `customers` people did in the days up to `base`, a time in milliseconds.
pub(super) fn three_days(customers: u64, base: i64) -> Shop {
    let mut shop = Shop {
        online: Vec::new(),
        till: Vec::new(),
    };
    for number in 0..customers {
        let mut person = Person::new(number, base);
        for visit in 0..1 + person.dice.below(3) {
            person.visit(visit, &mut shop.online);
        }
        if person.dice.chance(25) {
            person.buys_at_the_till(&mut shop.till);
        }
        if number.is_multiple_of(3) {
            person.gets_the_newsletter(&mut shop.online);
        }
    }
    social_network(base, &mut shop.online);
    newsletter(base, &mut shop.online);
    shop
}

/// What sending the newsletter cost each day, as the agency reports it.
fn newsletter(base: i64, events: &mut Vec<Value>) {
    for day in 0..DAYS {
        let time = Timestamp::from_millisecond(base - (day * 24 + 2) * 60 * MINUTE);
        events.push(json!({
            "type": "track", "event": "Spend Reported", "messageId": format!("demo-spend-{day}"),
            "timestamp": time.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            "properties": { "amount": euros(4500 + 250 * day.unsigned_abs()), "currency": "EUR" },
            "context": { "subject": "source", "campaign": { "source": "newsletter", "medium": "email", "name": "spring" } },
        }));
    }
}

/// What a network counts of the shop's account and of its posts, each morning, and who speaks of it.
fn social_network(base: i64, events: &mut Vec<Value>) {
    let mut dice = Dice(DAYS.unsigned_abs());
    let mut number = 0;
    let mut event = |name: &str, minutes_ago: i64, properties: Value| {
        number += 1;
        let time = Timestamp::from_millisecond(base - minutes_ago * MINUTE);
        events.push(json!({
            "type": "track", "event": name, "messageId": format!("demo-social-{number}"),
            "timestamp": time.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            "properties": properties, "context": { "subject": "source" },
        }));
    };
    for day in 1..DAYS {
        let ago = day * 24 * 60;
        let followers = 5200 - 40 * day;
        let account =
            json!({ "network": "instagram", "account": "demo-shop", "followers": followers });
        event("Followers Reported", ago, account);
        for (post, reach) in [("latte-art", 1800), ("moka-pot", 900)] {
            let seen = reach * (DAYS - day);
            event(
                "Post Reported",
                ago,
                json!({
                    "network": "instagram", "post_id": post, "reach": seen, "impressions": seen + seen / 4,
                    "likes": seen / 20, "comments": seen / 150, "shares": seen / 300,
                }),
            );
        }
    }
    for _ in 0..30 {
        let sentiment = ["positive", "positive", "neutral", "negative"][dice.index(4)];
        let ago = 90
            + dice
                .below((DAYS * 24 * 60 - 90).unsigned_abs())
                .cast_signed();
        let said = json!({ "network": "instagram", "sentiment": sentiment });
        event("Brand Mentioned", ago, said);
    }
}

struct Person {
    number: u64,
    base: i64,
    dice: Dice,
    events: u64,
}

impl Person {
    fn new(number: u64, base: i64) -> Self {
        Person {
            number,
            base,
            dice: Dice(number),
            events: 0,
        }
    }

    fn user_id(&self) -> String {
        format!("demo-customer-{}", self.number)
    }

    fn traits(&self) -> Value {
        let number = self.number;
        json!({ "email": format!("customer{number}@demo.example"), "plan": (["basic", "plus"])[usize::from(number.is_multiple_of(3))] })
    }

    fn random_time(&mut self) -> i64 {
        let span = DAYS * 24 * 60 - 90;
        self.base - MINUTE * (90 + self.dice.below(span.unsigned_abs()).cast_signed())
    }

    /// A session on the site, or every third time in the app; some log in, some of those buy.
    fn visit(&mut self, visit: u64, events: &mut Vec<Value>) {
        let in_app = self.dice.chance(33);
        let device = match in_app {
            true => format!("demo-phone-{}", self.number),
            // Cookies get lost.
            false => format!("demo-browser-{}-{}", self.number, visit / 2),
        };
        let mut time = self.random_time();
        let context = self.context(in_app);
        for _ in 0..1 + self.dice.below(5) {
            let page = PAGES[self.dice.index(PAGES.len())];
            let (kind, name) = if in_app {
                ("screen", "name")
            } else {
                ("page", "path")
            };
            let url = format!("https://shop.demo.example{page}");
            let mut event = self.event(kind, time, &device, &context);
            event[name] = json!(page);
            event["properties"] = json!({ "path": page, "url": url });
            events.push(event);
            time += self.pause();
        }
        if self.dice.chance(6) {
            let mut lead = self.event("track", time, &device, &context);
            lead["event"] = json!("Lead Submitted");
            lead["properties"] =
                json!({ "qualified": self.dice.chance(70), "interest": "delivery to offices" });
            events.push(lead);
            time += self.pause();
        }
        if !self.dice.chance(45) {
            return;
        }
        let mut identify = self.event("identify", time, &device, &context);
        identify["userId"] = json!(self.user_id());
        identify["traits"] = self.traits();
        events.push(identify);
        time += self.pause();
        let product = PRODUCTS[self.dice.index(PRODUCTS.len())];
        let mut viewed = self.event("track", time, &device, &context);
        viewed["event"] = json!("Product Viewed");
        viewed["userId"] = json!(self.user_id());
        viewed["properties"] =
            json!({ "product_id": product.0, "name": product.1, "price": euros(product.2) });
        events.push(viewed);
        if self.dice.chance(50) {
            time += self.pause();
            let mut order = self.event("track", time, &device, &context);
            order["event"] = json!("Order Completed");
            order["userId"] = json!(self.user_id());
            let id = format!("demo-{}-{visit}", self.number);
            let (cents, properties) = self.order(&id);
            order["properties"] = properties;
            // Tills do not know it.
            order["properties"]["margin"] = euros(cents * (30 + self.dice.below(20)) / 100);
            events.push(order);
            if self.dice.chance(8) {
                time += self.pause();
                let mut refund = self.event("track", time, &device, &context);
                refund["event"] = json!("Order Refunded");
                refund["userId"] = json!(self.user_id());
                let share = [cents, cents / 2][self.dice.index(2)];
                refund["properties"] =
                    json!({ "order_id": id, "total": euros(share), "currency": "EUR" });
                events.push(refund);
            }
            if self.dice.chance(40) {
                time += self.pause();
                let mut answer = self.event("track", time, &device, &context);
                answer["event"] = json!("Survey Answered");
                answer["userId"] = json!(self.user_id());
                answer["properties"] = json!({ "answers": [
                    { "question_id": "checkout", "wording": "How easy was it to order?", "aspect": "ces", "touchpoint": "checkout", "value": 1 + self.dice.below(4) },
                    { "question_id": "satisfied", "wording": "How satisfied are you?", "aspect": "csat", "touchpoint": "checkout", "value": 2 + self.dice.below(4) },
                ] });
                events.push(answer);
            }
        }
    }

    /// Two days ago; some come back, some are opened, a few make somebody click.
    fn gets_the_newsletter(&mut self, events: &mut Vec<Value>) {
        let context = json!({
            "traits": { "email": self.traits()["email"] },
            "campaign": { "source": "newsletter", "medium": "email", "name": "spring" },
        });
        let mut time = self.base - 2 * 24 * 60 * MINUTE;
        let mut happens = |person: &mut Self, name: &str| {
            let mut event = person.event("track", time, "", &context);
            if let Some(event) = event.as_object_mut() {
                event.remove("anonymousId");
            }
            event["event"] = json!(name);
            event["properties"] = json!({ "email_id": "newsletter-spring" });
            events.push(event);
            time += (1 + person.dice.below(600)).cast_signed() * MINUTE;
        };
        happens(self, "Email Sent");
        if self.dice.chance(4) {
            return happens(self, "Email Bounced");
        }
        happens(self, "Email Delivered");
        if self.dice.chance(45) {
            happens(self, "Email Opened");
            if self.dice.chance(30) {
                happens(self, "Email Link Clicked");
            }
        }
        if self.dice.chance(2) {
            happens(self, "Unsubscribed");
        }
    }

    fn buys_at_the_till(&mut self, events: &mut Vec<Value>) {
        let time = self.random_time();
        let city = CITIES[self.dice.index(CITIES.len())];
        let mut event = self.event("track", time, "", &json!({}));
        if let Some(event) = event.as_object_mut() {
            event.remove("anonymousId");
        }
        event["event"] = json!("Order Completed");
        event["context"] = json!({
            "library": { "name": "demo-till" },
            "traits": { "email": self.traits()["email"] },
            "externalIds": [{ "type": "loyalty_card", "id": format!("demo-card-{}", self.number), "collection": "users", "encoding": "none" }],
        });
        (_, event["properties"]) = self.order(&format!("demo-receipt-{}", self.number));
        event["properties"]["store_id"] = json!(city);
        let mut points = event.clone();
        points["messageId"] = json!(format!("demo-{}-points", self.number));
        points["event"] = json!("Loyalty Points Earned");
        points["properties"] = json!({ "points": 10 + self.dice.below(90), "store_id": city });
        events.push(points);
        if self.dice.chance(60) {
            let answer = self.answers(&event, time + 10 * MINUTE, city);
            events.push(event);
            events.push(answer);
        } else {
            events.push(event);
        }
    }

    /// How likely they are to recommend the store, asked by the till after a purchase.
    fn answers(&mut self, purchase: &Value, time: i64, city: &str) -> Value {
        let (note, comment) = ANSWERS[self.dice.index(ANSWERS.len())];
        let mut event = self.event("track", time, "", &purchase["context"]);
        if let Some(event) = event.as_object_mut() {
            event.remove("anonymousId");
        }
        event["event"] = json!("Survey Answered");
        event["properties"] = json!({
            "store_id": city, "question_id": "recommend", "wording": "How likely are you to recommend us?",
            "kind": "touchpoint", "touchpoint": "purchase in store", "aspect": "nps", "scale": "0-10", "value": note,
            "comment": comment,
        });
        event
    }

    /// Some lines: what they come to, in cents, and the properties of the order.
    fn order(&mut self, id: &str) -> (u64, Value) {
        let mut cents = 0;
        let lines: Vec<Value> = (0..1 + self.dice.below(3))
            .map(|_| {
                let (id, name, price) = PRODUCTS[self.dice.index(PRODUCTS.len())];
                let quantity = 1 + self.dice.below(2);
                cents += price * quantity;
                json!({ "product_id": id, "name": name, "price": euros(price), "quantity": quantity })
            })
            .collect();
        let properties = json!({ "order_id": id, "total": euros(cents), "revenue": euros(cents), "currency": "EUR", "products": lines });
        (cents, properties)
    }

    fn context(&mut self, in_app: bool) -> Value {
        if in_app {
            return json!({
                "library": { "name": "analytics-ios", "version": "4.1.8" },
                "device": { "id": format!("demo-device-{}", self.number), "type": "ios" },
            });
        }
        let mut context = json!({
            "library": { "name": "analytics.js", "version": "5.2.0" },
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        });
        match self.dice.below(4) {
            0 => {
                context["campaign"] =
                    json!({ "source": "newsletter", "medium": "email", "name": "spring" })
            }
            1 => {
                context["page"] = json!({ "referrer": "https://www.google.com/", "url": "https://shop.demo.example/?gclid=demo" })
            }
            2 => context["page"] = json!({ "referrer": "https://www.instagram.com/" }),
            _ => {}
        }
        context
    }

    fn event(&mut self, kind: &str, time: i64, device: &str, context: &Value) -> Value {
        self.events += 1;
        let time = Timestamp::from_millisecond(time).unwrap_or(Timestamp::UNIX_EPOCH);
        json!({
            "type": kind,
            "messageId": format!("demo-{}-{}", self.number, self.events),
            "anonymousId": device,
            "timestamp": time.to_string(),
            "context": context,
        })
    }

    fn pause(&mut self) -> i64 {
        (5 + self.dice.below(240)).cast_signed() * 1000
    }
}

fn euros(cents: u64) -> Value {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    // A number, written as money is.
    serde_json::from_str(&text).expect("digits, a point and two digits are a number")
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const BASE: i64 = 1_790_000_000_000;

    #[test]
    fn the_same_base_gives_the_same_events() {
        assert_eq!(three_days(50, BASE), three_days(50, BASE));
    }

    #[test]
    fn every_event_has_an_id_of_its_own_and_a_time_before_the_base() {
        let shop = three_days(400, BASE);
        let events: Vec<&Value> = shop.online.iter().chain(&shop.till).collect();
        assert!((2_000..10_000).contains(&events.len()), "{}", events.len());
        let ids: BTreeSet<&str> = events
            .iter()
            .filter_map(|event| event["messageId"].as_str())
            .collect();
        assert_eq!(ids.len(), events.len());
        for event in events {
            let time: Timestamp = event["timestamp"]
                .as_str()
                .expect("a text")
                .parse()
                .expect("a time");
            let age = BASE - time.as_millisecond();
            assert!((0..=DAYS * 24 * 60 * MINUTE).contains(&age), "{event}");
        }
    }
}
