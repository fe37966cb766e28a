//! Buffers between two uses: an idle connection owns none, and a busy one does not allocate.

use bytes::BytesMut;

/// Buffers kept; more than that many clients rarely have output at the same moment.
const BUFFERS_MAX: usize = 256;
/// A buffer that has grown beyond this is given back to the allocator.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<BytesMut>);

impl Spare {
    /// Puts a spare buffer in the place of `buffer`, if that is none at all.
    pub(super) fn lend(&mut self, buffer: &mut BytesMut) {
        if buffer.capacity() == 0
            && let Some(spare) = self.0.pop()
        {
            *buffer = spare;
        }
    }

    /// Takes a buffer whose content is no longer needed.
    pub(super) fn give(&mut self, mut buffer: BytesMut) {
        if self.0.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}
