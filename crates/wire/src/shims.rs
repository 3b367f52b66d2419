//! Tasks across the wire, between the daemon and a shim: the same messages twice, for the second and the third
//! version of the shim's API.

use model::tasks::{Create, Exec, Exit, Io, Kill, Pid, Process, Resize, Update};

use crate::fields::{list, time};

macro_rules! conversions {
    ($api:ident) => {
        impl From<crate::api::$api::StateResponse> for Process {
            fn from(wire: crate::api::$api::StateResponse) -> Self {
                let status = wire.status().into();
                Self {
                    id: if wire.exec_id.is_empty() { wire.id } else { wire.exec_id },
                    pid: wire.pid,
                    status,
                    io: Io {
                        stdin: wire.stdin,
                        stdout: wire.stdout,
                        stderr: wire.stderr,
                        terminal: wire.terminal,
                    },
                    exit_status: wire.exit_status,
                    exited_at: time(wire.exited_at),
                }
            }
        }

        /// The caller knows which process it deleted and fills its id in.
        impl From<crate::api::$api::DeleteResponse> for Exit {
            fn from(wire: crate::api::$api::DeleteResponse) -> Self {
                Self { id: String::new(), pid: wire.pid, status: wire.exit_status, at: time(wire.exited_at) }
            }
        }

        /// The caller knows which process it waited for and fills its id and pid in.
        impl From<crate::api::$api::WaitResponse> for Exit {
            fn from(wire: crate::api::$api::WaitResponse) -> Self {
                Self { id: String::new(), pid: 0, status: wire.exit_status, at: time(wire.exited_at) }
            }
        }

        impl From<crate::api::$api::PidsResponse> for Vec<Pid> {
            fn from(wire: crate::api::$api::PidsResponse) -> Self {
                list(wire.processes)
            }
        }

        /// The bundle's path and the request. A checkpoint goes by its path, which the caller fills in.
        impl From<(String, Create)> for crate::api::$api::CreateTaskRequest {
            fn from((bundle, create): (String, Create)) -> Self {
                Self {
                    id: create.container_id,
                    bundle,
                    rootfs: list(create.rootfs),
                    terminal: create.io.terminal,
                    stdin: create.io.stdin,
                    stdout: create.io.stdout,
                    stderr: create.io.stderr,
                    checkpoint: String::new(),
                    parent_checkpoint: String::new(),
                    options: create.options.map(Into::into),
                }
            }
        }

        /// The container's id and the request.
        impl From<(String, Exec)> for crate::api::$api::ExecProcessRequest {
            fn from((id, exec): (String, Exec)) -> Self {
                Self {
                    id,
                    exec_id: exec.exec_id,
                    terminal: exec.io.terminal,
                    stdin: exec.io.stdin,
                    stdout: exec.io.stdout,
                    stderr: exec.io.stderr,
                    spec: exec.spec.map(Into::into),
                }
            }
        }

        /// The container's id and the request.
        impl From<(String, Kill)> for crate::api::$api::KillRequest {
            fn from((id, kill): (String, Kill)) -> Self {
                Self { id, exec_id: kill.exec_id, signal: kill.signal, all: kill.all }
            }
        }

        /// The container's id and the request.
        impl From<(String, Resize)> for crate::api::$api::ResizePtyRequest {
            fn from((id, resize): (String, Resize)) -> Self {
                Self { id, exec_id: resize.exec_id, width: resize.width, height: resize.height }
            }
        }

        /// The container's id and the request.
        impl From<(String, Update)> for crate::api::$api::UpdateTaskRequest {
            fn from((id, update): (String, Update)) -> Self {
                Self { id, resources: update.resources.map(Into::into), annotations: update.annotations }
            }
        }
    };
}

conversions!(task_v2);
conversions!(task_v3);
