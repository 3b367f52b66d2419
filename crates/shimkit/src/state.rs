//! The life of a process in a container: which requests may run when, and what follows what.
//!
//! ```text
//!            Started            Exited
//!  Created ───────────► Running ───────► Stopped ──Deleted──► Deleted
//!     │ │                │    ▲             ▲ ▲
//!     │ │    PauseBegun  ▼    │ Resumed     │ │
//!     │ │              Pausing│             │ │
//!     │ │    Paused      │    │      Exited │ │
//!     │ │                ▼    │             │ │
//!     │ │              Paused ┴─────────────┘ │
//!     │ └──────────────Exited─────────────────┘
//!     └────────────────────────Deleted──────────────────────► Deleted
//! ```
//!
//! From Pausing, `Resumed` (the pause failed) leads back to Running and `Exited` to Stopped. Added processes (exec)
//! live the same life without the pauses. The texts of the refusals are what clients show.

use model::Error;

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Set up; its program does not run yet. For an exec: recorded, nothing set up.
    Created,
    /// Its program runs.
    Running,
    /// Being frozen.
    Pausing,
    /// Frozen.
    Paused,
    /// It has exited.
    Stopped,
    /// Removed.
    Deleted,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its program was started.
    Started,
    /// A pause is under way.
    PauseBegun,
    /// It is frozen.
    Paused,
    /// It is thawed, or the pause failed.
    Resumed,
    /// It exited.
    Exited,
    /// It was removed.
    Deleted,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Run the program.
    Start,
    /// Remove.
    Delete,
    /// Send a signal to one process.
    Kill,
    /// Send a signal to all of the container's processes.
    KillAll,
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Add a process.
    Exec,
    /// Change limits.
    Update,
    /// Dump.
    Checkpoint,
    /// Change the terminal's size.
    Resize,
}

/// Why a request may not run, or an event cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    text: String,
    absent: bool,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        if refused.absent { Error::not_found(refused.text) } else { Error::unknown(refused.text) }
    }
}

impl State {
    /// What the state is after `event`. An event that cannot happen in the state is refused.
    pub fn next(self, event: Event) -> Result<Self, Refused> {
        use State::{Created, Deleted, Paused, Pausing, Running, Stopped};
        match (self, event) {
            (Created, Event::Started) => Ok(Running),
            (Running, Event::PauseBegun) => Ok(Pausing),
            (Pausing, Event::Paused) => Ok(Paused),
            (Pausing | Paused, Event::Resumed) => Ok(Running),
            (Created | Running | Pausing | Paused, Event::Exited) => Ok(Stopped),
            (Created | Stopped, Event::Deleted) => Ok(Deleted),
            (
                Created | Running | Pausing | Paused | Stopped | Deleted,
                Event::Started
                | Event::PauseBegun
                | Event::Paused
                | Event::Resumed
                | Event::Exited
                | Event::Deleted,
            ) => Err(refuse(format!("invalid state transition {self:?} by {event:?}"))),
        }
    }

    /// Whether `verb` may run on a container's first process in this state.
    pub fn admit_init(self, verb: Verb) -> Result<(), Refused> {
        match (self, verb) {
            (State::Created, Verb::Pause) => Err(refuse("cannot pause task in created state")),
            (State::Created, Verb::Resume) => Err(refuse("cannot resume task in created state")),
            (State::Created, Verb::Checkpoint) => Err(refuse("cannot checkpoint a task in created state")),
            (
                State::Created,
                Verb::Start
                | Verb::Delete
                | Verb::Kill
                | Verb::KillAll
                | Verb::Exec
                | Verb::Update
                | Verb::Resize,
            ) => Ok(()),

            (State::Pausing, Verb::Pause) => Err(refuse("cannot pause a paused container")),
            (State::Running | State::Pausing, Verb::Start) => Err(refuse("cannot start a running process")),
            (State::Running | State::Pausing, Verb::Delete) => Err(refuse("cannot delete a running process")),
            (State::Running | State::Pausing, Verb::Resume) => Err(refuse("cannot resume a running process")),
            (
                State::Running | State::Pausing,
                Verb::Kill
                | Verb::KillAll
                | Verb::Pause
                | Verb::Exec
                | Verb::Update
                | Verb::Checkpoint
                | Verb::Resize,
            ) => Ok(()),

            (State::Paused, Verb::Start) => Err(refuse("cannot start a paused process")),
            (State::Paused, Verb::Delete) => Err(refuse("cannot delete a paused process")),
            (State::Paused, Verb::Pause) => Err(refuse("cannot pause a paused container")),
            (State::Paused, Verb::Exec) => Err(refuse("cannot exec in a paused state")),
            (
                State::Paused,
                Verb::Kill | Verb::KillAll | Verb::Resume | Verb::Update | Verb::Checkpoint | Verb::Resize,
            ) => Ok(()),

            (State::Stopped, verb) => stopped_init(verb),
            (State::Deleted, verb) => Err(deleted(verb)),
        }
    }

