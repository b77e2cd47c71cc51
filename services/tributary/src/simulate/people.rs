//! Who there is: people with devices and browsers, households with a tablet, stores with tills and kiosks.

use super::dice::Dice;
use tributary_core::time::DAY;

/// Of 100: how many have 1 to 6 devices.
const DEVICES: [u64; 6] = [13, 27, 28, 17, 9, 6];
/// Of 100: how many devices have 1 to 3 browsers.
const BROWSERS: [u64; 3] = [75, 20, 5];
/// Of 100: households of 1 to 4.
const HOUSEHOLDS: [u64; 4] = [40, 30, 15, 15];
/// The chance that the cookies of a browser are cleared on a day: with the private windows it makes 19 cookies a person
/// and year, as the tests measure.
const CLEARED_A_DAY: f64 = 0.0128;

/// A browser or an app on a device.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    cookie: String,
    last_used: i64,
    /// An app knows its device.
    pub(super) device_id: Option<String>,
}

/// What a person uses.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) browsers: Vec<Browser>,
    /// Milliseconds that its clock is behind.
    pub(super) behind: i64,
}

/// A person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) number: u64,
    pub(super) devices: Vec<Device>,
    /// The household's tablet.
    pub(super) tablet: Option<usize>,
    pub(super) user_id: String,
    /// The address, and another from a day on.
    pub(super) emails: (String, Option<(i64, String)>),
    /// The card, and whether the account knows it.
    pub(super) card: Option<(String, bool)>,
    pub(super) dice: Dice,
}

impl Browser {
    fn new(dice: &mut Dice, start: i64, device_id: Option<String>) -> Self {
        Browser {
            cookie: dice.hex(),
            last_used: start,
            device_id,
        }
    }

    /// Its cookie at that time; a new one where the old one was cleared since. Apps keep theirs.
    pub(super) fn cookie(&mut self, now: i64, dice: &mut Dice) -> &str {
        let days = (now - self.last_used).max(0) as f64 / DAY as f64;
        self.last_used = now;
        // One minus the chance to survive each day, by whole days and the rest of one.
        let kept = (1.0 - CLEARED_A_DAY).powi(days as i32) * (1.0 - CLEARED_A_DAY * days.fract());
        let cleared = ((1.0 - kept) * 1e6) as u64;
        if self.device_id.is_none() && dice.chance(cleared) {
            self.cookie = dice.hex();
        }
        &self.cookie
    }
}

impl Device {
    pub(super) fn new(dice: &mut Dice, start: i64) -> Self {
        let browsers = dice.weighted(&BROWSERS) + 1;
        let has_app = dice.chance(200_000);
        let browsers = (0..browsers)
            .map(|index| {
                let device_id = (has_app && index == 0).then(|| dice.hex());
                Browser::new(dice, start, device_id)
            })
            .collect();
        let wrong = dice.chance(5_000);
        Device {
            browsers,
            behind: if wrong {
                dice.between(DAY, 30 * DAY)
            } else {
                0
            },
        }
    }
}

impl Person {
    fn new(number: u64, tablet: Option<usize>, seed: u64, start: i64, end: i64) -> Self {
        let mut dice = Dice::new(seed, number + 1);
        let devices = dice.weighted(&DEVICES) + 1;
        let devices = (0..devices)
            .map(|_| Device::new(&mut dice, start))
            .collect();
        let moved = dice.chance(100_000).then(|| {
            (
                dice.between(start, end),
                format!("person-{number}.new@mail.example"),
            )
        });
        let card = dice
            .chance(500_000)
            .then(|| (format!("4000{number:08}"), dice.chance(300_000)));
        Person {
            number,
            devices,
            tablet,
            user_id: format!("user-{number}"),
            emails: (format!("person-{number}@mail.example"), moved),
            card,
            dice,
        }
    }

    /// The address in use at that time.
    pub(super) fn email(&self, now: i64) -> &str {
        match &self.emails {
            (_, Some((since, email))) if now >= *since => email,
            (email, _) => email,
        }
    }
}

/// Everybody, by household; and the households' tablets.
pub(super) fn everybody(
    people: u64,
    seed: u64,
    start: i64,
    end: i64,
) -> (Vec<Person>, Vec<Device>) {
    let mut dice = Dice::new(seed, 0);
    let (mut all, mut tablets) = (Vec::new(), Vec::new());
    while (all.len() as u64) < people {
        let size = dice.weighted(&HOUSEHOLDS) + 1;
        let tablet = (size > 1 && dice.chance(500_000)).then(|| {
            tablets.push(Device::new(&mut dice, start));
            tablets.len() - 1
        });
        for _ in 0..size {
            if (all.len() as u64) < people {
                all.push(Person::new(all.len() as u64, tablet, seed, start, end));
            }
        }
    }
    (all, tablets)
}
