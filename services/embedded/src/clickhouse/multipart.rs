//! `multipart/form-data`: parameters, and tables that come with a query.

use super::exception::{self, Exception};
use bytes::Bytes;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use multer::{Constraints, Multipart, SizeLimit};

/// All parts together are held in memory: parameters and small tables to join with.
const LARGEST_FORM: u64 = 64 << 20;

/// A table for one query, as a file of the form.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) data: Bytes,
}

/// A form's fields and files.
pub(crate) async fn read(
    body: Incoming,
    boundary: String,
) -> Result<(Vec<(String, String)>, Vec<Table>), Exception> {
    let invalid = |error: multer::Error| {
        Exception::new(
            exception::BAD_ARGUMENTS,
            format!("The multipart/form-data body is invalid: {error}"),
        )
    };
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(LARGEST_FORM));
    let mut form = Multipart::with_constraints(BodyDataStream::new(body), boundary, constraints);
    let (mut fields, mut tables) = (Vec::new(), Vec::new());
    while let Some(field) = form.next_field().await.map_err(invalid)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            tables.push(Table {
                name,
                data: field.bytes().await.map_err(invalid)?,
            });
        } else {
            fields.push((name, field.text().await.map_err(invalid)?));
        }
    }
    Ok((fields, tables))
}
