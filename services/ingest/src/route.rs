//! What a request wants, by method and path alone.

use hyper::Method;

use crate::validate::Call;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// One event.
    Single(Call),
    /// A list of events.
    Batch,
    /// One event in the address of a picture.
    Pixel(Call),
    /// The browser SDK's settings for a write key.
    Settings(&'a str),
    /// The SDK's own metrics, which nobody wants: taken and dropped.
    SdkMetrics,
    /// A browser asks whether it may ask.
    Preflight,
    /// The path is right, the method is not.
    WrongMethod,
    /// Nothing of ours.
    Unknown,
}

pub(crate) fn route<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let Some(rest) = path.strip_prefix("/v1/") else {
        return Route::Unknown;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (wanted, route) = match rest {
        "track" | "t" => (Method::POST, Route::Single(Call::Track)),
        "identify" | "i" => (Method::POST, Route::Single(Call::Identify)),
        "page" | "p" => (Method::POST, Route::Single(Call::Page)),
        "screen" | "s" => (Method::POST, Route::Single(Call::Screen)),
        "group" | "g" => (Method::POST, Route::Single(Call::Group)),
        "alias" | "a" => (Method::POST, Route::Single(Call::Alias)),
        // `import` is what the older mobile SDKs call a batch.
        "batch" | "b" | "import" => (Method::POST, Route::Batch),
        "metrics" | "m" => (Method::POST, Route::SdkMetrics),
        _ => match (rest.strip_prefix("pixel/"), rest.strip_prefix("projects/")) {
            (Some(call), _) => match Call::named(call) {
                Some(call) => (Method::GET, Route::Pixel(call)),
                None => return Route::Unknown,
            },
            (_, Some(project)) => match project.strip_suffix("/settings") {
                Some(key) if !key.contains('/') => (Method::GET, Route::Settings(key)),
                _ => return Route::Unknown,
            },
            _ => return Route::Unknown,
        },
    };
    match method {
        method if *method == wanted => route,
        &Method::OPTIONS => Route::Preflight,
        _ => Route::WrongMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_api_and_of_the_sdks_is_known() {
        for (method, path, expected) in [
            (Method::POST, "/v1/track", Route::Single(Call::Track)),
            (Method::POST, "/v1/t", Route::Single(Call::Track)),
            (Method::POST, "/v1/i", Route::Single(Call::Identify)),
            (Method::POST, "/v1/p", Route::Single(Call::Page)),
            (Method::POST, "/v1/s", Route::Single(Call::Screen)),
            (Method::POST, "/v1/g", Route::Single(Call::Group)),
            (Method::POST, "/v1/a/", Route::Single(Call::Alias)),
            (Method::POST, "/v1/b", Route::Batch),
            (Method::POST, "/v1/batch", Route::Batch),
            (Method::POST, "/v1/import", Route::Batch),
            (Method::POST, "/v1/m", Route::SdkMetrics),
            (Method::GET, "/v1/pixel/page", Route::Pixel(Call::Page)),
            (
                Method::GET,
                "/v1/projects/key/settings",
                Route::Settings("key"),
            ),
            (Method::OPTIONS, "/v1/t", Route::Preflight),
            (Method::GET, "/v1/track", Route::WrongMethod),
            (
                Method::POST,
                "/v1/projects/key/settings",
                Route::WrongMethod,
            ),
            (Method::GET, "/v1/projects/a/b/settings", Route::Unknown),
            (Method::POST, "/v2/track", Route::Unknown),
            (Method::POST, "/v1/pixel/purchase", Route::Unknown),
            (Method::OPTIONS, "/other", Route::Unknown),
            (Method::GET, "/", Route::Unknown),
        ] {
            assert_eq!(route(&method, path), expected, "{method} {path}");
        }
    }
}
