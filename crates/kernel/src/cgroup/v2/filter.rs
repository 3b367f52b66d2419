//! The device list of version 2: an eBPF program that the kernel asks before each use of a device.
//!
//! The program gets the kind of device and access in one word, then major and minor number. It goes through the
//! exceptions one after the other; the first that fits answers.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;

use super::super::devices::{Exception, Table};
use super::super::error::{Error, Result};
use super::super::file::Node;
use super::super::resources::{Access, DeviceKind};

// Commands, types and flags of bpf(2) (linux/bpf.h).
const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const DEVICE_BLOCK: i32 = 1;
const DEVICE_CHAR: i32 = 2;

// Operation codes (linux/bpf_common.h, linux/bpf.h).
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbc;
const MOVE_NUMBER: u8 = 0xb4;
const AND_NUMBER: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_UNEQUAL: u8 = 0x55;
const JUMP_EQUAL: u8 = 0x15;
const EXIT: u8 = 0x95;

// Registers: the context comes in r1, the answer goes out in r0.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// One instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    number: i32,
}

fn op(code: u8, (target, source): (u8, u8), offset: i16, number: i32) -> Instruction {
    Instruction { code, registers: target | source << 4, offset, number }
}

/// The program of a table.
fn compile(table: &Table) -> Vec<Instruction> {
    let mut program = vec![
        op(LOAD_WORD, (KIND, CONTEXT), 0, 0),
        op(MOVE, (ACCESS, KIND), 0, 0),
        op(AND_NUMBER, (KIND, 0), 0, 0xffff),
        op(SHIFT_RIGHT, (ACCESS, 0), 0, 16),
        op(LOAD_WORD, (MAJOR, CONTEXT), 4, 0),
        op(LOAD_WORD, (MINOR, CONTEXT), 8, 0),
    ];
    for exception in &table.exceptions {
        program.extend(block(exception, table.allow));
    }
    program.extend([op(MOVE_NUMBER, (ANSWER, 0), 0, i32::from(table.allow)), op(EXIT, (0, 0), 0, 0)]);
    program
}

/// Answers contrary to the default if the exception fits, else falls through.
///
/// An allowing exception fits when it has all of the access asked for, a denying one when it has any.
fn block(exception: &Exception, default_allow: bool) -> Vec<Instruction> {
    let mut tests: Vec<Vec<Instruction>> = Vec::new();
    let unequal = |register, number| vec![op(JUMP_UNEQUAL, (register, 0), 0, number)];
    match exception.kind {
        DeviceKind::All => {}
        DeviceKind::Block => tests.push(unequal(KIND, DEVICE_BLOCK)),
        DeviceKind::Char => tests.push(unequal(KIND, DEVICE_CHAR)),
    }
    if exception.access != Access::ALL {
        let (mask, jump) = match default_allow {
            false => (!exception.access.0 & Access::ALL.0, JUMP_UNEQUAL),
            true => (exception.access.0, JUMP_EQUAL),
        };
        tests.push(vec![
            op(MOVE, (CONTEXT, ACCESS), 0, 0),
            op(AND_NUMBER, (CONTEXT, 0), 0, i32::from(mask)),
            op(jump, (CONTEXT, 0), 0, 0),
        ]);
    }
    for (register, number) in [(MAJOR, exception.major), (MINOR, exception.minor)] {
        if let Some(number) = number {
            tests.push(unequal(register, number.cast_signed()));
        }
    }
    let mut block = tests.concat();
    block.extend([op(MOVE_NUMBER, (ANSWER, 0), 0, i32::from(!default_allow)), op(EXIT, (0, 0), 0, 0)]);
    let end = block.len();
    for (at, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.code, JUMP_UNEQUAL | JUMP_EQUAL) {
            instruction.offset = (end - at - 1) as i16;
        }
    }
    block
}

