//! A migration's text as statements.

use crate::clickhouse::quoted;

/// The statements of a script, with its placeholders filled in: `{database}`, and `{engine:E}` for a table engine
/// that a cluster would replicate.
pub(super) fn statements(script: &str, database: &str) -> Vec<String> {
    let lines = script
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("{database}", &quoted(database));
    let text = fill_engines(&text);
    text.split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// One server: every engine stands for itself.
fn fill_engines(text: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, placeholder)) = rest.split_once("{engine:") {
        let (engine, after) = placeholder
            .split_once('}')
            .expect("migrations are compiled in, and this is tested with each");
        filled.push_str(before);
        filled.push_str(engine);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_at_semicolons_that_end_a_line() {
        let script = "-- why\nCREATE TABLE {database}.a (x String COMMENT 'one; two') ENGINE = {engine:ReplacingMergeTree(v, d)};\n\nSELECT 1\n-- amid\nFROM b;\n";
        assert_eq!(
            statements(script, "d`b"),
            [
                "CREATE TABLE `d\\`b`.a (x String COMMENT 'one; two') ENGINE = ReplacingMergeTree(v, d)",
                "SELECT 1\nFROM b"
            ]
        );
    }

    #[test]
    fn no_migration_leaves_a_placeholder_behind() {
        for migration in crate::migrate::ALL {
            let statements = statements(migration.sql, "tributary");
            assert!(!statements.is_empty(), "{}", migration.name);
            for statement in statements {
                // A view's parameter has a type: {mark:DateTime('UTC')}.
                let is_parameter = |text: &str| text.starts_with("mark:DateTime");
                let mut placeholders = statement.split('{').skip(1);
                assert!(
                    placeholders.all(is_parameter),
                    "{}: {statement}",
                    migration.name
                );
                // An index that is there is built again, and is the same; a row that is there replaces itself: what a
                // migration fills keeps one of each key; what is set to a constant is set to it again.
                let harmless = [
                    "IF NOT EXISTS",
                    "OR REPLACE",
                    "COMMENT COLUMN",
                    "MATERIALIZE INDEX",
                    "INSERT INTO",
                    "UPDATE bot = true",
                ];
                let again = harmless.iter().any(|words| statement.contains(words));
                assert!(
                    again,
                    "{} cannot be run again after an interruption: {statement}",
                    migration.name
                );
            }
        }
    }
}
