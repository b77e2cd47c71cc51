//! The two statements that move data of any size: a SELECT out of the engine, an INSERT into it.

use super::{CHUNK, Execution, io_exception, many, outfile};
use crate::clickhouse::blocks;
use crate::clickhouse::exception::{self, Exception};
use crate::clickhouse::library::{Class, Connection, Statistics};
use crate::clickhouse::response::Writer;
use crate::clickhouse::sql::{Insert, Select};
use std::io::{self, BufWriter, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// How long the engine may take to know a statement that is to be ended.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

impl Execution<'_> {
    /// Runs a statement with a result of any size.
    pub(super) fn select(
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
        let ways = select.writing_file(&path, &self.request.default_format);
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
                .spawn_scoped(threads, || {
                    let revision = self.revision(select.format.as_deref());
                    self.pass_result_on(result, revision, writer)
                })
                .map_err(no_pipe)?;
            let executed = self.engine_call(connection, sql.as_bytes(), &added);
            // The engine has closed its end: without ours the reader sees the end.
            drop(pipe);
            let passed = reader.join();
            // Ended for our own reason, and not because the engine's output broke off.
            if let Ok(Err(error)) = &passed
                && let Some(exception) = Exception::from_io(error)
            {
                return Err(exception);
            }
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
    fn pass_result_on(
        &self,
        mut result: PipeReader,
        revision: Option<u64>,
        writer: &mut Writer,
    ) -> io::Result<()> {
        let mut client = Client {
            execution: self,
            writer,
            wanted: true,
        };
        if let Some(revision) = revision {
            let mut chunks = BufWriter::with_capacity(CHUNK, &mut client);
            return blocks::pass_on(result, revision, &mut chunks)
                .and_then(|()| chunks.flush())
                .inspect_err(|_| self.engine.cancel(self.running));
        }
        let mut buffer = vec![0; CHUNK];
        loop {
            match result.read(&mut buffer)? {
                0 => return Ok(()),
                length => client.write_all(&buffer[..length])?,
            }
        }
    }

    /// Runs an INSERT, feeding it `first` and then the body.
    pub(super) fn insert(
        &mut self,
        connection: &mut Connection,
        insert: &Insert,
        first: Vec<u8>,
        body: Box<dyn Read + Send>,
    ) -> Result<Statistics, Exception> {
        let (pipe, data) = io::pipe().map_err(no_pipe)?;
        let path = path_of(&pipe);
        let sql = insert.reading_file(&path);
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

/// The client as somebody who takes everything: when it has left, the query is ended and the rest dropped.
struct Client<'a> {
    execution: &'a Execution<'a>,
    writer: &'a mut Writer,
    wanted: bool,
}

impl Write for Client<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.wanted && self.writer.write(data).is_err() {
            self.wanted = false;
            self.execution.engine.cancel(self.execution.running);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
