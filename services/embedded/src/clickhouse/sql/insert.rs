//! An INSERT and the place where its data begins.

use super::lexer::{Kind, Lexer, Token};
use super::to_text;

/// `INSERT INTO t (a, b) SETTINGS x = 1 FORMAT CSV` and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Insert {
    /// Up to the table and its columns.
    target: String,
    /// `SETTINGS ...` or nothing.
    settings: String,
    /// The format of the data.
    pub(crate) format: String,
    /// Where the data begins in the text.
    pub(crate) data: usize,
    /// The data begins with a semicolon that stands right after the format: an error of many a client.
    pub(crate) excessive_semicolon: bool,
}

impl Insert {
    /// The same INSERT, reading its data from a file.
    pub(crate) fn reading_file(&self, path: &str) -> String {
        let Insert {
            target,
            settings,
            format,
            ..
        } = self;
        format!("{target} {} {settings} FORMAT {format}", Self::clause(path))
    }

    /// What [`Insert::reading_file`] adds, so that it can be taken out of the engine's messages.
    pub(crate) fn clause(path: &str) -> String {
        format!("FROM INFILE '{path}' COMPRESSION 'none'")
    }
}

/// The text ended where a token may go on.
pub(super) struct Cut;

/// How much of a longer text must be there to tell SETTINGS after FORMAT from data, and where the data begins.
pub(super) const ENOUGH_AFTER_FORMAT: usize = 256;

#[derive(Clone)]
pub(super) struct Tokens<'a> {
    lexer: Lexer<'a>,
    length: usize,
    whole: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], whole: bool) -> Self {
        Tokens {
            lexer: Lexer::new(text),
            length: text.len(),
            whole,
        }
    }

    /// The next token; `None` at the end.
    fn next(&mut self) -> Result<Option<Token<'a>>, Cut> {
        match self.lexer.next() {
            Some(token) if token.end() == self.length && !self.whole => Err(Cut),
            None if !self.whole => Err(Cut),
            token => Ok(token),
        }
    }

    pub(super) fn peek(&self) -> Result<Option<Token<'a>>, Cut> {
        self.clone().next()
    }

    fn accept(&mut self, word: &str) -> Result<Option<Token<'a>>, Cut> {
        match self.peek()? {
            Some(token) if token.is_word(word) => self.next(),
            _ => Ok(None),
        }
    }

    /// Skips one token, or a bracket with all that is in it. `false` at the end.
    fn skip_unit(&mut self) -> Result<bool, Cut> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                None => return Ok(false),
                Some(token) => match token.kind {
                    Kind::Open => depth += 1,
                    Kind::Close => depth = depth.saturating_sub(1),
                    _ => {}
                },
            }
            if depth == 0 {
                return Ok(true);
            }
        }
    }

    fn at(&self) -> Result<usize, Cut> {
        Ok(self.peek()?.map_or(self.length, |token| token.start))
    }
}