    /// Whether `verb` may run on an added process in this state. Verbs that concern the container as a whole are
    /// refused; nobody asks.
    pub fn admit_exec(self, verb: Verb) -> Result<(), Refused> {
        match (self, verb) {
            (State::Created, Verb::Start | Verb::Delete | Verb::Resize) => Ok(()),
            (State::Created, Verb::Kill) => Ok(()),
            (State::Running | State::Pausing | State::Paused, Verb::Start) => {
                Err(refuse("cannot start a running process"))
            }
            (State::Running | State::Pausing | State::Paused, Verb::Delete) => {
                Err(refuse("cannot delete a running process"))
            }
            (State::Running | State::Pausing | State::Paused, Verb::Kill | Verb::Resize) => Ok(()),
            (State::Stopped, Verb::Start) => Err(refuse("cannot start a stopped process")),
            (State::Stopped, Verb::Resize) => Err(refuse("cannot resize a stopped container")),
            (State::Stopped, Verb::Kill) => Err(absent("process already finished")),
            (State::Stopped, Verb::Delete) => Ok(()),
            (State::Deleted, verb) => Err(deleted(verb)),
            (
                State::Created | State::Running | State::Pausing | State::Paused | State::Stopped,
                Verb::KillAll | Verb::Pause | Verb::Resume | Verb::Exec | Verb::Update | Verb::Checkpoint,
            ) => Err(refuse(format!("cannot {} an exec process", word(verb)))),
        }
    }
}

fn stopped_init(verb: Verb) -> Result<(), Refused> {
    match verb {
        Verb::Start => Err(refuse("cannot start a stopped process")),
        Verb::Pause => Err(refuse("cannot pause a stopped container")),
        Verb::Resume => Err(refuse("cannot resume a stopped container")),
        Verb::Exec => Err(refuse("cannot exec in a stopped state")),
        Verb::Update => Err(refuse("cannot update a stopped container")),
        Verb::Checkpoint => Err(refuse("cannot checkpoint a stopped container")),
        Verb::Resize => Err(refuse("cannot resize a stopped container")),
        Verb::Kill => Err(absent("process already finished")),
        Verb::Delete | Verb::KillAll => Ok(()),
    }
}

fn deleted(verb: Verb) -> Refused {
    match verb {
        Verb::Delete | Verb::Kill | Verb::KillAll => absent("cannot delete a deleted process"),
        _ => refuse(format!("cannot {} a deleted process", word(verb))),
    }
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "start",
        Verb::Delete => "delete",
        Verb::Kill | Verb::KillAll => "kill",
        Verb::Pause => "pause",
        Verb::Resume => "resume",
        Verb::Exec => "exec",
        Verb::Update => "update",
        Verb::Checkpoint => "checkpoint",
        Verb::Resize => "resize",
    }
}

fn refuse(text: impl Into<String>) -> Refused {
    Refused { text: text.into(), absent: false }
}

