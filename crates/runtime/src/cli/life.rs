//! `start`, `kill`, `delete`, `pause` and `resume`.

use super::arguments::{Count, Flag, Order, Parsed};
use super::{Failure, Globals, Outcome, Verb};
use crate::{Deletion, Target};

const ONE_CONTAINER: &str = "<container-id>";

pub(super) const START: Verb = Verb {
    name: "start",
    usage: ONE_CONTAINER,
    about: "executes the user defined process in a created container",
    flags: &[],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: |globals, parsed| Ok(crate::start(&globals.root, parsed.word(0)).map(|()| 0)?),
};

pub(super) const KILL: Verb = Verb {
    name: "kill",
    usage: "[command options] <container-id> [signal]",
    about: "kill sends the specified signal (default: SIGTERM) to the container's init process",
    flags: &[Flag::switch(&["all", "a"], "send the signal to all processes inside the container")],
    count: Count::Between(1, 2),
    order: Order::Mixed,
    run: kill,
};

pub(super) const DELETE: Verb = Verb {
    name: "delete",
    usage: "[command options] <container-id>",
    about: "delete any resources held by the container often used with detached container",
    flags: &[Flag::switch(&["force", "f"], "kill the container if it is still running")],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: delete,
};

pub(super) const PAUSE: Verb = Verb {
    name: "pause",
    usage: ONE_CONTAINER,
    about: "pause suspends all processes inside the container",
    flags: &[],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: |globals, parsed| Ok(crate::pause(&globals.root, parsed.word(0)).map(|()| 0)?),
};

pub(super) const RESUME: Verb = Verb {
    name: "resume",
    usage: ONE_CONTAINER,
    about: "resumes all processes that have been previously paused",
    flags: &[],
    count: Count::Exactly(1),
    order: Order::Mixed,
    run: |globals, parsed| Ok(crate::resume(&globals.root, parsed.word(0)).map(|()| 0)?),
};

fn kill(globals: &Globals, parsed: Parsed) -> Outcome {
    let word = if parsed.rest.len() > 1 { parsed.word(1) } else { "SIGTERM" };
    let signal =
        kernel::signal::number(word).ok_or_else(|| Failure::new(format!("unknown signal {word:?}")))?;
    let target = if parsed.has("all") { Target::All } else { Target::Init };
    crate::kill(&globals.root, parsed.word(0), signal, target)?;
    Ok(0)
}

fn delete(globals: &Globals, parsed: Parsed) -> Outcome {
    let deletion = if parsed.has("force") { Deletion::Force } else { Deletion::Stopped };
    crate::delete(&globals.root, parsed.word(0), deletion)?;
    Ok(0)
}
