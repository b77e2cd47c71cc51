//! ClickHouse's exceptions: code, text, and the HTTP status that goes with it.

use std::fmt;
use std::io;

pub(crate) const BAD_ARGUMENTS: i32 = 36;
pub(crate) const CHECKSUM_DOESNT_MATCH: i32 = 40;
pub(crate) const NOT_IMPLEMENTED: i32 = 48;
pub(crate) const SYNTAX_ERROR: i32 = 62;
pub(crate) const UNKNOWN_COMPRESSION_METHOD: i32 = 89;
pub(crate) const UNKNOWN_FORMAT: i32 = 73;
pub(crate) const CANNOT_READ_ALL_DATA: i32 = 33;
pub(crate) const UNKNOWN_SETTING: i32 = 115;
pub(crate) const READONLY: i32 = 164;
pub(crate) const TOO_MANY_SIMULTANEOUS_QUERIES: i32 = 202;
pub(crate) const SOCKET_TIMEOUT: i32 = 209;
pub(crate) const QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: i32 = 216;
pub(crate) const CANNOT_DECOMPRESS: i32 = 271;
pub(crate) const QUERY_IS_TOO_LARGE: i32 = 229;
pub(crate) const INTO_OUTFILE_NOT_ALLOWED: i32 = 358;
pub(crate) const SESSION_NOT_FOUND: i32 = 372;
pub(crate) const SESSION_IS_LOCKED: i32 = 373;
pub(crate) const INVALID_SESSION_TIMEOUT: i32 = 374;
pub(crate) const QUERY_WAS_CANCELLED: i32 = 394;
pub(crate) const CANNOT_SCHEDULE_TASK: i32 = 439;
pub(crate) const AUTHENTICATION_FAILED: i32 = 516;
pub(crate) const STD_EXCEPTION: i32 = 1001;

/// The names of the codes that this interface raises itself; the engine's come with their text.
fn name(code: i32) -> &'static str {
    match code {
        BAD_ARGUMENTS => "BAD_ARGUMENTS",
        CHECKSUM_DOESNT_MATCH => "CHECKSUM_DOESNT_MATCH",
        NOT_IMPLEMENTED => "NOT_IMPLEMENTED",
        SYNTAX_ERROR => "SYNTAX_ERROR",
        UNKNOWN_COMPRESSION_METHOD => "UNKNOWN_COMPRESSION_METHOD",
        UNKNOWN_FORMAT => "UNKNOWN_FORMAT",
        CANNOT_READ_ALL_DATA => "CANNOT_READ_ALL_DATA",
        UNKNOWN_SETTING => "UNKNOWN_SETTING",
        READONLY => "READONLY",
        TOO_MANY_SIMULTANEOUS_QUERIES => "TOO_MANY_SIMULTANEOUS_QUERIES",
        SOCKET_TIMEOUT => "SOCKET_TIMEOUT",
        QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING => "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
        CANNOT_DECOMPRESS => "CANNOT_DECOMPRESS",
        QUERY_IS_TOO_LARGE => "QUERY_IS_TOO_LARGE",
        INTO_OUTFILE_NOT_ALLOWED => "INTO_OUTFILE_NOT_ALLOWED",
        SESSION_NOT_FOUND => "SESSION_NOT_FOUND",
        SESSION_IS_LOCKED => "SESSION_IS_LOCKED",
        INVALID_SESSION_TIMEOUT => "INVALID_SESSION_TIMEOUT",
        QUERY_WAS_CANCELLED => "QUERY_WAS_CANCELLED",
        CANNOT_SCHEDULE_TASK => "CANNOT_SCHEDULE_TASK",
        AUTHENTICATION_FAILED => "AUTHENTICATION_FAILED",
        _ => "STD_EXCEPTION",
    }
}

/// Why a query failed, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    /// ClickHouse's code.
    pub(crate) code: i32,
    /// `Code: N. DB::Exception: ... (NAME)`, without the version.
    text: String,
}

impl Exception {
    /// An exception of this interface.
    pub(crate) fn new(code: i32, message: impl fmt::Display) -> Self {
        Exception {
            code,
            text: format!("Code: {code}. DB::Exception: {message}. ({})", name(code)),
        }
    }

    /// One of the engine's. It wraps what happened beyond its own client, once for every border crossed:
    /// `Code: 27. DB::Exception: Code: 27. DB::Exception: x. (NAME) (version 26.7). (NAME)`; a server says it once.
    /// `added` are the clauses that we put into the statement, which its author should not meet.
    pub(crate) fn from_engine(text: &str, added: &[String]) -> Self {
        let mut text = text.trim().to_owned();
        for clause in added {
            text = text.replace(&format!(" {clause}"), "").replace(clause, "");
        }
        for (from, to) in without_pipes(&text) {
            text = text.replace(&from, to);
        }
        let (code, mut rest) = split_code(&text).unwrap_or((STD_EXCEPTION, &text));
        while let Some((inner, after)) = split_code(rest) {
            if inner != code {
                break;
            }
            rest = after;
        }
        let rest = rest.trim();
        // ` (NAME) (version x). (NAME)`: what stands last is said once.
        let mut body = rest;
        let mut label = None;
        while let Some(open) = body.rfind(" (") {
            let inside = &body[open + 2..];
            let Some(inside) = inside.trim_end_matches('.').strip_suffix(')') else {
                break;
            };
            let is_name = !inside.is_empty()
                && inside
                    .bytes()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
            if !is_name && !inside.starts_with("version ") {
                break;
            }
            if is_name {
                label = Some(inside.to_owned());
            }
            body = body[..open].trim_end();
        }
        let label = label.unwrap_or_else(|| name(code).to_owned());
        let body = body.strip_suffix('.').unwrap_or(body);
        Exception {
            code,
            text: format!("Code: {code}. DB::Exception: {body}. ({label})"),
        }
    }

