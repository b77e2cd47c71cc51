//! One query, on a thread of its own, from its text to its end.
//!
//! A result leaves the engine, and an INSERT's data enters it, through a pipe that the statement names as a file
//! (`/proc/self/fd/N`): that gives the bytes of every format as a server has them, streamed, in flat memory, and
//! keeps data out of SQL.

use super::body::{BodyReader, Stop};
use super::engine::{Engine, Registered, Running};
use super::exception::{self, Exception};
use super::library::{Class, Connection, Statistics};
use super::multipart::Table;
use super::native;
use super::request::Request;
use super::response::Writer;
use super::scope::Scope;
use super::session::Lease;
use super::sql::{self, Insert, Select, Statement};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// One read of a pipe, and so one chunk of a response.
const CHUNK: usize = 256 << 10;

/// The longest statement, whatever `max_query_size` says: it is parsed from memory.
const LONGEST_STATEMENT: usize = 64 << 20;

/// How long the engine may take to know a statement that is to be ended.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

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
                let (class, _) = connection.classify(text);
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
        if !executed.output.is_empty() {
            self.set_format(writer, format);
        }
        // Who is gone need not know; the statement has run.
        let _ = writer.write(&executed.output);
        Ok(executed.statistics)
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
    ) -> Result<super::library::Executed, Exception> {
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

    /// Runs a statement with a result of any size.
    fn select(
        &mut self,
        connection: &mut Connection,
        select: &Select,
        text: &[u8],
        writer: &mut Writer,
    ) -> Result<Statistics, Exception> {
        if select.many {
            return Err(many());
        }
        if select.has_outfile {
            return Err(outfile());
        }
        self.running.set_killable(true);
        let (result, pipe) = io::pipe().map_err(no_pipe)?;
        let path = path_of(&pipe);
        let ways = select.into_file(&path, &self.request.default_format);
        let Some(sql) = ways
            .iter()
            .find(|way| connection.classify(way.as_bytes()) == (Class::Control, 1))
        else {
            // The engine cannot parse it: its own words say why.
            return self.whole(connection, text, select.format.as_deref(), writer);
        };
        self.set_format(writer, select.format.as_deref());
        let added = [Select::clause(&path)];
        thread::scope(|threads| {
            let reader = thread::Builder::new()
                .name("clickhouse-result".to_owned())
                .spawn_scoped(threads, || self.pass_result_on(result, writer))
                .map_err(no_pipe)?;
            let executed = self.engine_call(connection, sql.as_bytes(), &added);
            // The engine has closed its end: without ours the reader sees the end.
            drop(pipe);
            let passed = reader.join();
            let executed = executed?;
            match passed {
                Ok(Ok(())) => Ok(executed.statistics),
                Ok(Err(error)) => Err(io_exception(&error)),
                Err(_) => Err(Exception::new(
                    exception::STD_EXCEPTION,
                    "The result could not be read",
                )),
            }
        })
    }

    /// Reads the result to its end, also when nobody wants it any more: an engine that cannot write does not stop.
    fn pass_result_on(&self, mut result: PipeReader, writer: &mut Writer) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut wanted = true;
        loop {
            let length = match result.read(&mut buffer)? {
                0 => return Ok(()),
                length => length,
            };
            if wanted && writer.write(&buffer[..length]).is_err() {
                wanted = false;
                self.engine.cancel(self.running);
            }
        }
    }

    /// Runs an INSERT, feeding it `first` and then the body.
    fn insert(
        &mut self,
        connection: &mut Connection,
        insert: &Insert,
        first: Vec<u8>,
        body: Box<dyn Read + Send>,
    ) -> Result<Statistics, Exception> {
        let (pipe, data) = io::pipe().map_err(no_pipe)?;
        let path = path_of(&pipe);
        let sql = insert.from_file(&path);
        let added = [Insert::clause(&path)];
        thread::scope(|threads| {
            let feeder = thread::Builder::new()
                .name("clickhouse-data".to_owned())
                .spawn_scoped(threads, || self.feed(data, first, body))
                .map_err(no_pipe)?;
            let executed = self.engine_call(connection, sql.as_bytes(), &added);
            // A feeder that still writes fails now, and one that waits for the client is woken.
            drop(pipe);
            self.stop.stop();
            match feeder.join() {
                Ok(Ok(())) => {}
                // The data was not whole: that is why the engine was told to end the statement.
                Ok(Err(exception)) if executed.is_err() => return Err(exception),
                Ok(Err(exception)) => {
                    tracing::error!(
                        code = exception.code,
                        "an insert ended well though its data was not whole"
                    );
                    return Err(exception);
                }
                Err(_) => {
                    return Err(Exception::new(
                        exception::STD_EXCEPTION,
                        "The data could not be read",
                    ));
                }
            }
            executed.map(|executed| executed.statistics)
        })
    }

    /// Writes the data into the pipe. When the rest of it does not come, the end of the pipe would look like the end
    /// of the data, so the statement is ended first. `Err` only in that case.
    fn feed(
        &self,
        mut data: PipeWriter,
        first: Vec<u8>,
        mut body: Box<dyn Read + Send>,
    ) -> Result<(), Exception> {
        if data.write_all(&first).is_err() {
            return Ok(());
        }
        drop(first);
        let mut buffer = vec![0; CHUNK];
        let failed = loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) if data.write_all(&buffer[..length]).is_ok() => {}
                // The engine closed its end: the statement has ended and says how.
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break io_exception(&error),
            }
        };
        if self.stop.is_stopped() {
            return Ok(());
        }
        self.running.set_killable(true);
        let deadline = Instant::now() + KNOWN_WITHIN;
        while !self.engine.kill(self.running)
            && !self.stop.is_stopped()
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(5));
        }
        Err(failed)
    }
}

fn path_of(pipe: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", pipe.as_raw_fd())
}

fn no_pipe(error: io::Error) -> Exception {
    Exception::new(
        exception::CANNOT_SCHEDULE_TASK,
        format!("No pipe or thread for the query: {error}"),
    )
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
