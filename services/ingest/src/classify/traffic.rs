//! How a touchpoint was reached: by campaign, click id or referrer.

use std::borrow::Cow;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::{address, dimension};

/// The campaign that brought it. Empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Campaign<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) source: Cow<'a, str>,
    pub(crate) medium: Cow<'a, str>,
    pub(crate) term: Cow<'a, str>,
    pub(crate) content: Cow<'a, str>,
}

impl Campaign<'_> {
    fn is_empty(&self) -> bool {
        [
            &self.name,
            &self.source,
            &self.medium,
            &self.term,
            &self.content,
        ]
        .iter()
        .all(|field| field.is_empty())
    }
}

/// The stated campaign, else that of the page's `utm_` parameters.
pub(crate) fn campaign<'a>(stated: Campaign<'a>, query: &'a str) -> Campaign<'a> {
    if !stated.is_empty() || !query.contains("utm_") {
        return stated;
    }
    let mut campaign = stated;
    for (name, value) in address::pairs(query) {
        let value = dimension(value);
        match name {
            "utm_campaign" => campaign.name = value,
            "utm_source" => campaign.source = value,
            "utm_medium" => campaign.medium = value,
            "utm_term" => campaign.term = value,
            "utm_content" => campaign.content = value,
            _ => {}
        }
    }
    campaign
}

/// The traffic source: the campaign's source and medium, else the click id's network, else the referrer's class, else
/// `direct`.
pub(crate) fn source(
    campaign: &Campaign<'_>,
    query: &str,
    page: &str,
    referrer: &str,
) -> Cow<'static, str> {
    let (source, medium) = (campaign.source.trim(), campaign.medium.trim());
    match (source.is_empty(), medium.is_empty()) {
        (false, false) => format!("{} / {}", source.to_lowercase(), medium.to_lowercase()).into(),
        (false, true) => source.to_lowercase().into(),
        (true, false) => medium.to_lowercase().into(),
        (true, true) => clicked(query)
            .unwrap_or_else(|| referred(page, referrer))
            .into(),
    }
}

/// Click ids and the network that adds them.
const CLICK_IDS: [(&str, &str); 16] = [
    ("gclid", "google / cpc"),
    ("gbraid", "google / cpc"),
    ("wbraid", "google / cpc"),
    ("dclid", "google / display"),
    ("msclkid", "bing / cpc"),
    ("fbclid", "facebook / paid social"),
    ("ttclid", "tiktok / paid social"),
    ("twclid", "twitter / paid social"),
    ("li_fat_id", "linkedin / paid social"),
    ("epik", "pinterest / paid social"),
    ("ScCid", "snapchat / paid social"),
    ("rdt_cid", "reddit / paid social"),
    ("yclid", "yandex / cpc"),
    ("irclickid", "impact / affiliate"),
    ("awc", "awin / affiliate"),
    ("mc_eid", "mailchimp / email"),
];

fn clicked(query: &str) -> Option<&'static str> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        CLICK_IDS
            .iter()
            .find(|(id, _)| *id == name && !value.is_empty())
            .map(|(_, network)| *network)
    })
}

/// Hosts by class: a domain with all below it, or with a dot at its end every country's domain of that name.
const EMAIL: [&str; 12] = [
    "mail.google.com",
    "com.google.android.gm",
    "mail.yahoo.com",
    "outlook.live.com",
    "outlook.office.com",
    "outlook.office365.com",
    "mail.aol.com",
    "mail.yandex.ru",
    "mail.proton.me",
    "mail.gmx.net",
    "webmail.",
    "deref-gmx.net",
];
const SOCIAL: [&str; 24] = [
    "facebook.com",
    "fb.com",
    "fb.me",
    "messenger.com",
    "instagram.com",
    "threads.net",
    "twitter.com",
    "t.co",
    "x.com",
    "linkedin.com",
    "lnkd.in",
    "pinterest.",
    "reddit.com",
    "tiktok.com",
    "youtube.com",
    "youtu.be",
    "snapchat.com",
    "whatsapp.com",
    "wa.me",
    "t.me",
    "telegram.org",
    "vk.com",
    "bsky.app",
    "quora.com",
];
const SEARCH: [&str; 15] = [
    "google.",
    "com.google.android.googlequicksearchbox",
    "bing.com",
    "duckduckgo.com",
    "yahoo.",
    "baidu.com",
    "yandex.",
    "ecosia.org",
    "qwant.com",
    "startpage.com",
    "ask.com",
    "aol.com",
    "naver.com",
    "seznam.cz",
    "search.brave.com",
];

