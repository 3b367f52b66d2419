//! Tasks across the wire, between clients and the daemon. What goes between the daemon and a shim is in
//! [`crate::shims`].

use model::tasks::{Create, Exec, Exit, Io, Kill, Listed, Metric, Pid, Process, Resize, Status, Update};

use crate::api::tasks::{
    CreateTaskRequest, DeleteResponse, ExecProcessRequest, KillRequest, ResizePtyRequest, UpdateTaskRequest,
    WaitResponse,
};
use crate::api::{process, types};
use crate::fields::{list, time, wire_time};

impl From<Status> for process::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Unknown => process::Status::Unknown,
            Status::Created => process::Status::Created,
            Status::Running => process::Status::Running,
            Status::Stopped => process::Status::Stopped,
            Status::Paused => process::Status::Paused,
            Status::Pausing => process::Status::Pausing,
        }
    }
}

impl From<process::Status> for Status {
    fn from(wire: process::Status) -> Self {
        match wire {
            process::Status::Unknown => Status::Unknown,
            process::Status::Created => Status::Created,
            process::Status::Running => Status::Running,
            process::Status::Stopped => Status::Stopped,
            process::Status::Paused => Status::Paused,
            process::Status::Pausing => Status::Pausing,
        }
    }
}

impl From<process::Process> for Process {
    fn from(wire: process::Process) -> Self {
        let status = wire.status().into();
        Self {
            id: wire.id,
            pid: wire.pid,
            status,
            io: Io { stdin: wire.stdin, stdout: wire.stdout, stderr: wire.stderr, terminal: wire.terminal },
            exit_status: wire.exit_status,
            exited_at: time(wire.exited_at),
        }
    }
}

/// The container's id stays empty: no daemon fills it and clients know the process by its own.
impl From<Process> for process::Process {
    fn from(process: Process) -> Self {
        Self {
            container_id: String::new(),
            id: process.id,
            pid: process.pid,
            status: process::Status::from(process.status).into(),
            stdin: process.io.stdin,
            stdout: process.io.stdout,
            stderr: process.io.stderr,
            terminal: process.io.terminal,
            exit_status: process.exit_status,
            exited_at: wire_time(process.exited_at),
        }
    }
}

impl From<process::Process> for Listed {
    fn from(wire: process::Process) -> Self {
        let container_id = if wire.container_id.is_empty() { &wire.id } else { &wire.container_id };
        Self { container_id: container_id.clone(), process: wire.into() }
    }
}

impl From<Listed> for process::Process {
    fn from(listed: Listed) -> Self {
        listed.process.into()
    }
}

impl From<process::ProcessInfo> for Pid {
    fn from(wire: process::ProcessInfo) -> Self {
        Self { pid: wire.pid, info: wire.info.map(Into::into) }
    }
}

impl From<Pid> for process::ProcessInfo {
    fn from(pid: Pid) -> Self {
        Self { pid: pid.pid, info: pid.info.map(Into::into) }
    }
}

impl From<types::Metric> for Metric {
    fn from(wire: types::Metric) -> Self {
        Self { timestamp: time(wire.timestamp), id: wire.id, data: wire.data.map(Into::into) }
    }
}

impl From<Metric> for types::Metric {
    fn from(metric: Metric) -> Self {
        Self { timestamp: wire_time(metric.timestamp), id: metric.id, data: metric.data.map(Into::into) }
    }
}

impl From<CreateTaskRequest> for Create {
    fn from(wire: CreateTaskRequest) -> Self {
        Self {
            container_id: wire.container_id,
            rootfs: list(wire.rootfs),
            io: Io { stdin: wire.stdin, stdout: wire.stdout, stderr: wire.stderr, terminal: wire.terminal },
            checkpoint: wire.checkpoint.map(Into::into),
            options: wire.options.map(Into::into),
            runtime_path: wire.runtime_path,
            api_address: wire.task_api_address,
            api_version: wire.task_api_version,
        }
    }
}

impl From<Create> for CreateTaskRequest {
    fn from(create: Create) -> Self {
        Self {
            container_id: create.container_id,
            rootfs: list(create.rootfs),
            stdin: create.io.stdin,
            stdout: create.io.stdout,
            stderr: create.io.stderr,
            terminal: create.io.terminal,
            checkpoint: create.checkpoint.map(Into::into),
            options: create.options.map(Into::into),
            runtime_path: create.runtime_path,
            task_api_address: create.api_address,
            task_api_version: create.api_version,
        }
    }
}

impl From<ExecProcessRequest> for Exec {
    fn from(wire: ExecProcessRequest) -> Self {
        Self {
            exec_id: wire.exec_id,
            io: Io { stdin: wire.stdin, stdout: wire.stdout, stderr: wire.stderr, terminal: wire.terminal },
            spec: wire.spec.map(Into::into),
        }
    }
}

/// The container's id and the request.
impl From<(String, Exec)> for ExecProcessRequest {
    fn from((container_id, exec): (String, Exec)) -> Self {
        Self {
            container_id,
            stdin: exec.io.stdin,
            stdout: exec.io.stdout,
            stderr: exec.io.stderr,
            terminal: exec.io.terminal,
            spec: exec.spec.map(Into::into),
            exec_id: exec.exec_id,
        }
    }
}

impl From<KillRequest> for Kill {
    fn from(wire: KillRequest) -> Self {
        Self { exec_id: wire.exec_id, signal: wire.signal, all: wire.all }
    }
}

/// The container's id and the request.
impl From<(String, Kill)> for KillRequest {
    fn from((container_id, kill): (String, Kill)) -> Self {
        Self { container_id, exec_id: kill.exec_id, signal: kill.signal, all: kill.all }
    }
}

impl From<ResizePtyRequest> for Resize {
    fn from(wire: ResizePtyRequest) -> Self {
        Self { exec_id: wire.exec_id, width: wire.width, height: wire.height }
    }
}

/// The container's id and the request.
impl From<(String, Resize)> for ResizePtyRequest {
    fn from((container_id, resize): (String, Resize)) -> Self {
        Self { container_id, exec_id: resize.exec_id, width: resize.width, height: resize.height }
    }
}

impl From<UpdateTaskRequest> for Update {
    fn from(wire: UpdateTaskRequest) -> Self {
        Self { resources: wire.resources.map(Into::into), annotations: wire.annotations }
    }
}

/// The container's id and the request.
impl From<(String, Update)> for UpdateTaskRequest {
    fn from((container_id, update): (String, Update)) -> Self {
        Self { container_id, resources: update.resources.map(Into::into), annotations: update.annotations }
    }
}

impl From<DeleteResponse> for Exit {
    fn from(wire: DeleteResponse) -> Self {
        Self { id: wire.id, pid: wire.pid, status: wire.exit_status, at: time(wire.exited_at) }
    }
}

impl From<Exit> for DeleteResponse {
    fn from(exit: Exit) -> Self {
        Self { id: exit.id, pid: exit.pid, exit_status: exit.status, exited_at: wire_time(exit.at) }
    }
}

/// Whoever waits knows for which process; its id and pid are not told.
impl From<WaitResponse> for Exit {
    fn from(wire: WaitResponse) -> Self {
        Self { id: String::new(), pid: 0, status: wire.exit_status, at: time(wire.exited_at) }
    }
}

impl From<Exit> for WaitResponse {
    fn from(exit: Exit) -> Self {
        Self { exit_status: exit.status, exited_at: wire_time(exit.at) }
    }
}
