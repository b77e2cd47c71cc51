//! What a user agent tells: whether it is a bot, and the type of the device.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;

use isbot::Bots;

/// What is known of a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) bot: bool,
    /// Empty where there is no user agent.
    pub(crate) device_type: &'static str,
}

impl Agent {
    /// No user agent: no bot, as a server's SDK is none.
    const NONE: Self = Self {
        bot: false,
        device_type: "",
    };
}

/// A look costs tens of microseconds, and a site's visitors share some hundreds of user agents.
const CACHED: usize = 4096;
/// Longer ones are cut: what they are stands at their beginning.
const LONGEST: usize = 512;

thread_local! {
    static CACHE: RefCell<HashMap<Box<str>, Agent>> = RefCell::default();
}

/// The user agent that the request of a browser's SDK came with, where it is one of a page's visitor; empty where it
/// names a tool (`curl`, an HTTP library): then a server passed the call on, and the browser is not known.
pub(crate) fn of_visitor(header: &str) -> &str {
    let is_browser = ["Mozilla/", "Opera/"]
        .iter()
        .any(|product| header.starts_with(product));
    let calls_itself_a_robot = || {
        let header = header.to_ascii_lowercase();
        ["bot", "crawl", "spider"]
            .iter()
            .any(|word| header.contains(word))
    };
    if is_browser || calls_itself_a_robot() {
        header
    } else {
        ""
    }
}

/// Looks at a user agent.
pub(crate) fn look(user_agent: &str) -> Agent {
    if user_agent.is_empty() {
        return Agent::NONE;
    }
    let user_agent = &user_agent[..user_agent.floor_char_boundary(LONGEST)];
    CACHE.with_borrow_mut(|cache| {
        if let Some(known) = cache.get(user_agent) {
            return *known;
        }
        let agent = Agent {
            bot: bots().is_bot(user_agent),
            device_type: device_type(user_agent),
        };
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(user_agent.into(), agent);
        agent
    })
}

/// The device type that `context.device.type` states, in our words; empty where it states none.
pub(crate) fn stated(device_type: &str) -> &'static str {
    let is = |words: &[&str]| {
        words
            .iter()
            .any(|word| word.eq_ignore_ascii_case(device_type))
    };
    match () {
        () if device_type.is_empty() => "",
        () if is(&["ios", "android", "mobile", "phone", "smartphone"]) => "mobile",
        () if is(&["tablet", "ipad", "ipados"]) => "tablet",
        () if is(&["desktop", "macos", "windows", "linux", "computer"]) => "desktop",
        () if is(&["tv", "tvos", "smarttv", "smart tv", "console"]) => "tv",
        () if is(&["till", "pos", "register", "cash register"]) => "till",
        () => "other",
    }
}

/// By words that browsers have kept in their user agents for a decade.
fn device_type(user_agent: &str) -> &'static str {
    let has = |word: &str| user_agent.contains(word);
    match () {
        () if ["TV", "BRAVIA", "AFTS", "Roku", "CrKey"]
            .into_iter()
            .any(has) =>
        {
            "tv"
        }
        () if has("iPad") || has("Tablet") || has("Kindle") || has("PlayBook") => "tablet",
        // Android's convention: tablets leave out the word Mobile. Dalvik, the HTTP client of apps, leaves it out too.
        () if has("Android") && !has("Mobile") && !has("Dalvik") => "tablet",
        () if has("Mobi") || has("iPhone") || has("iPod") || has("Android") => "mobile",
        () if has("Windows NT") || has("Macintosh") || has("X11") || has("CrOS") => "desktop",
        () => "other",
    }
}

fn bots() -> &'static Bots {
    static BOTS: OnceLock<Bots> = OnceLock::new();
    BOTS.get_or_init(|| {
        let mut bots = Bots::default();
        // Younger than the list that the crate carries.
        bots.append(&[
            "gptbot",
            "chatgpt-user",
            "claude-",
            "perplexity",
            "meta-external",
            "bytespider",
            "headlesschrome",
        ]);
        bots
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
    const SAFARI_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    const ANDROID_PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36";
    const ANDROID_TABLET: &str = "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
    const TV: &str = "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/2.2 Chrome/63.0 TV Safari/537.36";

    #[test]
    fn bots_and_devices_are_told_by_the_user_agent() {
        for (user_agent, bot, device_type) in [
            ("", false, ""),
            (CHROME, false, "desktop"),
            (SAFARI_PHONE, false, "mobile"),
            (ANDROID_PHONE, false, "mobile"),
            (ANDROID_TABLET, false, "tablet"),
            (TV, false, "tv"),
            (
                "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UD1A)",
                false,
                "mobile",
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                true,
                "other",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot",
                true,
                "other",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0.0.0 Safari/537.36",
                true,
                "desktop",
            ),
        ] {
            for _ in 0..2 {
                assert_eq!(look(user_agent), Agent { bot, device_type }, "{user_agent}");
            }
        }
    }

    #[test]
    fn a_tool_that_passes_a_call_on_is_not_its_visitor() {
        for visitor in [CHROME, TV, "Opera/9.80 (X11)", "Googlebot/2.1"] {
            assert_eq!(of_visitor(visitor), visitor);
        }
        for tool in [
            "",
            "curl/8.5.0",
            "python-requests/2.32",
            "Go-http-client/1.1",
        ] {
            assert_eq!(of_visitor(tool), "", "{tool}");
        }
    }

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        let long = format!("{}{}", "a".repeat(LONGEST - 1), "é".repeat(10));
        assert_eq!(look(&long).device_type, "other");
    }

    #[test]
    fn a_stated_device_type_is_put_in_our_words() {
        for (stated_type, device_type) in [
            ("ios", "mobile"),
            ("Android", "mobile"),
            ("tablet", "tablet"),
            ("TV", "tv"),
            ("POS", "till"),
            ("fridge", "other"),
            ("", ""),
        ] {
            assert_eq!(stated(stated_type), device_type, "{stated_type}");
        }
    }
}
