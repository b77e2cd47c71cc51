//! What a sum is of: a KPI, a currency, a dimension and its value.

use serde::{Deserialize, Serialize};

macro_rules! kpis {
    ($($kpi:ident $slug:literal $made:ident $doc:literal)*) => {
        /// A KPI that is made of sums.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kpi {
            $(#[doc = $doc] $kpi,)*
        }

        impl Kpi {
            /// All of them.
            pub const ALL: [Self; [$($slug),*].len()] = [$(Self::$kpi),*];

            /// Its name in tables.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self {
                    $(Self::$kpi => $slug,)*
                }
            }

            const fn made(self) -> Made {
                match self {
                    $(Self::$kpi => Made::$made,)*
                }
            }
        }
    };
}

/// What of its two sums makes a KPI's value.
#[derive(Clone, Copy)]
enum Made {
    Sum,
    Ratio,
}

kpis! {
    Visitors "visitors" Sum "Distinct profiles with an active touchpoint."
    Sessions "sessions" Sum "Sessions."
    TrafficSource "traffic_source" Sum "Sessions by traffic source."
    ConversionRate "conversion_rate" Ratio "Web and app sessions that reach a goal, of all of them."
    ConversionsPerVisit "conversions_per_visit" Ratio "Events of a goal in web and app sessions, by session."
    ConversionRateProfiles "conversion_rate_profiles" Ratio "Profiles that reach a goal, of the visitors."
    BounceRate "bounce_rate" Ratio "Web and app sessions with a single touchpoint, of all of them."
    PagesPerSession "pages_per_session" Ratio "Page and screen views, by web and app session."
    SessionDuration "session_duration" Ratio "Seconds from the first to the last touchpoint, by web and app session."
    RecognitionRate "recognition_rate" Ratio "Sessions of profiles that hold a person identifier, of all sessions."
    DevicesPerCustomer "devices_per_customer" Ratio "Device ids of active profiles with a person identifier, by such profile."
    CookiesPerCustomer "cookies_per_customer" Ratio "Anonymous ids of active profiles with a person identifier, by such profile."
    Orders "orders" Sum "Orders."
    Revenue "revenue" Sum "Order totals less refunds."
    Margin "margin" Sum "Margins of the orders that state one."
    MarginCoverage "margin_coverage" Ratio "Orders that state a margin, of all of them."
    AverageOrderValue "average_order_value" Ratio "Order totals before refunds, by order."
    RepurchaseRate "repurchase_rate" Ratio "Profiles with two orders or more, of those with one or more."
    LifetimeValue "lifetime_value" Ratio "What all their orders brought up to the mark, less refunds, by customer."
    LifetimeMargin "lifetime_margin" Ratio "The margins that all their orders state up to the mark, by customer."
    Customers "customers" Sum "Profiles with an order of late: in the days that make a customer, up to the mark."
    NewCustomers "new_customers" Sum "Profiles whose first order is in the window."
    Retention "retention" Ratio "Of the customers at the window's start those who are customers at its end."
    Churn "churn" Ratio "Of the customers at the window's start those who are none at its end."
    Lifecycle "lifecycle" Sum "Profiles by status at the mark."
    LoyaltyQuadrant "loyalty_quadrant" Sum "Customers by attitude and repeat purchase at the mark."
    LoyaltyPoints "loyalty_points" Sum "Points earned less those redeemed and expired."
    Nps "nps" Ratio "A hundred times promoters less detractors by answer, on the scale from 0 to 10."
    NpsFromOne "nps_1_10" Ratio "The same on the scale from 1 to 10."
    Csat "csat" Ratio "Satisfied answers, of all of them."
    Ces "ces" Ratio "Mean effort, from 1 (low) to 5."
    Leads "leads" Sum "Distinct profiles with a lead event that is qualified."
    Contacts "contacts" Sum "Lead events."
    Spend "spend" Sum "Money spent on advertising."
    CostPerLead "cost_per_lead" Ratio "Spend by lead."
    CostPerContact "cost_per_contact" Ratio "Spend by contact."
    EmailSent "email_sent" Sum "E-mails sent, one a recipient."
    EmailDelivered "email_delivered" Sum "E-mails that did not come back."
    EmailOpenRate "email_open_rate" Ratio "E-mails that were opened, of those delivered."
    EmailClickRate "email_click_rate" Ratio "E-mails in which a link was followed, of those delivered."
    EmailClickToOpen "email_click_to_open" Ratio "E-mails in which a link was followed, of those opened."
    EmailUnsubscribeRate "email_unsubscribe_rate" Ratio "E-mails upon which the recipient wanted no more, of those delivered."
    SocialFollowers "social_followers" Sum "Followers, as last known of each account."
    SocialReach "social_reach" Sum "Different people who saw a post, as last reported."
    SocialImpressions "social_impressions" Sum "How often posts were seen, as last reported of each."
    SocialEngagement "social_engagement" Sum "Likes, shares, comments and clicks, as last reported of each post."
    SocialEngagementRate "social_engagement_rate" Ratio "The engagement of a post by its reach."
    Mentions "mentions" Sum "How often somebody spoke of the brand."
}

