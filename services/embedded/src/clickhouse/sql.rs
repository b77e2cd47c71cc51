//! Just enough of ClickHouse's SQL to see where a statement's data begins and where a file name can be put into it.
//! What a text means is for the engine to say: every rewritten statement is parsed by it before it runs.

mod insert;
mod lexer;
mod statement;

pub(crate) use insert::Insert;
pub(crate) use statement::{Select, Statement, parse};

use lexer::{Kind, Lexer};

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

/// The parts of a list such as a type's arguments, at the commas that stand in no brackets and no quotes.
pub(crate) fn arguments(list: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_u32);
    for token in Lexer::new(list.as_bytes()) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Comma if depth == 0 => {
                parts.push(list[begin..token.start].trim());
                begin = token.end();
            }
            _ => {}
        }
    }
    let last = list[begin..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// The type of a tuple's element, which may have a name before it.
pub(crate) fn without_name(element: &str) -> &str {
    let mut tokens = Lexer::new(element.as_bytes());
    match (tokens.next(), tokens.next()) {
        (Some(name), Some(kind))
            if matches!(name.kind, Kind::Word | Kind::QuotedIdentifier)
                && kind.kind == Kind::Word =>
        {
            &element[kind.start..]
        }
        _ => element,
    }
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