fn absent(text: &str) -> Refused {
    Refused { text: text.to_owned(), absent: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] =
        [State::Created, State::Running, State::Pausing, State::Paused, State::Stopped, State::Deleted];

    /// The diagram, line by line.
    #[test]
    fn transitions_are_those_of_the_diagram() {
        use Event as E;
        use State as S;
        let arrows = [
            (S::Created, E::Started, S::Running),
            (S::Created, E::Exited, S::Stopped),
            (S::Created, E::Deleted, S::Deleted),
            (S::Running, E::Exited, S::Stopped),
            (S::Running, E::PauseBegun, S::Pausing),
            (S::Pausing, E::Paused, S::Paused),
            (S::Pausing, E::Resumed, S::Running),
            (S::Pausing, E::Exited, S::Stopped),
            (S::Paused, E::Resumed, S::Running),
            (S::Paused, E::Exited, S::Stopped),
            (S::Stopped, E::Deleted, S::Deleted),
        ];
        for state in STATES {
            for event in [E::Started, E::PauseBegun, E::Paused, E::Resumed, E::Exited, E::Deleted] {
                let expected = arrows.iter().find(|a| (a.0, a.1) == (state, event)).map(|a| a.2);
                assert_eq!(state.next(event).ok(), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn refusals_of_the_first_process() {
        let table = [
            (State::Created, Verb::Pause, "cannot pause task in created state"),
            (State::Created, Verb::Resume, "cannot resume task in created state"),
            (State::Created, Verb::Checkpoint, "cannot checkpoint a task in created state"),
            (State::Running, Verb::Start, "cannot start a running process"),
            (State::Running, Verb::Delete, "cannot delete a running process"),
            (State::Running, Verb::Resume, "cannot resume a running process"),
            (State::Paused, Verb::Start, "cannot start a paused process"),
            (State::Paused, Verb::Delete, "cannot delete a paused process"),
            (State::Paused, Verb::Pause, "cannot pause a paused container"),
            (State::Paused, Verb::Exec, "cannot exec in a paused state"),
            (State::Stopped, Verb::Start, "cannot start a stopped process"),
            (State::Stopped, Verb::Pause, "cannot pause a stopped container"),
            (State::Stopped, Verb::Resume, "cannot resume a stopped container"),
            (State::Stopped, Verb::Exec, "cannot exec in a stopped state"),
            (State::Stopped, Verb::Update, "cannot update a stopped container"),
            (State::Stopped, Verb::Checkpoint, "cannot checkpoint a stopped container"),
            (State::Stopped, Verb::Resize, "cannot resize a stopped container"),
            (State::Stopped, Verb::Kill, "process already finished: not found"),
            (State::Deleted, Verb::Delete, "cannot delete a deleted process: not found"),
            (State::Deleted, Verb::Kill, "cannot delete a deleted process: not found"),
        ];
        for (state, verb, text) in table {
            let refused = state.admit_init(verb).expect_err(text);
            assert_eq!(Error::from(refused).text(), text, "{state:?} {verb:?}");
        }
        let verbs = [
            Verb::Start,
            Verb::Delete,
            Verb::Kill,
            Verb::KillAll,
            Verb::Pause,
            Verb::Resume,
            Verb::Exec,
            Verb::Update,
            Verb::Checkpoint,
            Verb::Resize,
        ];
        let admitted = |state: State| verbs.iter().filter(|verb| state.admit_init(**verb).is_ok()).count();
        assert_eq!(STATES.map(admitted), [7, 7, 6, 6, 2, 0]);
    }

    #[test]
    fn refusals_of_an_added_process() {
        let table = [
            (State::Running, Verb::Start, "cannot start a running process"),
            (State::Running, Verb::Delete, "cannot delete a running process"),
            (State::Stopped, Verb::Start, "cannot start a stopped process"),
            (State::Stopped, Verb::Resize, "cannot resize a stopped container"),
            (State::Stopped, Verb::Kill, "process already finished: not found"),
            (State::Deleted, Verb::Start, "cannot start a deleted process"),
        ];
        for (state, verb, text) in table {
            let refused = state.admit_exec(verb).expect_err(text);
            assert_eq!(Error::from(refused).text(), text, "{state:?} {verb:?}");
        }
        for (state, verb) in [(State::Created, Verb::Delete), (State::Stopped, Verb::Delete)] {
            assert!(state.admit_exec(verb).is_ok());
        }
    }
}
