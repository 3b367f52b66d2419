//! From a profile to one list of number ranges per architecture.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use oci::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};

use super::calls::CALLS;
use super::words::{self, Architecture, Native, Operator};
use crate::{Error, Result};

/// Set in the number of an x32 call.
const X32_BIT: u32 = 0x4000_0000;
/// The number a tracer sets to skip a call.
const SKIPPED: u32 = u32::MAX;
/// i386 calls that are also, or only, reached through `socketcall` with this first argument (linux/net.h).
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
/// The same for `ipc` (linux/ipc.h).
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A profile made ready for the assembler.
#[derive(Debug)]
pub(super) struct Filter {
    /// Answer where no rule fits.
    pub default: u32,
    /// Kernel's number of the architecture, and ranges from 0 up, each to the start of the next.
    pub architectures: Vec<(u32, Vec<Range>)>,
    /// Whether a listener will be asked.
    pub notifies: bool,
}

/// Numbers from `start` on get `outcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u32,
    pub outcome: Outcome,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Always the same.
    Answer(u32),
    /// The first rule whose conditions hold; the default without one.
    Rules(Vec<Rule>),
}

/// Conditions that must all hold, and the answer then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub conditions: Vec<Condition>,
    pub answer: u32,
}

/// A test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Argument, 0 to 5.
    pub index: u32,
    pub operator: Operator,
    /// What the argument is compared with.
    pub value: u64,
    /// Bits of the argument that count; all but for [`Operator::MaskedEqual`].
    pub mask: u64,
    /// Whether the upper half counts.
    pub wide: bool,
}

/// Rules by number of call.
type Numbers = BTreeMap<u32, Vec<Rule>>;

/// Reads a profile for a machine.
pub(super) fn read(native: Native, profile: &LinuxSeccomp) -> Result<Filter> {
    let default = words::action(&profile.default_action, profile.default_errno_ret)?;
    let notifies = check_listener(profile)?;
    let unknown = match words::suits_the_unknown(default) || default == words::NO_SUCH_CALL {
        true => None,
        false => Some(words::NO_SUCH_CALL),
    };
    let mut listed = vec![native.own()];
    for name in &profile.architectures {
        listed.extend(native.architecture(name)?.filter(|a| !listed.contains(a)));
    }
    let mut architectures = Vec::new();
    for &architecture in listed.iter().filter(|a| **a != Architecture::X32) {
        let mut ranges = ranges(&numbers(profile, architecture, default)?, 0, (default, unknown));
        if architecture == Architecture::X86_64 {
            match listed.contains(&Architecture::X32) {
                true => {
                    let numbers = numbers(profile, Architecture::X32, default)?;
                    ranges.extend(self::ranges(&numbers, X32_BIT, (default, unknown)));
                }
                false => ranges.extend(without_x32((default, unknown))),
            }
        }
        ranges.dedup_by(|next, last| next.outcome == last.outcome);
        architectures.push((architecture.audit(), ranges));
    }
    Ok(Filter { default, architectures, notifies })
}

/// x32 programs are none of this filter's architectures: they are killed, unless newer calls fail more gently.
fn without_x32((default, unknown): (u32, Option<u32>)) -> [Range; 2] {
    let range = |start, answer| Range { start, outcome: Outcome::Answer(answer) };
    [range(X32_BIT, unknown.unwrap_or(words::KILL_THREAD)), range(SKIPPED, unknown.unwrap_or(default))]
}

