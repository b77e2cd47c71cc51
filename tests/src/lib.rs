//! Integration, end-to-end and chaos tests on a real broker and the real engine
