//! Just enough of ClickHouse's SQL to see where a statement's data begins and where a file name can be put into it.
//! What a text means is for the engine to say: every rewritten statement is parsed by it before it runs.

mod insert;
mod lexer;
mod statement;

pub(crate) use insert::Insert;
pub(crate) use statement::{Select, Statement, parse};

/// A string literal.
pub(crate) fn literal(text: &str) -> String {
    quoted(text, '\'')
}

/// A quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    quoted(name, '`')
}

fn quoted(text: &str, quote: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push(quote);
    quoted
}

/// SQL is text; bytes that are none would have failed in the engine's parser anyway.
fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_stay_inside_a_literal() {
        assert_eq!(literal(r"it's \ x"), r"'it\'s \\ x'");
        assert_eq!(identifier("a`b"), r"`a\`b`");
    }
}
