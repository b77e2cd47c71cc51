//! What a request asks for: parameters of the URL and of a form, headers, settings.

use super::blocks;
use super::codec::Encoding;
use super::exception::{self, Exception};
use hyper::Method;
use hyper::http::request::Parts;
use percent_encoding::percent_decode;
use std::time::Duration;

/// `http_response_buffer_size` of a server: what is held back so that an early error still gets its status.
const DEFAULT_BUFFER: usize = 1 << 20;
/// The most that a client may ask to be held in memory.
const LARGEST_BUFFER: usize = 64 << 20;
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_SESSION: u64 = 3600;

/// Parameters that are for this interface and no settings of the engine.
const OWN: &[&str] = &[
    "query",
    "database",
    "default_format",
    "user",
    "password",
    "quota_key",
    "query_id",
    "session_id",
    "session_timeout",
    "session_check",
    "close_session",
    "compress",
    "decompress",
    "buffer_size",
    "wait_end_of_query",
    "client_protocol_version",
    "stacktrace",
    "role",
];

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// A session that the request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) timeout: Duration,
    /// It must exist already.
    pub(crate) check: bool,
    /// It ends with this request.
    pub(crate) close: bool,
}

/// A request that has been understood. Its body is apart.
#[derive(Debug)]
pub(crate) struct Request {
    /// GET changes nothing.
    pub(crate) readonly: bool,
    /// The parts of the query that came as parameters.
    pub(crate) query: String,
    pub(crate) query_id: String,
    pub(crate) database: Option<String>,
    pub(crate) default_format: String,
    /// Names and values, in order.
    pub(crate) settings: Vec<(String, String)>,
    /// `param_x=1` is ("x", "1").
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) session: Option<Session>,
    /// ClickHouse's blocks in the response.
    pub(crate) compress: bool,
    /// ClickHouse's blocks in the body.
    pub(crate) decompress: bool,
    pub(crate) content_encoding: Encoding,
    pub(crate) response_encoding: Encoding,
    pub(crate) wait_end_of_query: bool,
    pub(crate) buffer_size: usize,
    pub(crate) max_query_size: Option<usize>,
    /// The revision in which the client wants blocks of the format Native; 0 is as in a file.
    pub(crate) protocol: u64,
}

/// Splits `a=1&b=2`.
pub(crate) fn url_parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode(text.as_bytes())
            .decode_utf8_lossy()
            .into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Finds the credentials in headers, Basic or parameters; mixing them is an error, as on a server.
pub(crate) fn credentials(
    parts: &Parts,
    parameters: &[(String, String)],
) -> Result<Credentials, Exception> {
    let header = |name| {
        parts
            .headers
            .get(name)
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
    };
    let parameter = |name| last(parameters, name).map(str::to_owned);
    let denied = |text: &str| Exception::new(exception::AUTHENTICATION_FAILED, text);
    let by_header = (header("x-clickhouse-user"), header("x-clickhouse-key"));
    let by_parameter = (parameter("user"), parameter("password"));
    let basic = header("authorization");
    let ways = [
        by_header != (None, None),
        by_parameter != (None, None),
        basic.is_some(),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(denied(
            "Invalid authentication: it is not allowed to mix the Authorization header, X-ClickHouse headers and \
             parameters of the URL",
        ));
    }
    if let Some(basic) = basic {
        let invalid =
            || denied("Invalid authentication: 'Basic' HTTP Authorization scheme expected");
        let (scheme, encoded) = basic.split_once(' ').ok_or_else(invalid)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(invalid());
        }
        use base64::Engine as _;
        let plain = base64::engine::general_purpose::STANDARD
            .decode(encoded.trim())
            .map_err(|_| invalid())?;
        let plain = String::from_utf8_lossy(&plain);
        let (user, password) = plain.split_once(':').unwrap_or((&plain, ""));
        return Ok(or_default(Some(user.to_owned()), Some(password.to_owned())));
    }
    let (user, password) = if ways[0] { by_header } else { by_parameter };
    Ok(or_default(user, password))
}