/// `Ok(None)`: an INSERT without data behind it (`INSERT ... SELECT`), or none that we understand.
pub(super) fn parse(text: &[u8], tokens: &mut Tokens<'_>) -> Result<Option<Insert>, Cut> {
    tokens.next()?;
    tokens.accept("INTO")?;
    tokens.accept("TABLE")?;
    let function = tokens.accept("FUNCTION")?.is_some();
    if !name(tokens)? {
        return Ok(None);
    }
    if function {
        tokens.skip_unit()?;
    }
    let mut target_end = tokens.at()?;
    if tokens.peek()?.is_some_and(|t| t.is("(")) {
        // Columns, unless it is `INSERT INTO t (SELECT ...)`.
        let mut inside = tokens.clone();
        inside.next()?;
        if inside
            .peek()?
            .is_some_and(|t| t.is_word("SELECT") || t.is_word("WITH") || t.is("("))
        {
            return Ok(None);
        }
        if !tokens.skip_unit()? {
            return Ok(None);
        }
        target_end = tokens.at()?;
    }
    let mut settings = String::new();
    loop {
        let Some(token) = tokens.peek()? else {
            return Ok(None);
        };
        if token.is_word("VALUES") {
            tokens.next()?;
            return Ok(Some(Insert {
                target: to_text(&text[..target_end]),
                settings,
                format: "Values".to_owned(),
                data: token.end(),
                excessive_semicolon: false,
            }));
        } else if token.is_word("SETTINGS") {
            settings = settings_clause(text, tokens)?;
        } else if token.is_word("FORMAT") {
            tokens.next()?;
            let Some(format) = tokens.next()? else {
                return Ok(None);
            };
            if !matches!(format.kind, Kind::Word | Kind::QuotedIdentifier) {
                return Ok(None);
            }
            let mut end = format.end();
            if !tokens.whole && tokens.length < end + ENOUGH_AFTER_FORMAT {
                return Err(Cut);
            }
            if is_settings(tokens) {
                settings = settings_clause(text, tokens)?;
                end = last_significant(text, settings_end(tokens)?);
            }
            return Ok(Some(Insert {
                target: to_text(&text[..target_end]),
                settings,
                format: to_text(format.text),
                data: data_start(text, end),
                excessive_semicolon: text.get(end) == Some(&b';'),
            }));
        } else if token.is_word("PARTITION") {
            // PARTITION BY of a table function belongs to the target.
            while tokens.peek()?.is_some_and(|t| {
                !["VALUES", "FORMAT", "SETTINGS", "SELECT"]
                    .iter()
                    .any(|w| t.is_word(w))
            }) {
                tokens.skip_unit()?;
            }
            target_end = tokens.at()?;
        } else {
            return Ok(None);
        }
    }
}

/// A table's or function's name, with its database: identifiers, or parameters in braces, joined by dots.
fn name(tokens: &mut Tokens<'_>) -> Result<bool, Cut> {
    loop {
        match tokens.peek()? {
            Some(token) if matches!(token.kind, Kind::Word | Kind::QuotedIdentifier) => {
                tokens.next()?;
            }
            Some(token) if token.is("{") => {
                tokens.skip_unit()?;
            }
            _ => return Ok(false),
        }
        if tokens.peek()?.is_none_or(|token| token.kind != Kind::Dot) {
            return Ok(true);
        }
        tokens.next()?;
    }
}

/// Whether a SETTINGS clause comes next: the word, a name and an equals sign, for after FORMAT the same word may be
/// the data. Where the text ends, it is data.
fn is_settings(tokens: &Tokens<'_>) -> bool {
    let mut ahead = tokens.clone();
    ahead.whole = true;
    let mut next = || ahead.next().ok().flatten();
    next().is_some_and(|t| t.is_word("SETTINGS"))
        && next().is_some_and(|t| t.kind == Kind::Word)
        && next().is_some_and(|t| t.kind == Kind::Equals)
}

/// Reads `SETTINGS a = 1, b = 'x'`.
fn settings_clause(text: &[u8], tokens: &mut Tokens<'_>) -> Result<String, Cut> {
    let start = tokens.at()?;
    tokens.next()?;
    loop {
        name(tokens)?;
        if tokens.peek()?.is_some_and(|t| t.kind == Kind::Equals) {
            tokens.next()?;
            while tokens.peek()?.is_some_and(|t| t.kind == Kind::Other) {
                tokens.next()?;
            }
            tokens.skip_unit()?;
            // 1.5 is three tokens.
            while tokens.peek()?.is_some_and(|t| t.kind == Kind::Dot) {
                tokens.next()?;
                tokens.skip_unit()?;
            }
        }
        if tokens.peek()?.is_none_or(|t| t.kind != Kind::Comma) {
            let end = settings_end(tokens)?;
            return Ok(to_text(&text[start..last_significant(text, end)]));
        }
        tokens.next()?;
    }
}

fn settings_end(tokens: &Tokens<'_>) -> Result<usize, Cut> {
    tokens.at()
}

/// The end of the last token before `end`.
fn last_significant(text: &[u8], end: usize) -> usize {
    Lexer::new(&text[..end])
        .last()
        .map_or(0, |token| token.end())
}

/// ClickHouse's rule: data starts after the first line feed, if only blanks come before it, else after the blanks.
fn data_start(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}