fn referred(page: &str, referrer: &str) -> &'static str {
    if referrer.is_empty() {
        return "direct";
    }
    let host = address::host(referrer).to_ascii_lowercase();
    let own = address::host(page).to_ascii_lowercase();
    // An inner page, or the shop's other subdomain, sent nobody.
    if host.is_empty() || (!own.is_empty() && (below(&host, &own) || below(&own, &host))) {
        return "direct";
    }
    class(&host).unwrap_or("referral")
}

/// By the most specific of its domains that is known.
fn class(host: &str) -> Option<&'static str> {
    // From each label on, the whole name first.
    std::iter::successors(Some(host), |rest| Some(rest.split_once('.')?.1)).find_map(|rest| {
        let every_country = rest.split_inclusive('.').next().unwrap_or(rest);
        let known = classes();
        known
            .get(rest)
            .or_else(|| known.get(every_country))
            .copied()
    })
}

fn classes() -> &'static FxHashMap<&'static str, &'static str> {
    static CLASSES: OnceLock<FxHashMap<&'static str, &'static str>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        [
            ("email", EMAIL.as_slice()),
            ("social", SOCIAL.as_slice()),
            ("search", SEARCH.as_slice()),
        ]
        .into_iter()
        .flat_map(|(class, hosts)| hosts.iter().map(move |host| (*host, class)))
        .collect()
    })
}

fn below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, referrer: &str, expected: &str) {
        let query = address::query(page);
        let campaign = campaign(Campaign::default(), query);
        assert_eq!(
            source(&campaign, query, page, referrer),
            expected,
            "{page} from {referrer}"
        );
    }

    #[test]
    fn a_campaign_beats_a_click_id_beats_a_referrer() {
        let google = "https://www.google.com/";
        check(
            "https://x.org/?utm_source=Newsletter&utm_medium=Email&gclid=1",
            google,
            "newsletter / email",
        );
        check("https://x.org/?utm_source=newsletter", google, "newsletter");
        check("https://x.org/?utm_medium=email", google, "email");
        check(
            "https://x.org/?utm_campaign=spring&gclid=1",
            google,
            "google / cpc",
        );
        check("https://x.org/?a=b&msclkid=1", google, "bing / cpc");
        check(
            "https://x.org/?fbclid=1#gclid=2",
            "",
            "facebook / paid social",
        );
        check("https://x.org/?gclid=", google, "search");
        check("https://x.org/", google, "search");
        check("https://x.org/", "", "direct");
        check("", "", "direct");
    }

    #[test]
    fn referrers_are_classed_by_their_host() {
        for (referrer, class) in [
            ("https://www.google.co.uk/search?q=x", "search"),
            ("https://duckduckgo.com/", "search"),
            ("https://fr.search.yahoo.com/", "search"),
            ("https://yandex.ru/", "search"),
            ("https://mail.google.com/", "email"),
            ("https://webmail.provider.fr/", "email"),
            ("android-app://com.google.android.gm/", "email"),
            ("https://l.facebook.com/", "social"),
            ("https://t.co/abc", "social"),
            ("https://www.pinterest.fr/", "social"),
            ("https://www.youtube.com/watch", "social"),
            ("https://blog.partner.org/", "referral"),
            ("https://notgoogle.com/", "referral"),
            ("https://xt.co/", "referral"),
            ("https://www.shop.org/cart", "direct"),
            ("https://help.shop.org/", "direct"),
            ("https://SHOP.org/", "direct"),
            ("not an address", "direct"),
        ] {
            check("https://shop.org/", referrer, class);
        }
    }

    #[test]
    fn a_stated_campaign_beats_the_pages_parameters() {
        let stated = Campaign {
            name: "spring".into(),
            ..Campaign::default()
        };
        assert_eq!(campaign(stated.clone(), "utm_campaign=summer"), stated);
        let found = campaign(
            Campaign::default(),
            "utm_campaign=sum%20mer&utm_term=a&utm_content=b",
        );
        assert_eq!(
            (&*found.name, &*found.term, &*found.content),
            ("sum mer", "a", "b")
        );
    }
}
