//! What the allocator does with freed memory.

/// The largest block whose size glibc learns from, see mallopt(3), `M_MMAP_THRESHOLD`.
const LARGEST_LEARNED: usize = 32 * 1024 * 1024;

/// Keeps freed memory for the next use, up to 64 MB a heap, where glibc would give it back page by page and take it
/// again: a process that fills and empties a queue of records time and again spends an eighth of its time on that.
///
/// glibc keeps twice the size of the largest block of its own mapping that was ever freed. So this maps one and frees
/// it, untouched. Other allocators do as they always do.
pub fn keep_freed() {
    // A page less, for the allocator's own bytes at the block's head.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(
        LARGEST_LEARNED - 4096,
    )));
}
