//! Requests that change something: Create, Start, Delete, Exec, Kill, ResizePty, CloseIO, Update, Checkpoint, Shutdown.

use ::runtime::Target;
use model::{Error, Result};
use wire::api::event::{TaskCreate, TaskExecAdded, TaskExecStarted, TaskIo, TaskOom};
use wire::api::runc::CheckpointOptions;
use wire::api::task_v3 as api;

use crate::container::{Checkpoint, Key, OrderVerb, Process, Reply};
use crate::dispatch::{Answer, Asked, empty, key, not_created};
use crate::launch::{Creation, Launch, What};
use crate::log;
use crate::oom::OomWatch;
use crate::options;
use crate::poller::Interest;
use crate::queries::absolute;
use crate::rootfs;
use crate::shim::{Shim, Source};
use crate::site::{ROOT, Runtime, Site, kill_error};
use crate::state::{State, Verb};
use crate::stdio::open::Wanted;
use crate::stdio::target::Request;

impl Shim {
    pub(crate) fn create(&mut self, asked: Asked, request: api::CreateTaskRequest) -> Answer {
        let options = options::parse(request.options.as_ref())?;
        if request.id.is_empty() {
            return Err(Error::invalid("container id is missing"));
        }
        if self.is_ending() {
            return Err(Error::unavailable("the shim is ending"));
        }
        if self.containers.contains_key(&request.id) || self.creating.contains(&request.id) {
            return Err(Error::already_exists(format!("container {}", request.id)));
        }
        if !request.checkpoint.is_empty() {
            return Err(Error::not_implemented("restore from a checkpoint"));
        }
        let root = if options.root.is_empty() { ROOT } else { options.root.as_str() };
        let site = Site {
            runtime: Runtime::named(&options.binary_name),
            root: std::path::Path::new(root).join(&self.namespace),
            id: request.id.clone(),
            bundle: absolute(&request.bundle)?,
            systemd_cgroup: options.systemd_cgroup,
            no_pivot: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
        };
        let streams = streams(request.terminal, [request.stdin, request.stdout, request.stderr]);
        let wanted = Wanted {
            request: &streams,
            namespace: &self.namespace,
            id: &request.id,
            uid: options.io_uid,
            gid: options.io_gid,
            direct: !is_labelled(&site),
        };
        let opened = wanted.open()?;
        let creation = Creation {
            rootfs: request.rootfs,
            options_json: options::to_json(&options),
            program: options.binary_name.clone(),
        };
        let key = Key::init(&request.id);
        let what = What::Create(Box::new(creation));
        self.creating.push(request.id.clone());
        let launched = self.launch(Launch { key, asked, site, request: streams, opened, what });
        if launched.is_err() {
            self.creating.retain(|id| *id != request.id);
        }
        launched.map(|()| None)
    }

    /// A container was created: answers and tells.
    pub(crate) fn created(&mut self, key: &Key, reply: Reply, rootfs: Vec<wire::api::types::Mount>) {
        let Some(container) = self.containers.get(&key.container) else { return };
        let (pid, request) = (container.init.pid.unsigned_abs(), &container.init.request);
        let event = TaskCreate {
            container_id: key.container.clone(),
            bundle: container.bundle().to_string_lossy().into_owned(),
            rootfs,
            io: Some(TaskIo {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
            }),
            checkpoint: String::new(),
            pid,
        };
        self.publish(&event);
        self.answer_message(reply, &api::CreateTaskResponse { pid });
    }

    pub(crate) fn start(&mut self, asked: Asked, request: &api::StartRequest) -> Answer {
        if request.exec_id.is_empty() {
            return self.order(asked, &request.id, OrderVerb::Start);
        }
        let process = self.find(&request.id, &request.exec_id)?;
        if process.starting {
            return Err(Error::unknown("cannot start a running process"));
        }
        process.state.admit_exec(Verb::Start)?;
        if let Some(failure) = &process.failure {
            return Err(Error::new(failure.kind(), failure.text()));
        }
        let (streams, document) = (process.request.clone(), process.document.clone());
        let container = self.containers.get_mut(&request.id).ok_or_else(not_created)?;
        if container.init.state == State::Stopped || container.init.held.is_some() {
            let text = format!("container {} init process is not running", request.id);
            return Err(Error::failed_precondition(text));
        }
        let site = container.site.clone();
        let key = key(&request.id, &request.exec_id);
        let launched = self.launch_exec(asked, &key, (site, streams, document));
        if let Some(process) = self.process(&key) {
            match &launched {
                Ok(()) => process.starting = true,
                Err(e) => process.failure = Some(Error::new(e.kind(), e.text())),
            }
        }
        launched.map(|()| None)
    }