impl Kpi {
    /// The KPI of that name.
    #[must_use]
    pub fn named(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kpi| kpi.slug() == slug)
    }

    /// Whether its value is numerator by denominator, so that nothing stands where the denominator is 0; else it is the
    /// numerator, and nothing stands where that is 0.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        matches!(self.made(), Made::Ratio)
    }

    /// Whether its sums of several values of a dimension mean something: of who saw several posts they do not.
    #[must_use]
    pub const fn adds_up(self) -> bool {
        !matches!(self, Self::SocialReach | Self::SocialEngagementRate)
    }
}

/// What a KPI is broken down by; one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Product.
    Product,
    /// Question of a survey.
    Question,
    /// Touchpoint that an answer is about.
    Touchpoint,
    /// Status in the lifecycle.
    Status,
    /// Attitude and repeat purchase.
    Quadrant,
    /// Social network.
    Network,
    /// Post on a social network.
    Post,
    /// Influencer.
    Influencer,
    /// Whether a mention is positive, neutral or negative.
    Sentiment,
}

impl Dimension {
    /// All of them; the whole stands first.
    pub const ALL: [Self; 16] = [
        Self::Whole,
        Self::Channel,
        Self::Source,
        Self::Campaign,
        Self::DeviceType,
        Self::Store,
        Self::Goal,
        Self::Product,
        Self::Question,
        Self::Touchpoint,
        Self::Status,
        Self::Quadrant,
        Self::Network,
        Self::Post,
        Self::Influencer,
        Self::Sentiment,
    ];

    /// Those that KPIs may be counted by or not. The whole is always counted; statuses and quadrants are the only dimension
    /// that their KPIs have.
    pub const OPTIONAL: [Self; 13] = [
        Self::Channel,
        Self::Source,
        Self::Campaign,
        Self::DeviceType,
        Self::Store,
        Self::Goal,
        Self::Product,
        Self::Question,
        Self::Touchpoint,
        Self::Network,
        Self::Post,
        Self::Influencer,
        Self::Sentiment,
    ];

    /// Those whose values senders choose, so that only so many are told apart. Those of the others are few: goals, statuses,
    /// quadrants, sentiments.
    pub const BOUNDED: [Self; 11] = [
        Self::Channel,
        Self::Source,
        Self::Campaign,
        Self::DeviceType,
        Self::Store,
        Self::Product,
        Self::Question,
        Self::Touchpoint,
        Self::Network,
        Self::Post,
        Self::Influencer,
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
            Self::Product => "product",
            Self::Question => "question",
            Self::Touchpoint => "touchpoint",
            Self::Status => "status",
            Self::Quadrant => "quadrant",
            Self::Network => "network",
            Self::Post => "post",
            Self::Influencer => "influencer",
            Self::Sentiment => "sentiment",
        }
    }

    /// The dimension of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.name() == name)
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
