//! The CDNOW purchase history, and what its file says by itself: nothing here uses Tributary's code.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// The customer, as written.
    pub customer: String,
    /// Midnight of its day, in seconds since 1970.
    pub second: i64,
    /// Its amount in cents.
    pub cents: i64,
}

/// What the purchases of a window, or of a customer, come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Purchases.
    pub orders: i64,
    /// Their amounts in cents.
    pub cents: i64,
    /// Customers.
    pub customers: i64,
    /// Customers with at least two purchases.
    pub repeaters: i64,
    /// Days on which a customer purchased: what is bought at the same moment is one visit.
    pub visits: i64,
}

/// Where the setup of the tests keeps the file.
///
/// # Panics
/// When it is not there.
pub fn path() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let path = cache
        .expect("HOME is set")
        .join("tributary/tests/CDNOW_master.txt");
    assert!(
        path.is_file(),
        "{} is missing; `make test` fetches it first",
        path.display()
    );
    path
}

/// All purchases, by time.
///
/// # Panics
/// When the file is not what it should be.
pub fn purchases() -> Vec<Purchase> {
    let text = std::fs::read_to_string(path()).expect("the file is text");
    let mut purchases: Vec<Purchase> = text.lines().skip(1).map(purchase).collect();
    purchases.sort_by_key(|purchase| purchase.second);
    purchases
}

fn purchase(line: &str) -> Purchase {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [customer, date, _, dollars] = parts.as_slice() else {
        panic!("unexpected line {line}");
    };
    let number =
        |range: std::ops::Range<usize>| date[range].parse::<i16>().expect("a date is eight digits");
    let narrow = |range| i8::try_from(number(range)).expect("two digits");
    let day = Date::new(number(0..4), narrow(4..6), narrow(6..8)).expect("a date exists");
    let (whole, cents) = dollars.split_once('.').expect("amounts have two decimals");
    assert_eq!(cents.len(), 2, "{line}");
    Purchase {
        customer: (*customer).to_owned(),
        second: TimeZone::UTC
            .to_timestamp(day.at(0, 0, 0, 0))
            .expect("within range")
            .as_second(),
        cents: whole.parse::<i64>().expect("digits") * 100 + cents.parse::<i64>().expect("digits"),
    }
}

/// What lies in (end - length, end]; `purchases` are by time.
pub fn window(purchases: &[Purchase], end: i64, length: i64) -> Totals {
    let from = purchases.partition_point(|purchase| purchase.second <= end - length);
    let to = purchases.partition_point(|purchase| purchase.second <= end);
    totals(&purchases[from..to])
}

/// What some purchases come to.
pub fn totals(purchases: &[Purchase]) -> Totals {
    let mut days: HashMap<(&str, i64), i64> = HashMap::new();
    let mut orders: HashMap<&str, i64> = HashMap::new();
    for purchase in purchases {
        *days
            .entry((&purchase.customer, purchase.second))
            .or_default() += 1;
        *orders.entry(&purchase.customer).or_default() += 1;
    }
    let count = |number: usize| i64::try_from(number).expect("a file has fewer lines");
    Totals {
        orders: count(purchases.len()),
        cents: purchases.iter().map(|purchase| purchase.cents).sum(),
        customers: count(orders.len()),
        repeaters: count(orders.values().filter(|orders| **orders >= 2).count()),
        visits: count(days.len()),
    }
}

/// The same by customer.
pub fn by_customer(purchases: &[Purchase]) -> BTreeMap<String, Totals> {
    let mut rows: BTreeMap<&str, Vec<Purchase>> = BTreeMap::new();
    for purchase in purchases {
        rows.entry(&purchase.customer)
            .or_default()
            .push(purchase.clone());
    }
    rows.into_iter()
        .map(|(customer, rows)| (customer.to_owned(), totals(&rows)))
        .collect()
}

/// By the month of the first purchase (its first day) and the months since: the customers of the cohort, and what those
/// months come to.
pub fn cohorts(purchases: &[Purchase]) -> BTreeMap<(String, i64), (i64, Totals)> {
    let month = |second: i64| {
        let moment = jiff::Timestamp::from_second(second).expect("within range");
        let date = moment.to_zoned(TimeZone::UTC).date();
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    };
    let mut firsts: HashMap<&str, i64> = HashMap::new();
    for purchase in purchases {
        let first = firsts.entry(&purchase.customer).or_insert(purchase.second);
        *first = (*first).min(purchase.second);
    }
    let mut cells: BTreeMap<(i64, i64), Vec<Purchase>> = BTreeMap::new();
    for purchase in purchases {
        let cohort = month(firsts[&*purchase.customer]);
        let cell = cells.entry((cohort, month(purchase.second) - cohort));
        cell.or_default().push(purchase.clone());
    }
    let customers = |cohort: i64| {
        firsts
            .values()
            .filter(|first| month(**first) == cohort)
            .count()
    };
    let named = |cohort: i64| format!("{:04}-{:02}-01", cohort / 12, cohort % 12 + 1);
    let sizes: HashMap<i64, i64> = cells
        .keys()
        .map(|(cohort, _)| (*cohort, i64::try_from(customers(*cohort)).expect("few")))
        .collect();
    cells
        .into_iter()
        .map(|((cohort, month), purchases)| {
            ((named(cohort), month), (sizes[&cohort], totals(&purchases)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Purchase> {
        [
            " 00001 19970101  1   11.77",
            " 00002 19970102  1   12.00",
            " 00002 19970102  5   77.00",
            " 00001 19970103 1 0.23",
        ]
        .map(purchase)
        .to_vec()
    }

    #[test]
    fn a_window_holds_its_end_and_not_its_start() {
        let day = 86_400;
        let second = some()[1].second;
        let expected = Totals {
            orders: 2,
            cents: 8_900,
            customers: 1,
            repeaters: 1,
            visits: 1,
        };
        assert_eq!(window(&some(), second, day), expected);
        assert_eq!(window(&some(), second + day - 1, day), expected);
        assert_eq!(window(&some(), second + day, 2 * day).orders, 3);
        assert_eq!(window(&some(), second + 2 * day, day), Totals::default());
    }

    #[test]
    fn customers_add_up() {
        let customers = by_customer(&some());
        assert_eq!(
            customers["00001"],
            Totals {
                orders: 2,
                cents: 1_200,
                customers: 1,
                repeaters: 1,
                visits: 2
            }
        );
        assert_eq!(customers["00002"].visits, 1);
    }
}
