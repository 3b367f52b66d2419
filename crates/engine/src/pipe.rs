//! Pipes through the fence: bytes between asynchronous streams and synchronous readers and writers.

use bytes::Bytes;
use model::Result;
use std::io::{Read, Write};
use tokio::sync::mpsc;

/// How many pieces wait for the slower side.
const QUEUE: usize = 8;
/// The size of a piece, in bytes.
const PIECE: usize = 256 << 10;

/// The synchronous end that writes.
pub struct PipeWriter {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Bytes>,
}

/// The synchronous end that reads.
pub struct PipeReader {
    current: Bytes,
    receiver: mpsc::Receiver<Result<Bytes>>,
}

/// A pipe out of synchronous work. Flush it at the end; once the receiver is gone, writing fails.
pub fn outward() -> (PipeWriter, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (PipeWriter { buffer: Vec::new(), sender }, receiver)
}

/// A pipe into synchronous work, which sees an error where one was sent and the end when the sender is gone.
pub fn inward() -> (mpsc::Sender<Result<Bytes>>, PipeReader) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (sender, PipeReader { current: Bytes::new(), receiver })
}

impl Write for PipeWriter {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.buffer);
        self.sender.blocking_send(piece.into()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece.map_err(std::io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}
