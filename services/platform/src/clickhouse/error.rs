//! Why a call to ClickHouse failed, and whether repeating it helps.

use std::time::Duration;

/// Why a call failed. What is displayed holds no text of the engine, which may quote rows; [`Error::detail`] does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused the statement.
    #[error("clickhouse answers error {code} {name}")]
    Refused {
        /// The engine's code.
        code: u32,
        /// Its name, such as `UNKNOWN_TABLE`; empty where the answer has none.
        name: String,
        /// The engine's text.
        detail: String,
    },
    /// No answer, or a broken one: it may or may not have been done.
    #[error("clickhouse cannot be reached")]
    Unreachable {
        /// What the connection says.
        cause: String,
    },
    /// No answer in time: it may or may not have been done.
    #[error("clickhouse did not answer within {after:?} (`clickhouse.timeout`)")]
    TimedOut {
        /// The time allowed.
        after: Duration,
    },
    /// An answer of another form than asked for.
    #[error("clickhouse's answer cannot be read")]
    Answer {
        /// What is wrong with it.
        cause: String,
    },
    /// What was to be sent is not accepted by the client: the URL, mostly.
    #[error(
        "the request to clickhouse cannot be made: is `clickhouse.url` (CLICKHOUSE_URL) of the form http://host:8123?"
    )]
    Request {
        /// What the client says.
        cause: String,
    },
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It passes: the same call again, later.
    Transient,
    /// The table may have changed: look at it once, then again.
    Reread,
    /// Some row of the insert is to blame: without it the rest can be stored.
    Data,
    /// Somebody must act (a table is missing, access is denied): nothing is lost meanwhile.
    Operator,
}

/// Memory, time, sockets, replicas, shutdown: what the engine gets over by itself. 252 is two errors.
const TRANSIENT: [u32; 17] = [
    3, 107, 159, 164, 202, 203, 209, 210, 236, 241, 242, 285, 319, 394, 425, 439, 999,
];
const TOO_MANY_PARTS: u32 = 252;
/// A value that cannot be read: in text, in an array, in a date, as a string, as JSON.
const DATA: [u32; 12] = [6, 26, 27, 38, 41, 53, 62, 69, 72, 117, 190, 691];
const REREAD: [u32; 2] = [33, 131];

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused {
                code: TOO_MANY_PARTS,
                detail,
                ..
            } if detail.contains("oo many partitions") => Class::Data,
            Self::Refused {
                code: TOO_MANY_PARTS,
                ..
            }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. } => Class::Transient,
            Self::Refused { code, .. } if TRANSIENT.contains(code) => Class::Transient,
            Self::Refused { code, .. } if DATA.contains(code) => Class::Data,
            Self::Refused { code, .. } if REREAD.contains(code) => Class::Reread,
            Self::Refused { .. } | Self::Answer { .. } | Self::Request { .. } => Class::Operator,
        }
    }

    /// Whether it is not known if the call was carried out.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        // Also what the engine answers may come after a part of the rows was stored (one part per month).
        !matches!(self, Self::Request { .. })
    }

    /// A label of few values.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::Refused { code, .. } => code.to_string(),
            Self::Unreachable { .. } => "unreachable".to_owned(),
            Self::TimedOut { .. } => "timeout".to_owned(),
            Self::Answer { .. } => "answer".to_owned(),
            Self::Request { .. } => "request".to_owned(),
        }
    }

    /// What the engine or the connection says. It may quote rows and literals: for a person at a terminal about
    /// statements of our own, never for a log.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Refused { detail, .. } => detail.clone(),
            Self::Unreachable { cause } | Self::Answer { cause } | Self::Request { cause } => {
                cause.clone()
            }
            Self::TimedOut { .. } => self.to_string(),
        }
    }

    fn refused(text: &str) -> Self {
        let code = text.split_once("Code: ").and_then(|(_, rest)| {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            rest[..digits].parse().ok()
        });
        match code {
            Some(code) => Self::Refused {
                code,
                name: name_in(text).to_owned(),
                detail: text.to_owned(),
            },
            // A proxy, or something that is no ClickHouse.
            None => Self::Unreachable {
                cause: text.to_owned(),
            },
        }
    }
}

/// `... (UNKNOWN_TABLE) (version 26.7.2.1)`: the last parenthesis in capitals.
fn name_in(text: &str) -> &str {
    text.rsplit('(')
        .filter_map(|rest| rest.split_once(')').map(|(name, _)| name))
        .find(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .unwrap_or_default()
}

impl From<clickhouse::error::Error> for Error {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error as Inner;
        match error {
            Inner::BadResponse(text) => Self::refused(&text),
            Inner::TimedOut => Self::TimedOut {
                after: Duration::ZERO,
            },
            Inner::Network(cause) => Self::Unreachable {
                cause: chain(&*cause),
            },
            Inner::InvalidParams(cause) => Self::Request {
                cause: cause.to_string(),
            },
            Inner::Unsupported(cause) => Self::Request { cause },
            other => Self::Answer {
                cause: other.to_string(),
            },
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: u32, name: &str, class: Class) {
        let error = Error::refused(text);
        assert_eq!(error.class(), class, "{text}");
        let Error::Refused {
            code: found,
            name: found_name,
            ..
        } = &error
        else {
            panic!("{text}: {error:?}")
        };
        assert_eq!((*found, found_name.as_str()), (code, name), "{text}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn the_engines_code_says_whether_a_retry_helps() {
        check(
            "Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1)",
            241,
            "MEMORY_LIMIT_EXCEEDED",
            Class::Transient,
        );
        check(
            "Code: 252. DB::Exception: Too many parts (300). (TOO_MANY_PARTS) (version 26.7.2.1)",
            252,
            "TOO_MANY_PARTS",
            Class::Transient,
        );
        check(
            "Code: 252. DB::Exception: Too many partitions for single INSERT block. (TOO_MANY_PARTS)",
            252,
            "TOO_MANY_PARTS",
            Class::Data,
        );
        check(
            "Code: 117. DB::Exception: Cannot parse JSON object here: {\"a\":\"secret\"}. (INCORRECT_DATA)",
            117,
            "INCORRECT_DATA",
            Class::Data,
        );
        check(
            "Code: 33. DB::Exception: Cannot read all data. (CANNOT_READ_ALL_DATA)",
            33,
            "CANNOT_READ_ALL_DATA",
            Class::Reread,
        );
        check(
            "Code: 60. DB::Exception: Unknown table secret. (UNKNOWN_TABLE)",
            60,
            "UNKNOWN_TABLE",
            Class::Operator,
        );
        check("Code: 999", 999, "", Class::Transient);
    }

    #[test]
    fn an_answer_without_a_code_is_not_clickhouses() {
        let error = Error::refused("502 Bad Gateway");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!(error.class(), Class::Transient);
    }
}