    /// The exception that an I/O error carries through a chain of readers.
    pub(crate) fn from_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Exception>().cloned()
    }

    /// The text as a server of this version writes it.
    pub(crate) fn to_text(&self, version: &str) -> String {
        format!("{} (version {version})", self.text)
    }

    /// The status that ClickHouse answers with (exceptionCodeToHTTPStatus.cpp).
    pub(crate) fn status(&self) -> u16 {
        match self.code {
            // REQUIRED_PASSWORD
            194 => 401,
            // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED, SET_NON_GRANTED_ROLE, ACCESS_DENIED
            192 | 193 | AUTHENTICATION_FAILED | 512 | 497 => 403,
            // What the text of the query or its data is to blame for.
            6 | 8 | 15 | 25 | 26 | 27 | BAD_ARGUMENTS | 37 | 38 | 41 | 44 | 53 | SYNTAX_ERROR
            | 72 | 117 | 123 | 167 | 168 | 223 | 321 | 376 | 427 | 441 | 675 | 676 => 400,
            // Unknown function, identifier, type, storage, table, aggregate function, format, type of query, database,
            // setting, direction, database engine, role.
            46 | 47 | 50 | 56 | 60 | 63 | UNKNOWN_FORMAT | 78 | 81 | UNKNOWN_SETTING | 152
            | 336 | 511 => 404,
            QUERY_IS_TOO_LARGE => 413,
            // UNSUPPORTED_MEDIA_TYPE
            779 => 415,
            NOT_IMPLEMENTED => 501,
            SOCKET_TIMEOUT | 76 | CANNOT_SCHEDULE_TASK => 503,
            // HTTP_LENGTH_REQUIRED
            381 => 411,
            // TIMEOUT_EXCEEDED
            159 => 408,
            _ => 500,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Exception {}

impl From<Exception> for io::Error {
    fn from(exception: Exception) -> Self {
        io::Error::other(exception)
    }
}

/// `Code: 27. DB::Exception: rest`
fn split_code(text: &str) -> Option<(i32, &str)> {
    let rest = text.strip_prefix("Code: ")?;
    let (code, rest) = rest.split_once(". DB::")?;
    let (kind, rest) = rest.split_once(": ")?;
    if !kind.ends_with("Exception") {
        return None;
    }
    Some((code.parse().ok()?, rest))
}

/// The engine names the pipe it read from: `: (in file/uri /proc/self/fd/18)`.
fn without_pipes(text: &str) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(": (in file/uri /proc/self/fd/") {
        let Some(length) = rest[start..].find(')') else {
            break;
        };
        found.push((rest[start..=start + length].to_owned(), ""));
        rest = &rest[start + length..];
    }
    found.push((": data for INSERT was parsed from file".to_owned(), ""));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_thrice_is_said_once() {
        let check = |raw, code, expected: &str| {
            let exception = Exception::from_engine(raw, &["INTO OUTFILE 'x' APPEND".to_owned()]);
            assert_eq!(
                (exception.code, exception.to_string().as_str()),
                (code, expected),
                "{raw}"
            );
        };
        check(
            "Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE)",
            60,
            "Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE)",
        );
        check(
            "Code: 73. DB::Exception: Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format X. (UNKNOWN_FORMAT) (version 26.7.2.1). (UNKNOWN_FORMAT) (version 26.7.2.1). (UNKNOWN_FORMAT)",
            73,
            "Code: 73. DB::Exception: Unknown format X. (UNKNOWN_FORMAT)",
        );
        check(
            "Code: 27. DB::Exception: Code: 27. DB::Exception: Cannot parse: (at row 1)\n: (in file/uri /proc/self/fd/18): While executing File: data for INSERT was parsed from file. (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.7.2.1). (CANNOT_PARSE_INPUT_ASSERTION_FAILED)",
            27,
            "Code: 27. DB::Exception: Cannot parse: (at row 1)\n: While executing File. (CANNOT_PARSE_INPUT_ASSERTION_FAILED)",
        );
        check(
            "Code: 62. DB::Exception: Syntax error: SELECT 1 + INTO OUTFILE 'x' APPEND FORMAT TSV. (SYNTAX_ERROR)",
            62,
            "Code: 62. DB::Exception: Syntax error: SELECT 1 + FORMAT TSV. (SYNTAX_ERROR)",
        );
        check(
            "Code: 210. DB::NetException: gone (a). (NETWORK_ERROR)",
            210,
            "Code: 210. DB::Exception: gone (a). (NETWORK_ERROR)",
        );
        check(
            "no code at all",
            STD_EXCEPTION,
            "Code: 1001. DB::Exception: no code at all. (STD_EXCEPTION)",
        );
    }

    #[test]
    fn the_status_is_the_one_of_clickhouse() {
        let check = |code, status| assert_eq!(Exception::new(code, "x").status(), status, "{code}");
        check(SYNTAX_ERROR, 400);
        check(60, 404);
        check(81, 404);
        check(AUTHENTICATION_FAILED, 403);
        check(194, 401);
        check(TOO_MANY_SIMULTANEOUS_QUERIES, 500);
        check(159, 408);
        check(QUERY_IS_TOO_LARGE, 413);
        check(395, 500);
    }
}
