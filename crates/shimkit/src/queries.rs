//! Requests that only look: State, Pids, Wait, Stats, Connect.

use std::collections::BTreeMap;

use kernel::cgroup::{Cgroup, Stats};
use model::{Error, Result};
use prost::Message;
use wire::api::process::{ProcessInfo, Status};
use wire::api::runc::ProcessDetails;
use wire::api::task_v3 as api;
use wire::{Any, Timestamp};

use crate::container::{Exited, Key};
use crate::dispatch::{Answer, Asked, message, not_created};
use crate::events::{never, timestamp};
use crate::job::{Given, Job};
use crate::metrics;
use crate::oom::directories;
use crate::orders::Purpose;
use crate::shim::Shim;
use crate::state::State;

impl Shim {
    pub(crate) fn state(&mut self, request: &api::StateRequest) -> Answer {
        let id = Key { container: request.id.clone(), exec: request.exec_id.clone() }.id().to_owned();
        let process = self.find(&request.id, &request.exec_id)?;
        let (exit_status, exited_at) = exit_fields(process.exited);
        let mut answer = api::StateResponse {
            id,
            pid: process.pid.unsigned_abs(),
            status: status(process.state) as i32,
            stdin: process.request.stdin.clone(),
            stdout: process.request.stdout.clone(),
            stderr: process.request.stderr.clone(),
            terminal: process.request.terminal,
            exit_status,
            exited_at,
            exec_id: request.exec_id.clone(),
            ..Default::default()
        };
        let container = self.containers.get(&request.id).ok_or_else(not_created)?;
        answer.bundle = container.bundle().to_string_lossy().into_owned();
        message(&answer)
    }

    pub(crate) fn list_pids(&mut self, asked: Asked, request: &api::PidsRequest) -> Answer {
        let container = self.containers.get(&request.id).ok_or_else(not_created)?;
        let job = Job::spawn(&Given::default(), || {
            let pids = container.site.ps()?;
            Ok(self.pids_response(&request.id, &pids).encode_to_vec())
        })?;
        self.work(job, asked.deadline, Purpose::Answer(asked.reply))?;
        Ok(None)
    }

    fn pids_response(&self, id: &str, pids: &[i32]) -> api::PidsResponse {
        let details = |pid: i32| {
            let key = self.pids.get(&pid).filter(|key| key.container == id && !key.is_init())?;
            Some(Any::pack(&ProcessDetails { exec_id: key.exec.clone() }))
        };
        let info = |pid: &i32| ProcessInfo { pid: pid.unsigned_abs(), info: details(*pid) };
        api::PidsResponse { processes: pids.iter().map(info).collect() }
    }

    pub(crate) fn wait_end(&mut self, asked: Asked, request: &api::WaitRequest) -> Answer {
        let process = self.find(&request.id, &request.exec_id)?;
        if process.exited.is_some() || process.failure.is_some() {
            return Ok(Some(wait_response(process.exited)));
        }
        process.waiters.push(asked.reply);
        Ok(None)
    }

    pub(crate) fn stats(&mut self, asked: Asked, request: &api::StatsRequest) -> Answer {
        let container = self.containers.get(&request.id).ok_or_else(not_created)?;
        let job = Job::spawn(&Given::default(), || {
            let stats = Some(metrics::pack(read_stats(&container.cgroup)?));
            Ok(api::StatsResponse { stats }.encode_to_vec())
        })?;
        self.work(job, asked.deadline, Purpose::Answer(asked.reply))?;
        Ok(None)
    }

    pub(crate) fn connect(&mut self, request: &api::ConnectRequest) -> Answer {
        let pid = self.containers.get(&request.id).map_or(0, |container| container.init.pid);
        message(&api::ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: pid.unsigned_abs(),
            ..Default::default()
        })
    }
}

fn read_stats(cgroup: &str) -> Result<Stats> {
    let gone = || Error::not_found("cgroup does not exist");
    let paths: BTreeMap<_, _> =
        directories(cgroup).map(|(controller, path)| (controller.to_owned(), path.to_owned())).collect();
    if paths.is_empty() {
        return Err(gone());
    }
    let failed = |e: kernel::cgroup::Error| Error::unknown(e.to_string());
    Cgroup::load(&paths).and_then(|group| group.stats()).map_err(failed)?.ok_or_else(gone)
}

/// Exit status and time on the wire.
pub fn exit_fields(exited: Option<Exited>) -> (u32, Option<Timestamp>) {
    match exited {
        Some(exited) => (exited.status, Some(timestamp(exited.at))),
        None => (0, Some(never())),
    }
}

/// An encoded answer to Wait.
pub fn wait_response(exited: Option<Exited>) -> Vec<u8> {
    let (exit_status, exited_at) = exit_fields(exited);
    api::WaitResponse { exit_status, exited_at }.encode_to_vec()
}

fn status(state: State) -> Status {
    match state {
        State::Created => Status::Created,
        State::Running => Status::Running,
        State::Pausing => Status::Pausing,
        State::Paused => Status::Paused,
        State::Stopped | State::Deleted => Status::Stopped,
    }
}

/// A path of the request that is to be absolute.
pub fn absolute(path: &str) -> Result<std::path::PathBuf> {
    let path = std::path::PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::invalid(format!("bundle {:?} is not an absolute path", path.display())))
}