    fn launch_exec(&mut self, asked: Asked, key: &Key, of: (Site, Request, bytes::Bytes)) -> Result<()> {
        let (site, streams, document) = of;
        let wanted = Wanted {
            request: &streams,
            namespace: &self.namespace,
            id: &key.exec,
            uid: 0,
            gid: 0,
            direct: !is_labelled(&site),
        };
        let opened = wanted.open()?;
        let what = What::Exec(document);
        self.launch(Launch { key: key.clone(), asked, site, request: streams, opened, what })
    }

    /// An added process runs: answers and tells.
    pub(crate) fn exec_started(&mut self, key: &Key, reply: Reply) {
        let pid = self.process(key).map_or(0, |process| process.pid.unsigned_abs());
        let (container_id, exec_id) = (key.container.clone(), key.exec.clone());
        self.publish(&TaskExecStarted { container_id, exec_id, pid });
        self.answer_message(reply, &api::StartResponse { pid });
    }

    pub(crate) fn exec(&mut self, request: api::ExecProcessRequest) -> Answer {
        let container = self.containers.get_mut(&request.id).ok_or_else(not_created)?;
        if request.exec_id.is_empty() {
            return Err(Error::invalid("exec id cannot be empty"));
        }
        let Some(spec) = request.spec else {
            return Err(Error::invalid("exec: spec is missing"));
        };
        if container.execs.contains_key(&request.exec_id) {
            return Err(Error::already_exists(format!("id {}", request.exec_id)));
        }
        container.init.state.admit_init(Verb::Exec)?;
        serde_json::from_slice::<oci::runtime::Process>(&spec.value)
            .map_err(|e| Error::unknown(format!("read process: {e}")))?;
        let streams = streams(request.terminal, [request.stdin, request.stdout, request.stderr]);
        // The bytes of the request are one buffer; what is kept is kept apart.
        let document = bytes::Bytes::copy_from_slice(&spec.value);
        container.execs.insert(request.exec_id.clone(), Process::recorded(streams, document));
        self.publish(&TaskExecAdded { container_id: request.id, exec_id: request.exec_id });
        empty()
    }

    pub(crate) fn delete(&mut self, asked: Asked, request: &api::DeleteRequest) -> Answer {
        if request.exec_id.is_empty() {
            return self.order(asked, &request.id, OrderVerb::Delete);
        }
        let process = self.find(&request.id, &request.exec_id)?;
        if process.starting {
            return Err(Error::unknown("cannot delete a running process"));
        }
        process.state.admit_exec(Verb::Delete)?;
        if process.deletion.is_some() {
            return Err(Error::failed_precondition(format!("process {} is being deleted", request.exec_id)));
        }
        let key = key(&request.id, &request.exec_id);
        self.begin_deletion(&key, asked.reply);
        self.deletion_removed(&key, Ok(Vec::new()));
        Ok(None)
    }

    pub(crate) fn kill(&mut self, asked: Asked, request: &api::KillRequest) -> Answer {
        let process = self.find(&request.id, &request.exec_id)?;
        let number = i32::try_from(request.signal).unwrap_or(i32::MAX);
        if process.pid == 0 {
            return Err(Error::failed_precondition("process not created"));
        }
        if process.held.is_some() && !request.all {
            // Reaped, though not told yet: its number may be a stranger's.
            return Err(Error::not_found("process already finished"));
        }
        if !request.exec_id.is_empty() {
            process.state.admit_exec(Verb::Kill)?;
            return send(process, number).map_err(|text| kill_error(&text)).map(|()| Some(Vec::new()));
        }
        let target = if request.all { Target::All } else { Target::Init };
        let verb = if request.all { Verb::KillAll } else { Verb::Kill };
        process.state.admit_init(verb)?;
        let frozen = matches!(process.state, State::Paused | State::Pausing);
        let (state, sent) = (process.state, !request.all && !frozen);
        let container = self.containers.get_mut(&request.id).ok_or_else(not_created)?;
        if request.all && state == State::Stopped && container.swept {
            return empty();
        }
        if !sent || container.site.runtime != Runtime::Embedded {
            return self.order(asked, &request.id, OrderVerb::Kill(number, target));
        }
        send(&container.init, number).map(|()| Some(Vec::new())).map_err(|text| {
            let text = format!(
                "runc did not terminate successfully: exit status 1: unable to signal init: {text}\n"
            );
            kill_error(&text)
        })
    }

