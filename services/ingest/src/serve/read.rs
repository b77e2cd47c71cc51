//! Reads a body, never keeping more than its cap, and never waiting longer than its time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::answer::Rejection;

/// A body above its cap is still read to here and dropped: a client that is cut off while it sends sees a broken
/// connection and not the answer that tells it why.
const DISCARD: usize = 4 * 1024 * 1024;

/// Reads a body of at most `limit` bytes.
pub(super) async fn body(
    body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Rejection> {
    tokio::time::timeout(patience, whole(body, limit))
        .await
        .unwrap_or(Err(Rejection::BodyTimeout))
}

async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, Rejection> {
    let expected = body
        .size_hint()
        .exact()
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if expected.is_some_and(|bytes| bytes > limit.max(DISCARD)) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    let first = match next(&mut body).await? {
        None => return Ok(Bytes::new()),
        // The usual case, and no copy: the whole body came with its headers.
        Some(first) if first.len() <= limit && body.is_end_stream() => return Ok(first),
        Some(first) => first,
    };
    let mut read = first.len();
    let mut whole = BytesMut::with_capacity(expected.unwrap_or(0).min(limit));
    whole.extend_from_slice(&first[..first.len().min(limit)]);
    while let Some(more) = next(&mut body).await? {
        read = read.saturating_add(more.len());
        if read <= limit {
            whole.extend_from_slice(&more);
        } else if read > limit.max(DISCARD) {
            break;
        }
    }
    if read > limit {
        Err(Rejection::BodyTooLarge { limit })
    } else {
        Ok(whole.freeze())
    }
}

/// The next piece of the body; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Rejection> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Rejection::BodyBroken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
