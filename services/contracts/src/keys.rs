//! Record keys and the partitions they go to.

/// Joins the parts of a key by NUL, which no part may hold.
#[must_use]
pub fn joined(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    append_joined(parts, &mut key);
    key
}

/// The key of a timeline, and of an identifier filed as a timeline would be.
#[must_use]
pub fn timeline(workspace: &str, r#type: &str, value: &str) -> Vec<u8> {
    joined(&[workspace, r#type, value])
}

/// Appends the key of a timeline to `buffer`.
pub fn append_timeline(workspace: &str, r#type: &str, value: &str, buffer: &mut Vec<u8>) {
    append_joined(&[workspace, r#type, value], buffer);
}

fn append_joined(parts: &[&str], key: &mut Vec<u8>) {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push(0);
        }
        key.extend_from_slice(part.as_bytes());
    }
}

/// The partition of a key among `partitions`: murmur2, as Kafka's own clients do, so that a producer of another
/// language that sends the same key reaches the same partition.
#[must_use]
pub fn partition(key: &[u8], partitions: u32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    (positive % partitions.max(1)) as i32
}

/// Austin Appleby's `MurmurHash2` with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;
    let mut hash = SEED ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word =
            u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(MULTIPLIER);
        word ^= word >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_kafkas_java_client() {
        // From org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn a_partition_is_always_one_of_them() {
        for partitions in [1, 2, 4, 7, 1000] {
            for key in ["", "a", "default\0anonymous_id\0c1"] {
                let partition = partition(key.as_bytes(), partitions);
                assert!(
                    (0..partitions as i32).contains(&partition),
                    "{key:?} of {partitions}: {partition}"
                );
            }
        }
    }
}
