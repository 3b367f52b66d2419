//! A pump moves bytes from one descriptor to another, neither of which ever makes the loop wait.
//!
//! Between two pipes the kernel moves them (splice); otherwise at most one buffer's worth is held while the sink is
//! full, and nothing is read meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use crate::log;

/// Bytes moved at once through memory.
const BUFFER_BYTES: usize = 4 << 10;

/// Bytes moved at once by the kernel.
const SPLICE_BYTES: usize = 64 << 10;

/// Rounds before other descriptors get their turn.
const ROUNDS: usize = 16;

/// What a pump waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Bytes from the source.
    Source,
    /// Room in the sink.
    Sink,
    /// Nothing: the source has ended or one of the two is broken.
    Ended,
}

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read and write.
    Copy,
    /// Read, and append to a file. While that takes nothing the bytes are lost: a full disk ends no process.
    Append,
    /// splice(2); both ends are pipes.
    Splice,
}

impl Method {
    /// How bytes get from anywhere to `sink`.
    pub fn to(sink: impl AsFd) -> Self {
        let found = rustix::fs::fstat(sink).map(|found| FileType::from_raw_mode(found.st_mode));
        if matches!(found, Ok(FileType::Fifo | FileType::Socket) | Err(_)) {
            Self::Copy
        } else {
            Self::Append
        }
    }
}

/// One direction between two non-blocking descriptors.
#[derive(Debug)]
pub struct Pump {
    source: OwnedFd,
    sink: OwnedFd,
    method: Method,
    held: Vec<u8>,
    /// Bytes were lost.
    lossy: bool,
}

impl Pump {
    /// A pump between two descriptors, which should not block.
    pub fn new(source: OwnedFd, sink: OwnedFd, method: Method) -> Self {
        Self { source, sink, method, held: Vec::new(), lossy: false }
    }

    /// The descriptor bytes come from.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// The descriptor bytes go to.
    pub fn sink(&self) -> BorrowedFd<'_> {
        self.sink.as_fd()
    }

    /// Moves what can be moved now and tells what to wait for.
    pub fn run(&mut self) -> Waiting {
        for _ in 0..ROUNDS {
            let moved = match self.method {
                Method::Copy | Method::Append => self.copy(),
                Method::Splice => self.splice(),
            };
            if let Err(waiting) = moved {
                return waiting;
            }
        }
        if self.held.is_empty() { Waiting::Source } else { Waiting::Sink }
    }

    fn copy(&mut self) -> Result<(), Waiting> {
        if !self.held.is_empty() {
            self.write_held()?;
        }
        let mut buffer = [0; BUFFER_BYTES];
        let count = match rustix::io::read(&self.source, &mut buffer) {
            Ok(0) => return Err(Waiting::Ended),
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(()),
            Err(Errno::AGAIN) => return Err(Waiting::Source),
            // A terminal without programs answers EIO: its way to say that it has ended.
            Err(_) => return Err(Waiting::Ended),
        };
        let mut left = &buffer[..count];
        while !left.is_empty() {
            match rustix::io::write(&self.sink, left) {
                Ok(written) => left = &left[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.held = left.to_vec();
                    return Err(Waiting::Sink);
                }
                Err(error) if self.method == Method::Append => {
                    self.lose(error);
                    return Ok(());
                }
                Err(_) => return Err(Waiting::Ended),
            }
        }
        Ok(())
    }

    /// What was read is lost; what comes next is tried again.
    fn lose(&mut self, error: Errno) {
        if !self.lossy {
            self.lossy = true;
            log::warn(&format!(
                "output is lost while its file cannot be written: {}",
                kernel::strerror(error)
            ));
        }
    }

    fn write_held(&mut self) -> Result<(), Waiting> {
        while !self.held.is_empty() {
            match rustix::io::write(&self.sink, &self.held) {
                Ok(written) => drop(self.held.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(Waiting::Sink),
                Err(_) => return Err(Waiting::Ended),
            }
        }
        self.held = Vec::new();
        Ok(())
    }

    fn splice(&mut self) -> Result<(), Waiting> {
        match splice(&self.source, None, &self.sink, None, SPLICE_BYTES, SpliceFlags::NONBLOCK) {
            Ok(0) => Err(Waiting::Ended),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(Errno::AGAIN) => Err(self.blocked_side()),
            Err(_) => Err(Waiting::Ended),
        }
    }

    /// The kernel does not tell which side could not go on: an empty source, or else a full sink.
    fn blocked_side(&self) -> Waiting {
        match rustix::io::ioctl_fionread(&self.source) {
            Ok(0) | Err(_) => Waiting::Source,
            Ok(_) => Waiting::Sink,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("pipe")
    }

    fn fill(fd: &OwnedFd) -> usize {
        let mut total = 0;
        while let Ok(n) = rustix::io::write(fd, &[b'x'; 4096]) {
            total += n;
        }
        total
    }

    fn drain(fd: &OwnedFd) -> usize {
        let mut total = 0;
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = rustix::io::read(fd, &mut buffer) {
            total += n;
        }
        total
    }

    #[test]
    fn moves_waits_for_room_and_ends() {
        for method in [Method::Copy, Method::Splice] {
            let (source, writer) = pipe();
            let (reader, sink) = pipe();
            let mut pump = Pump::new(source, sink, method);
            assert_eq!(pump.run(), Waiting::Source);
            let filled = fill(&writer);
            assert_eq!(pump.run(), Waiting::Source, "{method:?}: room for one pipe's worth");
            let more = fill(&writer);
            assert_eq!(pump.run(), Waiting::Sink, "{method:?}");
            assert_eq!(pump.run(), Waiting::Sink, "{method:?}: and again");
            let mut seen = drain(&reader);
            drop(writer);
            loop {
                let waiting = pump.run();
                seen += drain(&reader);
                if waiting == Waiting::Ended {
                    break;
                }
            }
            assert_eq!(seen, filled + more, "{method:?}");
        }
    }

    #[test]
    fn a_file_that_takes_nothing_does_not_end_it() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("open");
        let (source, writer) = pipe();
        fill(&writer);
        assert_eq!((Method::to(&full), Method::to(&source)), (Method::Append, Method::Copy));
        let mut pump = Pump::new(source, full.into(), Method::Append);
        assert_eq!(pump.run(), Waiting::Source);
        assert_ne!(fill(&writer), 0, "there is room again");
        drop(writer);
        while pump.run() != Waiting::Ended {}
    }

    #[test]
    fn a_broken_sink_ends_it() {
        let (source, writer) = pipe();
        let (reader, sink) = pipe();
        drop(reader);
        fill(&writer);
        assert_eq!(Pump::new(source, sink, Method::Copy).run(), Waiting::Ended);
    }
}