/// Refuses what can never work: nobody would be there to answer.
fn check_listener(profile: &LinuxSeccomp) -> Result<bool> {
    let notify = "SCMP_ACT_NOTIFY";
    if profile.default_action == notify {
        return Err(Error::invalid("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    let mut notifying = profile.syscalls.iter().filter(|call| call.action == notify).peekable();
    let notifies = notifying.peek().is_some();
    if notifying.any(|call| call.names.iter().any(|name| name == "write")) {
        return Err(Error::invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
    }
    if notifies && profile.listener_path.is_empty() {
        return Err(Error::invalid("seccomp listenerPath is not set"));
    }
    if !profile.listener_metadata.is_empty() && profile.listener_path.is_empty() {
        return Err(Error::invalid("seccomp listenerMetadata is set but listenerPath is not"));
    }
    Ok(notifies)
}

/// The rules of one architecture.
fn numbers(profile: &LinuxSeccomp, architecture: Architecture, default: u32) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    for call in &profile.syscalls {
        let answer = words::action(&call.action, call.errno_ret)?;
        let alternatives = alternatives(call, architecture)?;
        if answer == default {
            continue;
        }
        for name in &call.names {
            if let Some(number) = number(name, architecture) {
                let rules = alternatives.iter().map(|c| Rule { conditions: c.clone(), answer });
                numbers.entry(number).or_default().extend(rules);
            }
            if let (Architecture::X86, true, Some((number, rule))) =
                (architecture, call.args.is_empty(), multiplexed(name, answer))
            {
                numbers.entry(number).or_default().push(rule);
            }
        }
    }
    for rules in numbers.values_mut() {
        arrange(rules);
    }
    Ok(numbers)
}

fn number(name: &str, architecture: Architecture) -> Option<u32> {
    let at = CALLS.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(CALLS[at].1[architecture.column()]).filter(|number| *number != u32::MAX)
}

/// The i386 call that carries this one, by its first argument.
fn multiplexed(name: &str, answer: u32) -> Option<(u32, Rule)> {
    let socketcall = || {
        let at = SOCKETCALL.iter().position(|known| *known == name)?;
        Some(("socketcall", at as u64 + 1))
    };
    let ipc = || IPC.iter().find(|(known, _)| *known == name).map(|(_, value)| ("ipc", *value));
    let (carrier, value) = socketcall().or_else(ipc)?;
    let condition = Condition { index: 0, operator: Operator::Equal, value, mask: u64::MAX, wide: false };
    Some((number(carrier, Architecture::X86)?, Rule { conditions: vec![condition], answer }))
}

/// Sets of conditions, one of which must hold. Conditions on the same argument are alternatives, else all go together.
fn alternatives(call: &LinuxSyscall, architecture: Architecture) -> Result<Vec<Vec<Condition>>> {
    let conditions: Vec<Condition> =
        call.args.iter().map(|arg| condition(arg, architecture)).collect::<Result<_>>()?;
    let repeated = |(at, one): (usize, &Condition)| conditions[..at].iter().any(|c| c.index == one.index);
    if conditions.iter().enumerate().any(repeated) {
        return Ok(conditions.into_iter().map(|condition| vec![condition]).collect());
    }
    Ok(vec![conditions])
}

fn condition(arg: &LinuxSeccompArg, architecture: Architecture) -> Result<Condition> {
    if arg.index > 5 {
        return Err(Error::invalid(format!("seccomp argument index {} is out of range", arg.index)));
    }
    let operator = words::operator(&arg.op)?;
    let (mask, value) = match operator {
        Operator::MaskedEqual => (arg.value, arg.value_two & arg.value),
        _ => (u64::MAX, arg.value),
    };
    Ok(Condition { index: arg.index, operator, value, mask, wide: architecture.is_wide() })
}

/// Drops rules that another one with fewer conditions covers, and puts the rest into the order they are asked in.
fn arrange(rules: &mut Vec<Rule>) {
    let covers = |small: &Rule, large: &Rule| small.conditions.iter().all(|c| large.conditions.contains(c));
    let all = std::mem::take(rules);
    for (at, rule) in all.iter().enumerate() {
        let covered = all.iter().enumerate().any(|(other, small)| {
            let fewer = small.conditions.len() < rule.conditions.len();
            covers(small, rule) && (fewer || other < at && covers(rule, small))
        });
        if !covered {
            rules.push(rule.clone());
        }
    }
    rules.sort_by_key(|rule| {
        let first = rule.conditions.first();
        let place = first.map(|c| match c.operator {
            Operator::LessOrEqual | Operator::Less => (c.operator, c.value),
            Operator::GreaterOrEqual | Operator::Greater => (c.operator, u64::MAX - c.value),
            operator => (operator, 0),
        });
        (Reverse(rule.conditions.len()), Reverse(first.map(|c| c.index)), place)
    });
}

/// Ranges from `bit` on for numbers below it, with what lies between and above.
fn ranges(numbers: &Numbers, bit: u32, (default, unknown): (u32, Option<u32>)) -> Vec<Range> {
    let mut ranges = vec![Range { start: bit, outcome: Outcome::Answer(default) }];
    let last = numbers.keys().next_back().copied();
    let mut push = |start: u32, outcome: Outcome| match ranges.last_mut() {
        Some(last) if last.start == start => last.outcome = outcome,
        _ => ranges.push(Range { start, outcome }),
    };
    for (number, rules) in numbers {
        let outcome = match rules.as_slice() {
            [Rule { conditions, answer }] if conditions.is_empty() => Outcome::Answer(*answer),
            rules => Outcome::Rules(rules.to_vec()),
        };
        push(bit + number, outcome);
        let after = if last == Some(*number) { unknown.unwrap_or(default) } else { default };
        push(bit + number + 1, Outcome::Answer(after));
    }
    ranges.dedup_by(|next, last| next.outcome == last.outcome);
    ranges
}
