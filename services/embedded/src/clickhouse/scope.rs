//! What holds for one query only: settings of the URL, the database, tables of the form. A connection that is not a
//! session's is thrown away afterwards; in a session all this is undone.

use super::exception::Exception;
use super::library::Connection;
use super::multipart::Table;
use super::request::Request;
use super::sql;

/// How to undo.
pub(crate) struct Scope {
    undo: Vec<String>,
}

impl Scope {
    /// Applies it. `tag` makes the query known to KILL.
    pub(crate) fn enter(
        connection: &mut Connection,
        request: &Request,
        tag: &str,
        tables: &[Table],
        session: bool,
    ) -> Result<Self, Exception> {
        let mut undo = Vec::new();
        if let Some(database) = &request.database {
            if session {
                let current = rows(connection, "SELECT currentDatabase()")?;
                undo.extend(
                    current
                        .first()
                        .map(|row| format!("USE {}", sql::identifier(&row[0]))),
                );
            }
            run(connection, &format!("USE {}", sql::identifier(database)))?;
        }
        let about_tables = |name: &str| {
            tables.iter().any(|table| {
                name.strip_prefix(&table.name)
                    .is_some_and(|rest| ["_format", "_structure", "_types"].contains(&rest))
            })
        };
        let mut settings: Vec<(&str, String)> = request
            .settings
            .iter()
            .filter(|(name, _)| name != "log_comment" && !about_tables(name))
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let comment = request
            .settings
            .iter()
            .find(|(name, _)| name == "log_comment")
            .map_or("", |(_, value)| value);
        settings.push(("log_comment", format!("{comment}{tag}")));
        if request.readonly && !session && !settings.iter().any(|(name, _)| *name == "readonly") {
            settings.push(("readonly", "2".to_owned()));
        }
        if session {
            undo.extend(undo_settings(connection, &settings)?);
        }
        let list: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name} = {}", sql::literal(value)))
            .collect();
        let scope = Scope { undo };
        let applied = run(connection, &format!("SET {}", list.join(", "))).and_then(|()| {
            tables
                .iter()
                .try_for_each(|table| create(connection, request, table))
        });
        match applied {
            Ok(()) => Ok(Scope {
                undo: scope
                    .undo
                    .into_iter()
                    .chain(drop_tables(tables, session))
                    .collect(),
            }),
            Err(exception) => {
                scope.leave(connection);
                Err(exception)
            }
        }
    }

    /// Undoes it.
    pub(crate) fn leave(self, connection: &mut Connection) {
        for statement in self.undo {
            if let Err(exception) = run(connection, &statement) {
                tracing::debug!(
                    code = exception.code,
                    "a session keeps what a query had set"
                );
            }
        }
    }
}

fn drop_tables(tables: &[Table], session: bool) -> impl Iterator<Item = String> {
    tables.iter().filter(move |_| session).map(|table| {
        format!(
            "DROP TEMPORARY TABLE IF EXISTS {}",
            sql::identifier(&table.name)
        )
    })
}

/// `name_structure=a UInt8, b String` or `name_types=UInt8,String`.
fn create(connection: &mut Connection, request: &Request, table: &Table) -> Result<(), Exception> {
    let parameter = |suffix: &str| {
        let name = format!("{}_{suffix}", table.name);
        request
            .settings
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.clone())
    };
    let structure = parameter("structure").or_else(|| {
        let types = parameter("types")?;
        let columns = types
            .split(',')
            .enumerate()
            .map(|(index, kind)| format!("_{} {kind}", index + 1));
        Some(columns.collect::<Vec<_>>().join(", "))
    });
    let Some(structure) = structure else {
        let text = format!(
            "The external table needs the parameter {0}_structure or {0}_types",
            table.name
        );
        return Err(Exception::new(super::exception::BAD_ARGUMENTS, text));
    };
    run(
        connection,
        &format!(
            "CREATE TEMPORARY TABLE {} ({structure})",
            sql::identifier(&table.name)
        ),
    )
}

/// The statements that bring back what the settings are now.
fn undo_settings(
    connection: &mut Connection,
    settings: &[(&str, String)],
) -> Result<Vec<String>, Exception> {
    let names: Vec<String> = settings
        .iter()
        .map(|(name, _)| sql::literal(name))
        .collect();
    let before = rows(
        connection,
        &format!(
            "SELECT name, value, changed FROM system.settings WHERE name IN ({})",
            names.join(", ")
        ),
    )?;
    Ok(before
        .iter()
        .map(|row| match row[2].as_str() {
            "1" => format!("SET {} = {}", row[0], sql::literal(&row[1])),
            _ => format!("SET {} = DEFAULT", row[0]),
        })
        .collect())
}

fn run(connection: &mut Connection, statement: &str) -> Result<(), Exception> {
    connection
        .query(statement.as_bytes(), "TabSeparated", &[])
        .map(drop)
        .map_err(|e| Exception::from_engine(&e, &[]))
}

/// A small result as texts. Three columns at most are asked for, so rows are cut by the number of columns.
fn rows(connection: &mut Connection, statement: &str) -> Result<Vec<Vec<String>>, Exception> {
    let sql = format!("{statement} FORMAT TabSeparated");
    let executed = connection
        .query(sql.as_bytes(), "TabSeparated", &[])
        .map_err(|e| Exception::from_engine(&e, &[]))?;
    let text = String::from_utf8_lossy(&executed.output).into_owned();
    Ok(text
        .lines()
        .map(|line| line.split('\t').map(unescaped).collect())
        .collect())
}

/// Undoes the escapes of TabSeparated.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('0') => text.push('\0'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_tab_separated_are_undone() {
        assert_eq!(unescaped(r"a\tb\n\\\'"), "a\tb\n\\'");
        assert_eq!(unescaped("plain"), "plain");
    }
}
