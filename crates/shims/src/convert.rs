//! Between the messages of the task API and the model.

use model::{Mount, Timestamp, tasks};
use wire::api::{process, task_v3, types};

/// A mount for the wire.
pub(crate) fn to_mount(mount: &Mount) -> types::Mount {
    types::Mount {
        r#type: mount.kind.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        options: mount.options.clone(),
    }
}

/// A time from the wire; an absent one is "never".
pub(crate) fn from_time(time: Option<wire::Timestamp>) -> Timestamp {
    match time {
        Some(time) => {
            Timestamp { seconds: time.seconds, nanos: u32::try_from(time.nanos).unwrap_or_default() }
        }
        None => Timestamp::NEVER,
    }
}

/// A process' state from the wire. Its id is the exec's, else the container's.
pub(crate) fn from_state(state: task_v3::StateResponse) -> tasks::Process {
    tasks::Process {
        id: if state.exec_id.is_empty() { state.id } else { state.exec_id },
        pid: state.pid,
        status: from_status(state.status),
        exit_status: state.exit_status,
        exited_at: from_time(state.exited_at),
        io: tasks::Io {
            stdin: state.stdin,
            stdout: state.stdout,
            stderr: state.stderr,
            terminal: state.terminal,
        },
    }
}

fn from_status(status: i32) -> tasks::Status {
    match process::Status::try_from(status) {
        Ok(process::Status::Created) => tasks::Status::Created,
        Ok(process::Status::Running) => tasks::Status::Running,
        Ok(process::Status::Stopped) => tasks::Status::Stopped,
        Ok(process::Status::Paused) => tasks::Status::Paused,
        Ok(process::Status::Pausing) => tasks::Status::Pausing,
        Ok(process::Status::Unknown) | Err(_) => tasks::Status::Unknown,
    }
}

/// How a deleted process had ended; `exec_id` is empty for the first one.
pub(crate) fn from_delete(exec_id: &str, response: task_v3::DeleteResponse) -> tasks::Exit {
    tasks::Exit {
        id: exec_id.to_owned(),
        pid: response.pid,
        status: response.exit_status,
        at: from_time(response.exited_at),
    }
}
