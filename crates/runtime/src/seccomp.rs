//! System call filters: an OCI profile compiled to a classic BPF program.
//!
//! The program looks at the architecture, then finds the call's number by halving a sorted list of ranges (a profile of
//! 350 calls costs about eight comparisons), then compares arguments where rules have conditions.
//!
//! Which rule answers follows libseccomp, as profiles were written against it: a rule without conditions, or with
//! fewer of the same, takes the place of the others whatever their order; of equal rules the first counts; of
//! different conditions those on later arguments come first, then equality before ranges, then narrow ranges. Names this table does not
//! know are skipped. Like with runc, a call newer than every call the profile names fails with `ENOSYS` instead of the
//! default action, so that programs fall back to older calls.
//!
//! Not here: big-endian machines and architectures other than x86 and arm.

mod assembler;
mod calls;
mod rules;
mod words;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci::runtime::{ContainerProcessState, LinuxSeccomp};

use crate::{Error, Result};
use assembler::Assembler;
use words::Native;
pub use words::{ACTIONS, ARCHITECTURES, FLAGS, OPERATORS};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The kernel's limit of instructions.
const MOST_INSTRUCTIONS: usize = 4096;

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    code: Vec<u8>,
    flags: u32,
}

impl Program {
    /// The instructions, as `struct sock_filter` in memory.
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// `SECCOMP_FILTER_FLAG_…` to load it with.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether loading it gives a notification descriptor, which [`send_listener`] hands on.
    pub fn wants_listener(&self) -> bool {
        self.flags & words::NEW_LISTENER != 0
    }

    /// Loads it for the calling thread.
    pub fn load(&self) -> Result<Option<OwnedFd>> {
        kernel::seccomp::load(&self.code, self.flags)
            .map_err(|e| Error::unknown(e.to_string()).during("unable to init seccomp"))
    }
}

/// Compiles a profile for this machine.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program> {
    compile_for(Native::THIS, profile)
}

fn compile_for(native: Native, profile: &LinuxSeccomp) -> Result<Program> {
    let filter = rules::read(native, profile)?;
    let mut assembler = Assembler::default();
    let mut next = assembler.answer(words::KILL_THREAD);
    for (architecture, ranges) in filter.architectures.iter().rev() {
        let tree = assembler.tree(ranges, filter.default);
        let found = assembler.load(NUMBER, tree);
        next = assembler.jump(assembler::EQUAL, *architecture, (found, next));
    }
    assembler.load(ARCHITECTURE, next);
    let code = assembler.finish();
    if code.len() > MOST_INSTRUCTIONS * 8 {
        return Err(Error::invalid(format!("seccomp profile needs {} instructions", code.len() / 8)));
    }
    Ok(Program { code, flags: words::flags(profile, filter.notifies)? })
}

/// Hands a notification descriptor with the state of its container to the profile's listener.
pub fn send_listener(path: &Path, state: &ContainerProcessState, descriptor: impl AsFd) -> Result<()> {
    let failed = |e: String| Error::unknown(e).during(format!("send seccomp fd to {}", path.display()));
    let message = serde_json::to_vec(state).map_err(|e| failed(e.to_string()))?;
    let socket = kernel::socket::connect(path).map_err(|e| failed(e.to_string()))?;
    kernel::socket::send(&socket, &message, &[descriptor.as_fd()]).map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests;
