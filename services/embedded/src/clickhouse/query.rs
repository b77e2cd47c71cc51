//! One query, on a thread of its own, from its text to its end.
//!
//! A result leaves the engine, and an INSERT's data enters it, through a pipe that the statement names as a file
//! (`/proc/self/fd/N`): that gives the bytes of every format as a server has them, streamed, in flat memory, and
//! keeps data out of SQL.

mod pipes;

use super::blocks;
use super::body::{BodyReader, Stop};
use super::engine::{Engine, Registered, Running};
use super::exception::{self, Exception};
use super::library::{Class, Connection, Executed, Statistics};
use super::multipart::Table;
use super::native;
use super::request::Request;
use super::response::Writer;
use super::scope::Scope;
use super::session::Lease;
use super::sql::{self, Statement};
use std::io::{self, Read};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// One read of a pipe, and so one chunk of a response.
const CHUNK: usize = 256 << 10;

/// The longest statement, whatever `max_query_size` says: it is parsed from memory.
const LONGEST_STATEMENT: usize = 64 << 20;

/// All that a query needs.
pub(crate) struct Query {
    pub(crate) engine: Arc<Engine>,
    pub(crate) request: Request,
    pub(crate) body: BodyReader,
    pub(crate) stop: Stop,
    pub(crate) tables: Vec<Table>,
    pub(crate) session: Option<Lease>,
    pub(crate) registered: Registered,
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) writer: Writer,
}

impl Query {
    /// Runs it to its end and answers.
    pub(crate) fn run(self) {
        let Query {
            engine,
            request,
            body,
            stop,
            tables,
            session,
            registered,
            permit,
            mut writer,
        } = self;
        let mut execution = Execution {
            engine: &engine,
            request: &request,
            running: &registered.running,
            stop: &stop,
        };
        let result = execution.run(body, tables, session, &mut writer);
        // Before the client knows the end: its next request may use the same session or id.
        drop(registered);
        drop(permit);
        match result {
            Ok(statistics) => writer.finish(statistics),
            Err(exception) => {
                // No text: it may quote the statement, and so personal data.
                tracing::warn!(
                    code = exception.code,
                    query_id = request.query_id,
                    "a query failed"
                );
                writer.fail(&exception);
            }
        }
    }
}

struct Execution<'a> {
    engine: &'a Arc<Engine>,
    request: &'a Request,
    running: &'a Arc<Running>,
    stop: &'a Stop,
}

