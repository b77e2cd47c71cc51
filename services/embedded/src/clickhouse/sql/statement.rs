//! Splits an INSERT from its data, and finds where a SELECT's result can be sent into a file.

use super::lexer::{Kind, Lexer, Token};

/// What a text holds, as far as the way through the engine depends on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Nothing but blanks and comments.
    Empty,
    /// An INSERT whose data follows.
    Insert(Insert),
    /// A statement with a result of any size.
    Select(Select),
    /// Everything else: runs as it is.
    Other(Other),
    /// The text ends before this can be told.
    Incomplete,
}

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
    pub(crate) fn from_file(&self, path: &str) -> String {
        let Insert {
            target,
            settings,
            format,
            ..
        } = self;
        format!("{target} {} {settings} FORMAT {format}", Self::clause(path))
    }

    /// What [`Insert::from_file`] adds, so that it can be taken out of the engine's messages.
    pub(crate) fn clause(path: &str) -> String {
        format!("FROM INFILE '{path}' COMPRESSION 'none'")
    }
}

/// `SELECT ... [FORMAT x] [SETTINGS ...]`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Select {
    text: String,
    /// The format that it names.
    pub(crate) format: Option<String>,
    /// Where its FORMAT begins.
    format_at: Option<usize>,
    /// Where the SETTINGS at the end begin.
    settings_at: Option<usize>,
    /// It sends its result into a file by itself.
    pub(crate) has_outfile: bool,
    /// Whether more follows a semicolon.
    pub(crate) many: bool,
}

impl Select {
    /// The same statement, writing its result into a file: the ways to say so, of which the engine takes the first
    /// that it can parse.
    pub(crate) fn into_file(&self, path: &str, default_format: &str) -> Vec<String> {
        let clause = Self::clause(path);
        let at =
            |at: usize, what: String| format!("{} {what} {}", &self.text[..at], &self.text[at..]);
        if let Some(format_at) = self.format_at {
            return vec![at(format_at, clause)];
        }
        let with_format = format!("{clause} FORMAT {default_format}");
        let mut ways = vec![at(self.text.len(), with_format.clone())];
        ways.extend(self.settings_at.map(|settings| at(settings, with_format)));
        ways
    }

    /// What [`Select::into_file`] adds.
    pub(crate) fn clause(path: &str) -> String {
        format!("INTO OUTFILE '{path}' APPEND")
    }
}

/// A statement that runs as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Other {
    /// The first words, in upper case.
    pub(crate) words: [String; 2],
    /// Whether more follows a semicolon.
    pub(crate) many: bool,
    /// The name after the last FORMAT.
    pub(crate) format: Option<String>,
    /// It sends its result into a file by itself.
    pub(crate) has_outfile: bool,
    /// It is an INSERT that reads a file.
    pub(crate) has_infile: bool,
}

/// Looks at a text; `whole` says that nothing more will come.
pub(crate) fn parse(text: &[u8], whole: bool) -> Statement {
    let tokens = Tokens {
        lexer: Lexer::new(text),
        length: text.len(),
        whole,
    };
    let first = match tokens.peek() {
        Ok(Some(first)) => first,
        Ok(None) => return Statement::Empty,
        Err(Cut) => return Statement::Incomplete,
    };
    if first.is_word("INSERT") {
        match insert(text, &mut tokens.clone()) {
            Ok(Some(insert)) => return Statement::Insert(insert),
            Ok(None) => {}
            Err(Cut) => return Statement::Incomplete,
        }
    }
    if whole {
        statement(text)
    } else {
        Statement::Incomplete
    }
}

/// The text ended where a token may go on.
struct Cut;

/// How much of a longer text must be there to tell SETTINGS after FORMAT from data, and where the data begins.
const ENOUGH_AFTER_FORMAT: usize = 256;

#[derive(Clone)]
struct Tokens<'a> {
    lexer: Lexer<'a>,
    length: usize,
    whole: bool,
}

impl<'a> Tokens<'a> {
    /// The next token; `None` at the end.
    fn next(&mut self) -> Result<Option<Token<'a>>, Cut> {
        match self.lexer.next() {
            Some(token) if token.end() == self.length && !self.whole => Err(Cut),
            None if !self.whole => Err(Cut),
            token => Ok(token),
        }
    }

    fn peek(&self) -> Result<Option<Token<'a>>, Cut> {
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
fn insert(text: &[u8], tokens: &mut Tokens<'_>) -> Result<Option<Insert>, Cut> {
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

/// A whole text that is no INSERT with data.
fn statement(text: &[u8]) -> Statement {
    let mut depth = 0_usize;
    let mut words: Vec<String> = Vec::new();
    let mut top: Vec<Token<'_>> = Vec::new();
    let mut end = 0;
    let mut many = false;
    let mut insert = false;
    for token in Lexer::new(text) {
        if token.kind == Kind::Semicolon {
            // Until something follows it, a semicolon is just the end.
            many = Lexer::new(&text[token.end()..]).any(|t| t.kind != Kind::Semicolon);
            break;
        }
        if words.len() < 2 && token.kind == Kind::Word {
            words.push(to_text(token.text).to_ascii_uppercase());
        }
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                insert |= token.is_word("INSERT");
                top.push(token);
            }
            _ => {}
        }
        end = token.end();
    }
    let format_index = top.windows(2).rposition(|pair| {
        pair[0].is_word("FORMAT") && matches!(pair[1].kind, Kind::Word | Kind::QuotedIdentifier)
    });
    // FORMAT is the end, or SETTINGS follow; otherwise it is a column of that name.
    let format_index =
        format_index.filter(|index| top.get(index + 2).is_none_or(|t| t.is_word("SETTINGS")));
    let format = format_index.map(|index| {
        to_text(top[index + 1].text)
            .trim_matches(['`', '"'])
            .to_owned()
    });
    let mut words = words.into_iter();
    let words = [
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    ];
    let selects =
        ["SELECT", "WITH", "FROM", "VALUES", "TABLE"].contains(&words[0].as_str()) && !insert;
    let has = |first, second| {
        top.windows(2)
            .any(|pair| pair[0].is_word(first) && pair[1].is_word(second))
    };
    let has_outfile = has("INTO", "OUTFILE");
    if !selects {
        let has_infile = insert && has("FROM", "INFILE");
        return Statement::Other(Other {
            words,
            many,
            format,
            has_outfile,
            has_infile,
        });
    }
    Statement::Select(Select {
        text: to_text(&text[..end]),
        format,
        format_at: format_index.map(|index| top[index].start),
        settings_at: top
            .iter()
            .rev()
            .find(|t| t.is_word("SETTINGS"))
            .map(|t| t.start),
        has_outfile,
        many,
    })
}

/// SQL is text; bytes that are none would have failed in the engine's parser anyway.
fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