/// Replaces the group's device programs by that of the table.
pub(in super::super) fn attach(node: &Node, table: &Table) -> Result<()> {
    let error = |step: &str, e: io::Error| Error::io(step, node.full(), e);
    let dir = node.open(".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(|e| error("open", e))?;
    let program = load(&compile(table)).map_err(|e| error("load the device filter of", e))?;
    let old = attached(&dir).map_err(|e| error("query the device filters of", e))?;
    let target = [dir.as_raw_fd() as u32, program.as_raw_fd() as u32, ATTACH_CGROUP_DEVICE, ALLOW_MULTI];
    bpf(PROG_ATTACH, &mut words(&target)).map_err(|e| error("attach the device filter to", e))?;
    for program in old {
        let target = [dir.as_raw_fd() as u32, program.as_raw_fd() as u32, ATTACH_CGROUP_DEVICE];
        bpf(PROG_DETACH, &mut words(&target)).map_err(|e| error("detach a device filter from", e))?;
    }
    Ok(())
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    // prog_type, insn_cnt, insns, license; what follows may be zero.
    let mut attributes = words(&[PROG_TYPE_CGROUP_DEVICE, program.len() as u32]);
    attributes[1] = program.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    own(bpf(PROG_LOAD, &mut attributes)?)
}

/// The programs attached to a group.
fn attached(dir: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; 64];
    // target_fd, attach_type, query_flags, attach_flags, prog_ids, prog_cnt
    let mut attributes = words(&[dir.as_raw_fd() as u32, ATTACH_CGROUP_DEVICE]);
    attributes[2] = ids.as_mut_ptr() as u64;
    attributes[3] = ids.len() as u64;
    bpf(PROG_QUERY, &mut attributes)?;
    let count = (attributes[3] & 0xffff_ffff) as usize;
    ids.iter().take(count).map(|id| own(bpf(PROG_GET_FD_BY_ID, &mut words(&[*id]))?)).collect()
}

/// The attributes of bpf(2): 32-bit words in memory order, then zeros.
fn words(values: &[u32]) -> [u64; 16] {
    let mut attributes = [0; 16];
    for (at, value) in values.iter().enumerate() {
        let shift = if cfg!(target_endian = "little") == (at % 2 == 0) { 0 } else { 32 };
        attributes[at / 2] |= u64::from(*value) << shift;
    }
    attributes
}

fn own(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fd` was just returned by bpf(2) as a new descriptor and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: i32, attributes: &mut [u64; 16]) -> io::Result<RawFd> {
    // SAFETY: `attributes` is valid for reading and writing for its whole length, and every address in it points to
    // memory that its owner keeps alive beyond this call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on one request.
    fn run(program: &[Instruction], kind: u32, access: u32, (major, minor): (u32, u32)) -> bool {
        let context = [kind | access << 16, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let i = program[at];
            let (target, source) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            at += 1;
            match i.code {
                LOAD_WORD => registers[target] = u64::from(context[i.offset as usize / 4]),
                MOVE => registers[target] = registers[source] & 0xffff_ffff,
                MOVE_NUMBER => registers[target] = i.number as u64,
                AND_NUMBER => registers[target] &= i.number as u64,
                SHIFT_RIGHT => registers[target] >>= i.number,
                JUMP_UNEQUAL if registers[target] != i.number as u64 => at += i.offset as usize,
                JUMP_EQUAL if registers[target] == i.number as u64 => at += i.offset as usize,
                JUMP_UNEQUAL | JUMP_EQUAL => {}
                EXIT => return registers[0] != 0,
                other => panic!("code {other:#x}"),
            }
        }
    }

    #[test]
    fn programs_answer_like_their_tables() {
        let exception = |kind, major, minor, access: &str| Exception {
            kind,
            major,
            minor,
            access: Access::parse(access).unwrap(),
        };
        let (block, char) = (1, 2);
        let (mknod, read, write) = (1, 2, 4);
        let deny = Table {
            allow: false,
            exceptions: vec![
                exception(DeviceKind::Char, None, None, "m"),
                exception(DeviceKind::Char, Some(1), Some(3), "rwm"),
                exception(DeviceKind::Char, Some(136), None, "rw"),
                exception(DeviceKind::Block, Some(8), Some(0), "r"),
            ],
        };
        let allow = Table { allow: true, exceptions: vec![exception(DeviceKind::Block, Some(8), None, "w")] };
        let table = [
            (&deny, char, mknod, (7, 7), true),
            (&deny, block, mknod, (7, 7), false),
            (&deny, char, read | write, (1, 3), true),
            (&deny, char, read, (1, 5), false),
            (&deny, char, read | write, (136, 9), true),
            (&deny, char, read | mknod, (136, 9), false),
            (&deny, block, read, (8, 0), true),
            (&deny, block, read | write, (8, 0), false),
            (&deny, block, read, (8, 1), false),
            (&allow, block, read, (8, 1), true),
            (&allow, block, read | write, (8, 1), false),
            (&allow, char, write, (8, 1), true),
        ];
        for (rules, kind, access, device, expected) in table {
            assert_eq!(run(&compile(rules), kind, access, device), expected, "{kind} {access} {device:?}");
        }
    }
}