impl Execution<'_> {
    fn run(
        &mut self,
        body: BodyReader,
        tables: Vec<Table>,
        mut session: Option<Lease>,
        writer: &mut Writer,
    ) -> Result<Statistics, Exception> {
        let mut body = self.decoded(body).map_err(|e| io_exception(&e))?;
        let (text, statement) = self.read_statement(&mut body)?;
        let mut connection = match session.as_mut().and_then(|lease| lease.connection.take()) {
            Some(connection) => connection,
            None => self.engine.connect()?,
        };
        let scope = Scope::enter(
            &mut connection,
            self.request,
            &self.running.tag,
            &tables,
            session.is_some(),
        );
        let result = scope.and_then(|scope| {
            let result = self
                .load(&mut connection, &tables)
                .and_then(|()| self.execute(&mut connection, &text, statement, body, writer));
            scope.leave(&mut connection);
            result
        });
        if let Some(lease) = session.as_mut() {
            lease.connection = Some(connection);
        }
        result
    }

    fn decoded(&self, body: BodyReader) -> io::Result<Box<dyn Read + Send>> {
        let plain = self.request.content_encoding.decode(body)?;
        Ok(if self.request.decompress {
            Box::new(native::Decompress::new(plain))
        } else {
            plain
        })
    }

    /// Reads as far as the statement goes; what was read beyond it is data.
    fn read_statement(&self, body: &mut dyn Read) -> Result<(Vec<u8>, Statement), Exception> {
        let mut text = self.request.query.clone().into_bytes();
        if !text.is_empty() {
            // A whole INSERT in the URL ends there: the body is data, whatever it looks like.
            if let insert @ Statement::Insert(_) = sql::parse(&text, true) {
                return Ok((text, insert));
            }
            text.push(b'\n');
        }
        let longest = self
            .request
            .max_query_size
            .map_or(LONGEST_STATEMENT, |size| size.min(LONGEST_STATEMENT));
        let mut looked_at = 0;
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = body.read(&mut chunk).map_err(|e| io_exception(&e))?;
            text.extend_from_slice(&chunk[..length]);
            if length == 0 {
                let statement = sql::parse(&text, true);
                return Ok((text, statement));
            }
            // Looked at again only when it has doubled: a long text is not lexed at every part.
            if text.len() >= 2 * looked_at {
                looked_at = text.len();
                if let insert @ Statement::Insert(_) = sql::parse(&text, false) {
                    return Ok((text, insert));
                }
            }
            if text.len() > longest {
                let text = "Syntax error: Max query size exceeded (can be increased with the `max_query_size` setting)";
                return Err(Exception::new(exception::SYNTAX_ERROR, text));
            }
        }
    }

    /// Fills the tables that came with the query.
    fn load(&mut self, connection: &mut Connection, tables: &[Table]) -> Result<(), Exception> {
        for table in tables {
            let parameter = |suffix: &str| {
                let name = format!("{}_{suffix}", table.name);
                self.request
                    .settings
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| value.clone())
            };
            let format = parameter("format").unwrap_or_else(|| "TabSeparated".to_owned());
            let insert = format!(
                "INSERT INTO {} FORMAT {format}",
                sql::identifier(&table.name)
            );
            let Statement::Insert(insert) = sql::parse(insert.as_bytes(), true) else {
                return Err(Exception::new(
                    exception::BAD_ARGUMENTS,
                    "A table's _format must be the name of a format",
                ));
            };
            let (reader, _) = BodyReader::ready(table.data.clone());
            self.insert(connection, &insert, Vec::new(), Box::new(reader))?;
        }
        Ok(())
    }

    fn execute(
        &mut self,
        connection: &mut Connection,
        text: &[u8],
        statement: Statement,
        body: Box<dyn Read + Send>,
        writer: &mut Writer,
    ) -> Result<Statistics, Exception> {
        match statement {
            Statement::Empty | Statement::Incomplete => Err(Exception::new(
                exception::SYNTAX_ERROR,
                "Syntax error: Empty query",
            )),
            Statement::Insert(insert) if insert.excessive_semicolon => Err(Exception::new(
                exception::SYNTAX_ERROR,
                "You have excessive ';' symbol before data for INSERT: put a blank or a line feed after the format",
            )),
            Statement::Insert(insert) => {
                self.allow(Class::Mutating, "INSERT", "")?;
                let data = text[insert.data..].to_vec();
                self.insert(connection, &insert, data, body)
            }
            Statement::Select(select) => self.select(connection, &select, text, writer),
            Statement::Other(other) => {
                if other.many {
                    return Err(many());
                }
                if other.has_outfile {
                    return Err(outfile());
                }
                if other.has_infile {
                    let text = "INSERT FROM INFILE reads a file of the client: send the data in the request's body";
                    return Err(Exception::new(exception::BAD_ARGUMENTS, text));
                }
                if other.has_input {
                    let text = "INSERT ... SELECT ... FROM input() is not supported: insert into a temporary table \
                                of a session first";
                    return Err(Exception::new(exception::NOT_IMPLEMENTED, text));
                }
                let (class, count) = connection.classify(text);
                // What stands after inline data would be a statement of its own for the engine.
                if count > 1 && !other.is_parallel {
                    return Err(many());
                }
                self.allow(class, &other.words[0], &other.words[1])?;
                self.running.set_killable(class == Class::ReadOnly);
                self.whole(connection, text, other.format.as_deref(), writer)
            }
        }
    }

    /// GET is for reading. The engine checks that too, where the connection is not a session's.
    fn allow(&self, class: Class, first: &str, second: &str) -> Result<(), Exception> {
        let of_the_session = matches!(
            (first, second),
            ("SET" | "USE", _) | ("CREATE", "TEMPORARY")
        );
        if !self.request.readonly
            || class == Class::ReadOnly
            || class == Class::Unknown
            || of_the_session
        {
            return Ok(());
        }
        let text = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You \
                    should use method POST for modifying queries";
        Err(Exception::new(exception::READONLY, text))
    }

    /// Runs a statement whose result is small and comes at its end.
    fn whole(
        &mut self,
        connection: &mut Connection,
        text: &[u8],
        format: Option<&str>,
        writer: &mut Writer,
    ) -> Result<Statistics, Exception> {
        let executed = self.engine_call(connection, text, &[])?;
        // EXPLAIN writes something even then.
        let wanted = format.unwrap_or(&self.request.default_format);
        if executed.output.is_empty() || wanted.eq_ignore_ascii_case("Null") {
            return Ok(executed.statistics);
        }
        self.set_format(writer, format);
        let mut output = executed.output;
        if let Some(revision) = self.revision(format) {
            let plain = std::mem::take(&mut output);
            blocks::pass_on(plain.as_slice(), revision, &mut output)
                .map_err(|e| io_exception(&e))?;
        }
        // Who is gone need not know; the statement has run.
        let _ = writer.write(&output);
        Ok(executed.statistics)
    }

    /// The revision in which the client wants its blocks, where the format has any.
    fn revision(&self, format: Option<&str>) -> Option<u64> {
        let format = format.unwrap_or(&self.request.default_format);
        (self.request.protocol > 0 && format.eq_ignore_ascii_case("Native"))
            .then_some(self.request.protocol)
    }

    fn set_format(&self, writer: &mut Writer, format: Option<&str>) {
        let name = format.unwrap_or(&self.request.default_format);
        let known = self
            .engine
            .facts
            .format(name)
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        writer.head.format =
            known.or_else(|| Some((name.to_owned(), "application/octet-stream".to_owned())));
    }

    fn engine_call(
        &self,
        connection: &mut Connection,
        text: &[u8],
        added: &[String],
    ) -> Result<Executed, Exception> {
        if self.running.is_cancelled() {
            return Err(Exception::new(
                exception::QUERY_WAS_CANCELLED,
                "Query was cancelled",
            ));
        }
        connection
            .query(text, &self.request.default_format, &self.request.parameters)
            .map_err(|error| Exception::from_engine(&error, added))
    }
}

fn io_exception(error: &io::Error) -> Exception {
    Exception::from_io(error).unwrap_or_else(|| {
        Exception::new(
            exception::CANNOT_READ_ALL_DATA,
            format!("Cannot read all data: {error}"),
        )
    })
}

fn many() -> Exception {
    Exception::new(
        exception::SYNTAX_ERROR,
        "Syntax error (Multi-statements are not allowed)",
    )
}

fn outfile() -> Exception {
    Exception::new(
        exception::INTO_OUTFILE_NOT_ALLOWED,
        "INTO OUTFILE is not allowed",
    )
}
