//! The channel of an event: its source's, else by the SDK that sent it.

/// By `context.library.name`, where the source states none. An unknown or absent library is a server's own code.
pub(crate) fn of_library(library: &str) -> &'static str {
    let name = library
        .strip_prefix("@segment/")
        .or_else(|| library.strip_prefix("@rudderstack/"))
        .unwrap_or(library);
    match name {
        "analytics.js"
        | "analytics-next"
        | "analytics-js"
        | "RudderLabs JavaScript SDK"
        | "pixel"
        | "beacon" => "web",
        name if MOBILE.iter().any(|part| contains(name, part)) => "app",
        _ => "server",
    }
}

/// Whether this library runs in a browser, so that the request's user agent is the customer's, if nobody passed it on.
pub(crate) fn is_browser(library: &str) -> bool {
    of_library(library) == "web"
}

const MOBILE: [&str; 10] = [
    "ios",
    "android",
    "react-native",
    "react_native",
    "flutter",
    "kotlin",
    "swift",
    "xamarin",
    "unity",
    "cordova",
];

fn contains(name: &str, part: &str) -> bool {
    name.as_bytes()
        .windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_tells_the_channel() {
        for (library, channel) in [
            ("analytics.js", "web"),
            ("@segment/analytics-next", "web"),
            ("RudderLabs JavaScript SDK", "web"),
            ("analytics-ios", "app"),
            ("analytics-android", "app"),
            ("analytics-kotlin", "app"),
            ("analytics-swift", "app"),
            ("@segment/analytics-react-native", "app"),
            ("analytics_flutter", "app"),
            ("com.rudderstack.android.sdk.core", "app"),
            ("@segment/analytics-node", "server"),
            ("analytics-node", "server"),
            ("analytics-python", "server"),
            ("analytics-go", "server"),
            ("analytics-java", "server"),
            ("my own", "server"),
            ("", "server"),
        ] {
            assert_eq!(of_library(library), channel, "{library}");
        }
    }
}
