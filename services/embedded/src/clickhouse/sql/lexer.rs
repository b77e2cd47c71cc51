//! ClickHouse's tokens, as far as finding the borders of clauses needs them: strings, quoted identifiers, here-docs
//! and comments are recognised so that nothing inside them is mistaken for a keyword.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or plain identifier, or a number: what is made of word characters.
    Word,
    /// `"x"` or `` `x` ``.
    QuotedIdentifier,
    /// `'x'` or a here-doc.
    String,
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    Semicolon,
    Comma,
    Dot,
    Equals,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Open | Kind::Close) && self.text == text.as_bytes()
    }
}

/// Yields the significant tokens of a text one by one, so that what follows a statement (an INSERT's binary data)
/// is never looked at.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Lexer { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn skip_insignificant(&mut self) {
        loop {
            let rest = self.rest();
            self.at += match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b, ..] => 1,
                [b'-', b'-', ..] | [b'/', b'/', ..] | [b'#', b' ' | b'!', ..] => line_length(rest),
                [b'/', b'*', ..] => comment_length(rest),
                _ => return,
            };
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_insignificant();
        let rest = self.rest();
        let first = *rest.first()?;
        let (kind, length) = match first {
            b'\'' => (Kind::String, quoted_length(rest)),
            b'"' | b'`' => (Kind::QuotedIdentifier, quoted_length(rest)),
            b'(' | b'[' | b'{' => (Kind::Open, 1),
            b')' | b']' | b'}' => (Kind::Close, 1),
            b';' => (Kind::Semicolon, 1),
            b',' => (Kind::Comma, 1),
            b'.' => (Kind::Dot, 1),
            b'=' => (Kind::Equals, 1),
            b'$' if heredoc_length(rest).is_some() => (
                Kind::String,
                heredoc_length(rest).expect("checked by the guard"),
            ),
            c if is_word(c) => (Kind::Word, rest.iter().take_while(|c| is_word(**c)).count()),
            _ => (Kind::Other, 1),
        };
        let token = Token {
            kind,
            text: &rest[..length],
            start: self.at,
        };
        self.at += length;
        Some(token)
    }
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$'
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|c| *c == b'\n').unwrap_or(rest.len())
}

/// Multi-line comments nest.
fn comment_length(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// Both a backslash and doubling escape the quote. A quote that is never closed takes all that is left.
fn quoted_length(rest: &[u8]) -> usize {
    let quote = rest[0];
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            c if c == quote && rest.get(at + 1) == Some(&quote) => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `$tag$ ... $tag$`
fn heredoc_length(rest: &[u8]) -> Option<usize> {
    let name = 1 + rest[1..].iter().position(|c| *c == b'$')? + 1;
    if !rest[1..name - 1].iter().all(|c| is_word(*c)) {
        return None;
    }
    let (tag, body) = rest.split_at(name);
    let end = body.windows(tag.len()).position(|window| window == tag)?;
    Some(name + end + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<&str> {
        Lexer::new(text.as_bytes())
            .map(|t| std::str::from_utf8(t.text).expect("cut at characters"))
            .collect()
    }

    #[test]
    fn quotes_comments_and_heredocs_hide_what_is_in_them() {
        let check = |text, expected: &[&str]| assert_eq!(tokens(text), expected, "{text}");
        check("select 1", &["select", "1"]);
        check("a /* FORMAT /* nested */ x */ b", &["a", "b"]);
        check(
            "a -- FORMAT x\nb // y\nc # z\nd #! e",
            &["a", "b", "c", "d"],
        );
        check(r"'it''s' 'a\'b' 'open", &["'it''s'", r"'a\'b'", "'open"]);
        check(r#""a""b" `c\`d`"#, &[r#""a""b""#, r"`c\`d`"]);
        check(
            "$$ FORMAT x $$ $t$ $$ $t$ $x",
            &["$$ FORMAT x $$", "$t$ $$ $t$", "$x"],
        );
        check(
            "f(x)[1].y;",
            &["f", "(", "x", ")", "[", "1", "]", ".", "y", ";"],
        );
        check("a - b / c #d", &["a", "-", "b", "/", "c", "#", "d"]);
        check("/* never closed", &[]);
        check("{a:UInt8}", &["{", "a", ":", "UInt8", "}"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_into_tokens_in_order_within_the_text(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut at = 0;
            for token in Lexer::new(&text) {
                prop_assert!(token.start >= at && !token.text.is_empty());
                at = token.end();
            }
            prop_assert!(at <= text.len());
        }
    }
}
