//! What a sum is of: a KPI, a currency, a dimension and its value.

/// A KPI that is made of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kpi {
    /// Distinct profiles with an active touchpoint.
    Visitors,
    /// Sessions.
    Sessions,
    /// Sessions by traffic source.
    TrafficSource,
    /// Web and app sessions that reach a goal, of all of them.
    ConversionRate,
    /// Events of a goal in web and app sessions, by session.
    ConversionsPerVisit,
    /// Web and app sessions with a single touchpoint, of all of them.
    BounceRate,
    /// Page and screen views, by web and app session.
    PagesPerSession,
    /// Seconds from the first to the last touchpoint, by web and app session.
    SessionDuration,
    /// Orders.
    Orders,
    /// Order totals less refunds.
    Revenue,
    /// Margins of the orders that state one.
    Margin,
    /// Orders that state a margin, of all of them.
    MarginCoverage,
    /// Order totals before refunds, by order.
    AverageOrderValue,
    /// Profiles with two orders or more, of those with one or more.
    RepurchaseRate,
}

impl Kpi {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Visitors,
        Self::Sessions,
        Self::TrafficSource,
        Self::ConversionRate,
        Self::ConversionsPerVisit,
        Self::BounceRate,
        Self::PagesPerSession,
        Self::SessionDuration,
        Self::Orders,
        Self::Revenue,
        Self::Margin,
        Self::MarginCoverage,
        Self::AverageOrderValue,
        Self::RepurchaseRate,
    ];

    /// Its name in tables.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Visitors => "visitors",
            Self::Sessions => "sessions",
            Self::TrafficSource => "traffic_source",
            Self::ConversionRate => "conversion_rate",
            Self::ConversionsPerVisit => "conversions_per_visit",
            Self::BounceRate => "bounce_rate",
            Self::PagesPerSession => "pages_per_session",
            Self::SessionDuration => "session_duration",
            Self::Orders => "orders",
            Self::Revenue => "revenue",
            Self::Margin => "margin",
            Self::MarginCoverage => "margin_coverage",
            Self::AverageOrderValue => "average_order_value",
            Self::RepurchaseRate => "repurchase_rate",
        }
    }

    /// The KPI of that name.
    #[must_use]
    pub fn named(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kpi| kpi.slug() == slug)
    }

    /// Whether its value is numerator by denominator, so that nothing stands where the denominator is 0; else it is the
    /// numerator, and nothing stands where that is 0.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        match self {
            Self::Visitors
            | Self::Sessions
            | Self::TrafficSource
            | Self::Orders
            | Self::Revenue
            | Self::Margin => false,
            Self::ConversionRate
            | Self::ConversionsPerVisit
            | Self::BounceRate
            | Self::PagesPerSession
            | Self::SessionDuration
            | Self::MarginCoverage
            | Self::AverageOrderValue
            | Self::RepurchaseRate => true,
        }
    }
}

/// What a KPI is broken down by; one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Not at all.
    Whole,
    /// Channel.
    Channel,
    /// Traffic source.
    Source,
    /// Campaign.
    Campaign,
    /// Device type.
    DeviceType,
    /// Store.
    Store,
    /// Goal.
    Goal,
}

impl Dimension {
    /// All of them; the whole stands first.
    pub const ALL: [Self; 7] = [
        Self::Whole,
        Self::Channel,
        Self::Source,
        Self::Campaign,
        Self::DeviceType,
        Self::Store,
        Self::Goal,
    ];

    /// Its name in tables; empty for the whole.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Channel => "channel",
            Self::Source => "source",
            Self::Campaign => "campaign",
            Self::DeviceType => "device_type",
            Self::Store => "store",
            Self::Goal => "goal",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What a sum is of, within a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a> {
    /// The KPI.
    pub kpi: Kpi,
    /// ISO 4217, of money; else empty.
    pub currency: &'a str,
    /// The dimension.
    pub dimension: Dimension,
    /// Its value; empty for the whole.
    pub value: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kpi_is_found_by_its_slug_and_every_dimension_by_its_place() {
        for kpi in Kpi::ALL {
            assert_eq!(Kpi::named(kpi.slug()), Some(kpi));
        }
        assert_eq!(Kpi::named("moon_phase"), None);
        for (index, dimension) in Dimension::ALL.into_iter().enumerate() {
            assert_eq!(dimension.index(), index);
        }
    }
}