fn or_default(user: Option<String>, password: Option<String>) -> Credentials {
    Credentials {
        user: user
            .filter(|user| !user.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        password: password.unwrap_or_default(),
    }
}

impl Request {
    /// Understands a request from its head and all its parameters (of the URL, then of a form).
    pub(crate) fn new(parts: &Parts, parameters: Vec<(String, String)>) -> Result<Self, Exception> {
        let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let query: Vec<&str> = parameters
            .iter()
            .filter(|(n, _)| n == "query")
            .map(|(_, v)| v.as_str())
            .collect();
        let flag = |name: &str| last(&parameters, name).is_some_and(is_on);
        let number =
            |name: &str| last(&parameters, name).and_then(|value| value.parse::<usize>().ok());
        let text = |name: &str| {
            last(&parameters, name)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        let response_encoding = match header("accept-encoding") {
            Some(accepted) if flag("enable_http_compression") => Encoding::best_of(accepted),
            _ => Encoding::Identity,
        };
        let database =
            text("database").or_else(|| header("x-clickhouse-database").map(str::to_owned));
        let default_format = text("default_format")
            .or_else(|| header("x-clickhouse-format").map(str::to_owned))
            .unwrap_or_else(|| "TabSeparated".to_owned());
        if !is_name(&default_format) {
            return Err(Exception::new(
                exception::UNKNOWN_FORMAT,
                "Unknown format in default_format",
            ));
        }
        let mut request = Request {
            readonly: matches!(parts.method, Method::GET | Method::HEAD),
            query: query.concat(),
            query_id: text("query_id")
                .or_else(|| header("x-clickhouse-query-id").map(str::to_owned))
                .unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            database,
            default_format,
            settings: Vec::new(),
            parameters: Vec::new(),
            session: session(&parameters)?,
            compress: flag("compress"),
            decompress: flag("decompress"),
            content_encoding: Encoding::of_content(header("content-encoding"))?,
            response_encoding,
            wait_end_of_query: flag("wait_end_of_query"),
            buffer_size: number("buffer_size")
                .or_else(|| number("http_response_buffer_size"))
                .map_or(DEFAULT_BUFFER, |size| size.min(LARGEST_BUFFER)),
            max_query_size: number("max_query_size"),
            protocol: number("client_protocol_version")
                .and_then(|revision| u64::try_from(revision).ok())
                // Earlier ones are met by what the engine writes, but for a block's info, which clients look for.
                .filter(|revision| *revision >= blocks::FIRST_REVISION)
                .unwrap_or(0),
        };
        if request.protocol > 0 {
            let as_text = "output_format_native_write_json_as_string";
            request.settings.push((as_text.to_owned(), "1".to_owned()));
        }
        for (name, value) in parameters {
            if let Some(parameter) = name.strip_prefix("param_") {
                request.parameters.push((parameter.to_owned(), value));
            } else if !OWN.contains(&name.as_str()) && !name.is_empty() {
                if !is_name(&name) {
                    return Err(Exception::new(
                        exception::UNKNOWN_SETTING,
                        "Unknown setting in the URL",
                    ));
                }
                request.settings.retain(|(known, _)| *known != name);
                request.settings.push((name, value));
            }
        }
        Ok(request)
    }
}

fn session(parameters: &[(String, String)]) -> Result<Option<Session>, Exception> {
    let Some(id) = last(parameters, "session_id").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let invalid = |text: String| Exception::new(exception::INVALID_SESSION_TIMEOUT, text);
    let timeout = match last(parameters, "session_timeout") {
        None => DEFAULT_SESSION_TIMEOUT,
        Some(text) => {
            let seconds: u64 = text
                .parse()
                .map_err(|_| invalid(format!("Invalid session timeout: '{text}'")))?;
            if seconds > LONGEST_SESSION {
                return Err(invalid(format!(
                    "Session timeout '{seconds}' is larger than max_session_timeout: {LONGEST_SESSION}"
                )));
            }
            Duration::from_secs(seconds)
        }
    };
    Ok(Some(Session {
        id: id.to_owned(),
        timeout,
        check: last(parameters, "session_check").is_some_and(is_on),
        close: last(parameters, "close_session").is_some_and(is_on),
    }))
}

fn last<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .rev()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true")
}

/// What may stand in a statement as it is: a setting's or a format's name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request").into_parts().0
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Result<Request, Exception> {
        let parts = parts("POST", uri, headers);
        let parameters = url_parameters(parts.uri.query().unwrap_or_default());
        Request::new(&parts, parameters)
    }

    #[test]
    fn parameters_settings_and_query_are_told_apart() {
        let uri = "/?query=SELECT+%7Ba%3AUInt8%7D&param_a=1%202&max_threads=4&database=x&compress=1&max_threads=5&client_protocol_version=54405";
        let request = request(uri, &[("accept-encoding", "gzip")]).expect("valid");
        assert_eq!(request.query, "SELECT {a:UInt8}");
        assert_eq!(request.parameters, [("a".to_owned(), "1 2".to_owned())]);
        assert_eq!(
            request.settings,
            [("max_threads".to_owned(), "5".to_owned())]
        );
        assert_eq!(request.database.as_deref(), Some("x"));
        assert!(request.compress && !request.decompress);
        assert_eq!(
            request.response_encoding,
            Encoding::Identity,
            "only with enable_http_compression=1"
        );
        assert_eq!(request.default_format, "TabSeparated");
    }

    #[test]
    fn a_response_is_encoded_only_when_it_is_enabled() {
        let request = request(
            "/?enable_http_compression=1",
            &[("accept-encoding", "gzip")],
        )
        .expect("valid");
        assert_eq!(request.response_encoding, Encoding::Gzip);
    }

    #[test]
    fn what_would_become_sql_must_be_a_name() {
        let code = |uri| request(uri, &[]).map(|_| 0).unwrap_or_else(|e| e.code);
        assert_eq!(code("/?default_format=TSV'--"), exception::UNKNOWN_FORMAT);
        assert_eq!(code("/?a%3D1%2Cb=1"), exception::UNKNOWN_SETTING);
        assert_eq!(
            code("/?session_id=x&session_timeout=forever"),
            exception::INVALID_SESSION_TIMEOUT
        );
        assert_eq!(
            code("/?session_id=x&session_timeout=3601"),
            exception::INVALID_SESSION_TIMEOUT
        );
    }

    #[test]
    fn credentials_come_one_way_or_the_other() {
        let check = |uri: &str, headers: &[(&str, &str)]| {
            let parts = parts("GET", uri, headers);
            let found = credentials(
                &parts,
                &url_parameters(parts.uri.query().unwrap_or_default()),
            );
            found
                .map(|c| format!("{}:{}", c.user, c.password))
                .map_err(|e| e.code)
        };
        assert_eq!(check("/", &[]), Ok("default:".to_owned()));
        assert_eq!(check("/?user=a&password=b", &[]), Ok("a:b".to_owned()));
        assert_eq!(
            check(
                "/",
                &[("X-ClickHouse-User", "a"), ("X-ClickHouse-Key", "b:c")]
            ),
            Ok("a:b:c".to_owned())
        );
        assert_eq!(
            check("/", &[("Authorization", "Basic YTpiOmM=")]),
            Ok("a:b:c".to_owned())
        );
        assert_eq!(
            check("/", &[("Authorization", "Basic Og==")]),
            Ok("default:".to_owned())
        );
        assert_eq!(
            check("/", &[("Authorization", "Bearer x")]),
            Err(exception::AUTHENTICATION_FAILED)
        );
        let mixed = check("/?user=a", &[("X-ClickHouse-User", "a")]);
        assert_eq!(mixed, Err(exception::AUTHENTICATION_FAILED));
    }
}
