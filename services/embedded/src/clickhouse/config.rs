//! The engine's own configuration, so that it takes none that happens to lie in the working or home folder.

use super::Options;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many times the largest of its parts a merge should be; 5 if nothing is said. On one machine small inserts come
/// all the time, and with 20 their merges cost less than half, for some more parts (adr/0002).
const MERGE_BASE: u32 = 20;

/// Writes the configuration into the data folder and says where it is.
///
/// The engine would let a query read and write any file of the user (a server keeps to its `user_files`), so the
/// right to files is taken away. Statements that we rewrite use the client's side of files and need none.
pub(crate) fn write(options: &Options) -> io::Result<PathBuf> {
    let users = options.data.join("users.xml");
    let config = options.data.join("config.xml");
    fs::write(
        &users,
        "<clickhouse>\n\
         <profiles><default>\n\
         <implicit_select>0</implicit_select>\n\
         <allow_introspection_functions>0</allow_introspection_functions>\n\
         </default></profiles>\n\
         <users><default>\n\
         <password></password><networks><ip>::/0</ip></networks>\n\
         <profile>default</profile><quota>default</quota>\n\
         <grants>\n\
         <query>GRANT ALL ON *.*</query>\n\
         <query>REVOKE FILE ON *.*</query>\n\
         <query>REVOKE TABLE ENGINE ON File</query>\n\
         </grants>\n\
         </default></users>\n\
         <quotas><default></default></quotas>\n\
         </clickhouse>\n",
    )?;
    let mut text = format!(
        "<clickhouse>\n\
         <users_config>{}</users_config>\n\
         <access_control_improvements>\
         <table_engines_require_grant>true</table_engines_require_grant>\
         </access_control_improvements>\n\
         <merge_tree><merge_selector_base>{MERGE_BASE}</merge_selector_base></merge_tree>\n",
        escaped(&users)
    );
    if let Some(bytes) = options.max_memory {
        let _ = writeln!(
            text,
            "<max_server_memory_usage>{bytes}</max_server_memory_usage>"
        );
    }
    text.push_str("</clickhouse>\n");
    fs::write(&config, text)?;
    Ok(config)
}

fn escaped(path: &Path) -> String {
    path.to_string_lossy()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