    pub(crate) fn resize(&mut self, request: &api::ResizePtyRequest) -> Answer {
        let process = self.find(&request.id, &request.exec_id)?;
        if !request.exec_id.is_empty() {
            process.state.admit_exec(Verb::Resize)?;
        }
        let Some(console) = &process.console else { return empty() };
        if request.exec_id.is_empty() {
            process.state.admit_init(Verb::Resize)?;
        }
        // Terminals count in 16 bits; what is above is cut off.
        kernel::pty::set_size(console, request.height as u16, request.width as u16)
            .map_err(|e| Error::unknown(e.to_string()))?;
        empty()
    }

    pub(crate) fn close_io(&mut self, request: &api::CloseIoRequest) -> Answer {
        let process = self.find(&request.id, &request.exec_id)?;
        if request.stdin {
            process.input_closed = true;
            process.kept.stdin_holder = None;
        }
        empty()
    }

    pub(crate) fn update(&mut self, asked: Asked, request: api::UpdateTaskRequest) -> Answer {
        self.find(&request.id, "")?;
        let Some(resources) = request.resources else {
            return Err(Error::invalid("update: resources are missing"));
        };
        self.order(asked, &request.id, OrderVerb::Update(resources.value))
    }

    pub(crate) fn checkpoint(&mut self, asked: Asked, request: api::CheckpointTaskRequest) -> Answer {
        self.find(&request.id, "")?;
        let options = match &request.options {
            None => CheckpointOptions::default(),
            Some(any) => match any.unpack::<CheckpointOptions>() {
                Some(options) => options.map_err(|e| Error::invalid(format!("checkpoint options: {e}")))?,
                None => return Err(Error::invalid(format!("checkpoint options of type {:?}", any.type_url))),
            },
        };
        let wanted = Box::new(Checkpoint { path: request.path, options });
        self.order(asked, &request.id, OrderVerb::Checkpoint(wanted))
    }

    pub(crate) fn shutdown(&mut self, request: &api::ShutdownRequest) -> Answer {
        // A daemon that was restarted shuts down what its predecessor had not finished to create.
        if self.creating.contains(&request.id) {
            self.abandoned.insert(request.id.clone());
        }
        self.end_if_idle();
        empty()
    }

    /// Ends the shim unless it has something to look after.
    pub(crate) fn end_if_idle(&mut self) {
        if self.containers.is_empty() && self.creating.is_empty() {
            self.end();
        }
    }

    /// Watches a new container for memory running out.
    pub(crate) fn watch_memory(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let watched = OomWatch::open(&container.cgroup).and_then(|watch| {
            let Some(watch) = watch else { return Ok(()) };
            let token = self.poller.add(&watch, Interest::Read).map_err(|e| Error::io("watch", id, e))?;
            self.sources.insert(token, Source::Oom(id.to_owned()));
            container.oom = Some((watch, token));
            Ok(())
        });
        if let Err(error) = watched {
            log::warn(error.during(format!("watch memory of {id}")).text());
        }
    }

    /// A container may have run out of memory, or its group is gone.
    pub(crate) fn out_of_memory(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let Some((watch, token)) = &mut container.oom else { return };
        let ran_out = watch.has_run_out();
        if watch.is_removed() {
            self.sources.remove(token);
            self.poller.remove(&*watch);
            container.oom = None;
        }
        if ran_out {
            self.publish(&TaskOom { container_id: id.to_owned() });
        }
    }
}

fn streams(terminal: bool, [stdin, stdout, stderr]: [String; 3]) -> Request {
    Request { stdin, stdout, stderr, terminal }
}

/// Whether a security module may mind that a process writes to somebody's fifo.
fn is_labelled(site: &Site) -> bool {
    let enforcing = std::path::Path::new("/sys/fs/selinux/enforce").exists();
    enforcing
        && rootfs::spec(&site.bundle)
            .is_ok_and(|spec| spec.process.is_some_and(|process| !process.selinux_label.is_empty()))
}

/// Signals a process that is not reaped yet; the error is the kernel's text.
fn send(process: &Process, number: i32) -> std::result::Result<(), String> {
    kernel::process::kill(process.pid, number).map_err(|e| e.text())
}
