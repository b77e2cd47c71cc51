//! ClickHouse's own compressed blocks, as `compress=1` and `decompress=1` speak them.
//!
//! ```text
//! CityHash128 of the rest (16 bytes) | method (1) | size with this header (4) | size of the data (4) | data
//! ```

use super::exception::{self, Exception};
use cityhash_rs::cityhash_102_128;
use std::io::{self, Read};

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const NONE: u8 = 0x02;
const LZ4: u8 = 0x82;
const ZSTD: u8 = 0x90;

/// Clients send blocks of about 1 MiB. The bound keeps one forged header from claiming all memory.
const LARGEST_BLOCK: usize = 128 << 20;

/// Appends `data` to `out` as one LZ4 block.
pub(crate) fn compress(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(
        start + CHECKSUM + HEADER + lz4_flex::block::get_maximum_output_size(data.len()),
        0,
    );
    let length = lz4_flex::block::compress_into(data, &mut out[start + CHECKSUM + HEADER..])
        .expect("there is room for the worst case");
    out.truncate(start + CHECKSUM + HEADER + length);
    let size = |length: usize| {
        u32::try_from(length)
            .expect("blocks are far below 4 GiB")
            .to_le_bytes()
    };
    let header = &mut out[start + CHECKSUM..start + CHECKSUM + HEADER];
    header[0] = LZ4;
    header[1..5].copy_from_slice(&size(HEADER + length));
    header[5..9].copy_from_slice(&size(data.len()));
    let sum = checksum(&out[start + CHECKSUM..]);
    out[start..start + CHECKSUM].copy_from_slice(&sum);
}

/// The two halves of the hash stand as the engine writes a pair of integers: low first.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    cityhash_102_128(bytes).rotate_left(64).to_le_bytes()
}

/// Reads the data out of blocks, after checking each.
pub(crate) struct Decompress<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Decompress<R> {
    pub(crate) fn new(inner: R) -> Self {
        Decompress {
            inner,
            block: Vec::new(),
            at: 0,
        }
    }

    /// Reads a block, which may be empty; whether there was one.
    fn next_block(&mut self) -> io::Result<bool> {
        self.block.clear();
        self.at = 0;
        let mut head = [0; CHECKSUM + HEADER];
        let length = read_up_to(&mut self.inner, &mut head)?;
        if length == 0 {
            return Ok(false);
        }
        if length < head.len() {
            return Err(broken("the last compressed block is cut"));
        }
        let (sum, header) = head.split_at(CHECKSUM);
        let size = |at: usize| {
            let bytes = header[at..at + 4].try_into().expect("four bytes");
            usize::try_from(u32::from_le_bytes(bytes)).expect("32 bits fit")
        };
        let (compressed, plain) = (size(1), size(5));
        if !(HEADER..=LARGEST_BLOCK).contains(&compressed) || plain > LARGEST_BLOCK {
            return Err(broken("a compressed block states an impossible size"));
        }
        let mut block = header.to_vec();
        // Not allocated at once: the stated size is only a claim until the bytes have come.
        let claimed = (compressed - HEADER) as u64;
        (&mut self.inner).take(claimed).read_to_end(&mut block)?;
        if block.len() < compressed {
            return Err(broken("the last compressed block is cut"));
        }
        if checksum(&block) != sum {
            return Err(Exception::new(
                exception::CHECKSUM_DOESNT_MATCH,
                "Checksum doesn't match: corrupted data",
            )
            .into());
        }
        let data = &block[HEADER..];
        self.block = match header[0] {
            NONE => data.to_vec(),
            LZ4 => lz4_flex::block::decompress(data, plain)
                .map_err(|_| broken("a block is no valid LZ4"))?,
            ZSTD => zstd::bulk::decompress(data, plain)
                .map_err(|_| broken("a block is no valid ZSTD"))?,
            method => {
                let text = format!("Unknown compression method: {method} (use LZ4, ZSTD or NONE)");
                return Err(Exception::new(exception::UNKNOWN_COMPRESSION_METHOD, text).into());
            }
        };
        if self.block.len() != plain {
            return Err(broken(
                "a block holds another amount of data than it states",
            ));
        }
        Ok(true)
    }
}

impl<R: Read> Read for Decompress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.block.len() - self.at);
        buffer[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

fn broken(what: &str) -> io::Error {
    Exception::new(
        exception::CANNOT_DECOMPRESS,
        format!("Cannot decompress: {what}"),
    )
    .into()
}

fn read_up_to(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match inner.read(&mut buffer[length..])? {
            0 => break,
            n => length += n,
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(blocks: &[u8]) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        Decompress::new(blocks).read_to_end(&mut data)?;
        Ok(data)
    }

    fn block(method: u8, data: &[u8], plain: usize) -> Vec<u8> {
        let mut body = vec![method];
        body.extend_from_slice(
            &u32::try_from(HEADER + data.len())
                .expect("small")
                .to_le_bytes(),
        );
        body.extend_from_slice(&u32::try_from(plain).expect("small").to_le_bytes());
        body.extend_from_slice(data);
        [&checksum(&body)[..], &body].concat()
    }

    fn code(result: io::Result<Vec<u8>>) -> i32 {
        Exception::from_io(&result.expect_err("it is broken"))
            .expect("an exception of the interface")
            .code
    }

    proptest! {
        #[test]
        fn what_was_compressed_in_pieces_comes_back(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..6)) {
            let mut blocks = Vec::new();
            for piece in &pieces {
                compress(piece, &mut blocks);
            }
            prop_assert_eq!(plain(&blocks).expect("whole"), pieces.concat());
        }

        #[test]
        fn a_changed_or_missing_byte_never_passes(data in proptest::collection::vec(any::<u8>(), 1..500), at in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let mut blocks = Vec::new();
            compress(&data, &mut blocks);
            let at = at.index(blocks.len());
            prop_assert!(plain(&blocks[..at]).is_err() || at == 0);
            blocks[at] ^= flip;
            prop_assert!(plain(&blocks).is_err());
        }
    }

    #[test]
    fn an_empty_block_is_not_the_end() {
        let blocks = [
            block(NONE, b"", 0),
            block(NONE, b"", 0),
            block(NONE, b"x", 1),
        ]
        .concat();
        assert_eq!(plain(&blocks).expect("whole"), b"x");
    }

    #[test]
    fn stored_and_zstd_blocks_are_read_too() {
        let zstd = zstd::bulk::compress(b"hello hello hello", 1).expect("compressed");
        let blocks = [block(NONE, b"stored ", 7), block(ZSTD, &zstd, 17)].concat();
        assert_eq!(plain(&blocks).expect("whole"), b"stored hello hello hello");
    }

    #[test]
    fn each_kind_of_damage_has_its_code() {
        let mut wrong_sum = block(NONE, b"x", 1);
        wrong_sum[0] ^= 1;
        assert_eq!(code(plain(&wrong_sum)), exception::CHECKSUM_DOESNT_MATCH);
        assert_eq!(
            code(plain(&block(0x77, b"x", 1))),
            exception::UNKNOWN_COMPRESSION_METHOD
        );
        assert_eq!(
            code(plain(&block(LZ4, b"\xff\xff", 9))),
            exception::CANNOT_DECOMPRESS
        );
        assert_eq!(
            code(plain(&block(NONE, b"xy", 1))),
            exception::CANNOT_DECOMPRESS
        );
        assert_eq!(
            code(plain(&block(NONE, b"", LARGEST_BLOCK + 1))),
            exception::CANNOT_DECOMPRESS
        );
    }
}
