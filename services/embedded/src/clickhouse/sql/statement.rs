//! Splits an INSERT from its data, and finds where a SELECT's result can be sent into a file.

use super::insert::{self, Cut, Insert, Tokens};
use super::lexer::{Kind, Lexer, Token};
use super::to_text;

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
    pub(crate) fn writing_file(&self, path: &str, default_format: &str) -> Vec<String> {
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

    /// What [`Select::writing_file`] adds.
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
    /// It is an INSERT that takes its data through `input()`.
    pub(crate) has_input: bool,
    /// It runs several statements beside each other.
    pub(crate) is_parallel: bool,
}

/// Looks at a text; `whole` says that nothing more will come.
pub(crate) fn parse(text: &[u8], whole: bool) -> Statement {
    let tokens = Tokens::new(text, whole);
    let first = match tokens.peek() {
        Ok(Some(first)) => first,
        Ok(None) => return Statement::Empty,
        Err(Cut) => return Statement::Incomplete,
    };
    if first.is_word("INSERT") {
        match insert::parse(text, &mut tokens.clone()) {
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

/// A whole text that is no INSERT with data.
fn statement(text: &[u8]) -> Statement {
    let mut depth = 0_usize;
    let mut words: Vec<String> = Vec::new();
    let mut top: Vec<Token<'_>> = Vec::new();
    let mut end = 0;
    let mut many = false;
    let mut insert = false;
    let mut input = false;
    let mut previous: Option<Token<'_>> = None;
    for token in Lexer::new(text) {
        if token.kind == Kind::Semicolon {
            // Until something follows it, a semicolon is just the end.
            many = Lexer::new(&text[token.end()..]).any(|t| t.kind != Kind::Semicolon);
            break;
        }
        if words.len() < 2 && token.kind == Kind::Word {
            words.push(to_text(token.text).to_ascii_uppercase());
        }
        input |= token.is("(") && previous.is_some_and(|previous| previous.is_word("INPUT"));
        previous = Some(token);
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                insert |= token.is_word("INSERT")
                    && words.first().is_some_and(|w| w == "INSERT" || w == "WITH");
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
            has_input: insert && input,
            is_parallel: has("PARALLEL", "WITH"),
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

#[cfg(test)]
mod tests;
