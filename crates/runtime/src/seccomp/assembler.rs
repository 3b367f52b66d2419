//! Writes the program from its end: every jump goes forward, so its targets are there already.
//!
//! A place is counted from the end. Conditional jumps reach 255 instructions; beyond that they go through an unconditional one.

use super::rules::{Condition, Outcome, Range, Rule};
use super::words::Operator;

// Operation codes (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
pub(super) const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offset of the arguments in `struct seccomp_data`; each has 8 bytes, the lower half first.
const ARGUMENTS: u32 = 16;
/// How far a conditional jump reaches.
const REACH: usize = 255;

/// A place in the program, counted from its end.
type Place = usize;

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u16,
    yes: u8,
    no: u8,
    number: u32,
}

/// The program so far, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    answers: Vec<(u32, Place)>,
}

impl Assembler {
    /// The bytes of the program in its right order.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.code.len() * 8);
        for instruction in self.code.iter().rev() {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.yes, instruction.no]);
            bytes.extend(instruction.number.to_ne_bytes());
        }
        bytes
    }

    /// A place that ends with this answer; one nearby is used again.
    pub fn answer(&mut self, answer: u32) -> Place {
        let near = self.answers.iter().rev().find(|(known, _)| *known == answer);
        if let Some((_, place)) = near
            && self.distance(*place) < REACH
        {
            return *place;
        }
        let place = self.push(Instruction { code: RETURN, yes: 0, no: 0, number: answer });
        self.answers.push((answer, place));
        place
    }

    /// Loads a word of the call's data and goes on at `next`.
    pub fn load(&mut self, offset: u32, next: Place) -> Place {
        self.then(Instruction { code: LOAD_WORD, yes: 0, no: 0, number: offset }, next)
    }

    /// Compares the loaded word.
    pub fn jump(&mut self, code: u16, number: u32, (mut yes, mut no): (Place, Place)) -> Place {
        loop {
            if self.distance(yes) > REACH {
                yes = self.far(yes);
            } else if self.distance(no) > REACH {
                no = self.far(no);
            } else {
                break;
            }
        }
        let (yes, no) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.push(Instruction { code, yes, no, number })
    }

    /// Finds the range of the loaded number.
    pub fn tree(&mut self, ranges: &[Range], default: u32) -> Place {
        match ranges {
            [] => self.answer(default),
            [only] => self.outcome(&only.outcome, default),
            _ => {
                let (left, right) = ranges.split_at(ranges.len() / 2);
                let yes = self.tree(right, default);
                let no = self.tree(left, default);
                self.jump(GREATER_OR_EQUAL, right[0].start, (yes, no))
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome, default: u32) -> Place {
        match outcome {
            Outcome::Answer(answer) => self.answer(*answer),
            Outcome::Rules(rules) => {
                let last = self.answer(default);
                rules.iter().rev().fold(last, |next, rule| self.rule(rule, next))
            }
        }
    }

    fn rule(&mut self, rule: &Rule, no: Place) -> Place {
        let yes = self.answer(rule.answer);
        rule.conditions.iter().rev().fold(yes, |yes, condition| self.condition(condition, (yes, no)))
    }

    fn condition(&mut self, condition: &Condition, (yes, no): (Place, Place)) -> Place {
        match condition.operator {
            Operator::Equal | Operator::MaskedEqual => self.equal(condition, (yes, no)),
            Operator::NotEqual => self.equal(condition, (no, yes)),
            Operator::Greater => self.order(condition, GREATER, (yes, no)),
            Operator::LessOrEqual => self.order(condition, GREATER, (no, yes)),
            Operator::GreaterOrEqual => self.order(condition, GREATER_OR_EQUAL, (yes, no)),
            Operator::Less => self.order(condition, GREATER_OR_EQUAL, (no, yes)),
        }
    }

    fn equal(&mut self, condition: &Condition, (yes, no): (Place, Place)) -> Place {
        let (low, high) = offsets(condition);
        let next = self.equal_half((low, condition.mask as u32), condition.value as u32, (yes, no));
        if !condition.wide {
            return next;
        }
        self.equal_half((high, (condition.mask >> 32) as u32), (condition.value >> 32) as u32, (next, no))
    }

    fn equal_half(&mut self, (offset, mask): (u32, u32), value: u32, to: (Place, Place)) -> Place {
        let jump = self.jump(EQUAL, value, to);
        let masked = match mask {
            u32::MAX => jump,
            mask => self.then(Instruction { code: AND, yes: 0, no: 0, number: mask }, jump),
        };
        self.load(offset, masked)
    }

    /// Greater, or greater or equal: the upper halves decide unless they are the same.
    fn order(&mut self, condition: &Condition, code: u16, (yes, no): (Place, Place)) -> Place {
        let (low, high) = offsets(condition);
        let lower = self.jump(code, condition.value as u32, (yes, no));
        let lower = self.load(low, lower);
        if !condition.wide {
            return lower;
        }
        let value = (condition.value >> 32) as u32;
        let same = self.jump(EQUAL, value, (lower, no));
        let upper = self.jump(GREATER, value, (yes, same));
        self.load(high, upper)
    }

    /// An instruction that always goes on at `next`.
    fn then(&mut self, instruction: Instruction, next: Place) -> Place {
        if self.distance(next) != 0 {
            self.far(next);
        }
        self.push(instruction)
    }

    fn far(&mut self, target: Place) -> Place {
        let number = self.distance(target) as u32;
        self.push(Instruction { code: JUMP, yes: 0, no: 0, number })
    }

    /// What an instruction pushed now would have to jump over.
    fn distance(&self, target: Place) -> usize {
        self.code.len() - 1 - target
    }

    fn push(&mut self, instruction: Instruction) -> Place {
        self.code.push(instruction);
        self.code.len() - 1
    }
}

/// Offsets of the lower and upper half of the argument.
fn offsets(condition: &Condition) -> (u32, u32) {
    let low = ARGUMENTS + 8 * condition.index;
    (low, low + 4)
}
