//! The shim's command: `start`, `delete`, `-info`, `-v`, and the serving process that `start` leaves behind.

use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use ::runtime::Deletion;
use kernel::process::{close_all_except, fork, install_fd, kill, set_subreaper};
use kernel::trace;
use model::{Error, Result};
use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::{CoreSchedulingScope, create_core_scheduling_cookie};
use ttrpc::client_sync::Client;
use wire::Any;
use wire::api::task_v3::{DeleteResponse, ShutdownRequest, task_methods};
use wire::api::types::{RuntimeInfo, RuntimeVersion};

use crate::address::{Group, Place, SOCKET_DIR, claim, discard, link_dir};
use crate::bootstrap::{self, Environment, INPUT_BYTES, Params};
use crate::events::timestamp;
use crate::flags::{Action, Flags};
use crate::log;
use crate::options;
use crate::program::Program;
use crate::rootfs;
use crate::shim::{Settings, Shim, remove_socket};
use crate::site::{ROOT, Runtime, Site};

/// The runtime's name as clients ask for it.
const NAME: &str = "io.containerd.runc.v2";

/// Annotations that put containers into one shim, strongest first.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// How long a shim that is asked to end may take; less than a second.
const GOODBYE: Duration = Duration::from_millis(900);

/// Runs the shim with the arguments after the program's name.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    trace::open();
    let done = match Flags::parse(arguments) {
        Ok(flags) if flags.version => print(&version()),
        Ok(flags) if flags.info => info(),
        Ok(flags) => match flags.action {
            Action::Start => start(&flags),
            Action::Delete => delete(&flags),
            Action::Serve => serve_at(&flags),
        },
        Err(refused) => Err(Error::invalid(refused)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon shows this beside the exit status; it is the whole answer, without a line's end.
            let _ = write!(std::io::stderr(), "{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Error::io("write", "standard output", e))
}

fn version() -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    format!("gantry-shim:\n  Version:  {version}\n  Revision: \n").into_bytes()
}

fn input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(INPUT_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| Error::io("read", "standard input", e))?;
    Ok(bytes)
}

/// The part of `config.json` that matters for starting.
#[derive(Default, serde::Deserialize)]
struct Config {
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// Id of the group a container belongs to: by an annotation, else its own.
fn group(bundle: &Path, id: &str) -> Result<String> {
    let path = bundle.join("config.json");
    let file = std::fs::File::open(&path).map_err(|e| Error::io("open", &path, e))?;
    // Read in small pieces: what this process touches the serving one keeps.
    let reader = BufReader::with_capacity(4 << 10, file);
    let config: Config = serde_json::from_reader(reader)
        .map_err(|e| Error::unknown(format!("read {}: {e}", path.display())))?;
    let annotations = config.annotations.unwrap_or_default();
    let named = GROUPS.iter().find_map(|name| annotations.get(*name));
    Ok(named.map_or_else(|| id.to_owned(), Clone::clone))
}

fn start(flags: &Flags) -> Result<()> {
    let step = trace::begin();
    let bundle = std::env::current_dir().map_err(|e| Error::io("getwd", "", e))?;
    let params = bootstrap::read(flags, Environment::read(), &input()?)?;
    let name = group(&bundle, &params.id)?;
    let place = Group { daemon: &params.grpc_address, namespace: &params.namespace, name: &name };
    let path = place.socket_path(&params.socket_dir);
    link_dir(&bundle, &path);
    if let Place::Free(listener) = claim(&path)? {
        spawn(&params, &bundle, &path, listener).inspect_err(|_| remove_socket(&path))?;
    }
    print(&bootstrap::answer(params.dialect, &format!("unix://{}", path.display())))?;
    step.end("shim.bootstrap", &params.id);
    Ok(())
}

/// Forks the serving process and places it: cgroup, oom score.
fn spawn(params: &Params, bundle: &Path, path: &Path, listener: UnixListener) -> Result<()> {
    let core_scheduling = std::env::var_os("SCHED_CORE").is_some_and(|value| !value.is_empty());
    let daemon = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let child = fork(|| {
        let settled = settle(bundle, &listener, core_scheduling);
        adjust_oom_score(daemon);
        let settings = Settings {
            namespace: params.namespace.clone(),
            socket: path.to_owned(),
            events: params.ttrpc_address.clone(),
        };
        match settled.and_then(|()| require(bundle)).and_then(|()| serve(settings, &listener)) {
            Ok(()) => 0,
            Err(error) => {
                remove_socket(path);
                log::error(error.text());
                1
            }
        }
    });
    let child = child.map_err(|e| Error::unknown(e.to_string()))?;
    match params.options.shim_cgroup.as_str() {
        "" => Ok(()),
        cgroup => join_cgroup(cgroup, child.pid).inspect_err(|_| {
            // It has no containers yet; nobody misses it.
            let _ = kill(child.pid, libc::SIGKILL);
        }),
    }
}

/// A bundle that is gone was taken away by a daemon that did not know of this shim yet: nobody will come.
fn require(bundle: &Path) -> Result<()> {
    let config = bundle.join("config.json");
    std::fs::metadata(&config).map(drop).map_err(|e| Error::io("stat", &config, e))
}

/// In the serving process: its own process group, and no descriptor of the one that started it.
fn settle(bundle: &Path, listener: &UnixListener, core_scheduling: bool) -> Result<()> {
    let failed = |e: kernel::KernelError| Error::unknown(e.to_string());
    rustix::process::setpgid(None, None).map_err(|e| Error::io("setpgid", "", e.into()))?;
    if core_scheduling {
        share_cores()?;
    }
    let null = crate::stdio::open::null()?;
    install_fd(&null, 0).map_err(failed)?;
    install_fd(&null, 1).map_err(failed)?;
    let log = open_log(bundle);
    install_fd(log.as_ref().map_or(null.as_fd(), AsFd::as_fd), 2).map_err(failed)?;
    // Nothing that closes itself may be left when all is closed.
    drop((null, log));
    let keep: Vec<_> = [listener.as_raw_fd()].into_iter().chain(trace::held()).collect();
    close_all_except(&keep).map_err(failed)
}

/// Keeps strangers off the cores that the process group runs on.
fn share_cores() -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::io("prctl", "PR_SCHED_CORE", e.into());
    create_core_scheduling_cookie(rustix::process::getpid(), CoreSchedulingScope::ProcessGroup)
        .map_err(failed)
}

/// The bundle's log fifo, if somebody reads it; it never makes the shim wait.
fn open_log(bundle: &Path) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(CWD, bundle.join("log"), flags, Mode::empty()).ok()
}

/// One more than the daemon's, so that the shim goes before it.
fn adjust_oom_score(daemon: Option<i32>) {
    let Some(daemon) = daemon else { return };
    let read = std::fs::read_to_string(format!("/proc/{daemon}/oom_score_adj"));
    let Some(score) = read.ok().and_then(|text| text.trim().parse::<i32>().ok()) else { return };
    let wanted = (score + 1).min(1000);
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", wanted.to_string()) {
        log::warn(Error::io("write", "/proc/self/oom_score_adj", error).text());
    }
}

/// Moves a process into an existing group of all hierarchies.
fn join_cgroup(path: &str, pid: i32) -> Result<()> {
    let mounted = Path::new("/sys/fs/cgroup");
    let below = path.trim_start_matches('/');
    let unified = mounted.join("cgroup.controllers").exists();
    let mut places = vec![mounted.to_path_buf()];
    if !unified {
        let listed = std::fs::read_dir(mounted).map_err(|e| Error::io("open", mounted, e))?;
        places = listed.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    }
    let files = places.into_iter().map(|place| place.join(below).join("cgroup.procs"));
    let files: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    if files.is_empty() {
        return Err(Error::unknown(format!("failed to load cgroup {path}: cgroups: cgroup deleted")));
    }
    files.iter().try_for_each(|file| {
        std::fs::write(file, pid.to_string())
            .map_err(|e| Error::io("write", file, e).during(format!("failed to join cgroup {path}")))
    })
}

/// Serves until told to end; then the socket is gone.
fn serve(settings: Settings, listener: &UnixListener) -> Result<()> {
    set_subreaper().map_err(|e| Error::unknown(e.to_string()))?;
    name_process();
    // The terminal of whoever started the daemon is no concern of the containers.
    kernel::signal::ignore(libc::SIGHUP);
    let listener = listener.try_clone().map_err(|e| Error::io("dup", &settings.socket, e))?;
    Shim::new(settings, listener)?.run()
}

/// Has the process's short name follow its first argument, whatever path it was executed by.
fn name_process() {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Ok(name) = std::ffi::CString::new(name) {
        // Only people look at it.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Serves in the foreground at `-socket`.
fn serve_at(flags: &Flags) -> Result<()> {
    if flags.socket.as_os_str().is_empty() {
        return Err(Error::invalid("nothing to do: neither start, delete nor -socket is given"));
    }
    let environment = Environment::read();
    let (namespace, socket) = (flags.namespace.clone(), flags.socket.clone());
    let settings = Settings { namespace, socket, events: environment.ttrpc_address.unwrap_or_default() };
    match claim(&flags.socket)? {
        Place::Free(listener) => serve(settings, &listener),
        Place::Taken => Err(Error::already_exists(format!("a shim at {}", flags.socket.display()))),
    }
}

/// Cleans up after a serving process that died: the container, its root file system, its socket.
fn delete(flags: &Flags) -> Result<()> {
    let here = std::env::current_dir().map_err(|e| Error::io("getwd", "", e))?;
    let bundle = match flags.bundle.as_os_str().is_empty() {
        true => here,
        false => flags.bundle.clone(),
    };
    let json = std::fs::read_to_string(bundle.join("options.json")).unwrap_or_default();
    let (root, program) = options::root_and_program(&json);
    let root = if root.is_empty() { ROOT.to_owned() } else { root };
    let site = Site {
        runtime: Runtime::named(&program),
        root: Path::new(&root).join(&flags.namespace),
        id: flags.id.clone(),
        bundle: bundle.clone(),
        systemd_cgroup: json.contains("\"systemd_cgroup\":true"),
        no_pivot: false,
        no_new_keyring: false,
    };
    let deleted = site.delete(Deletion::Force);
    if let Err(error) = &deleted {
        log::warn(&format!("failed to remove runc container: {error}"));
    }
    rootfs::unmount(&bundle)?;
    remove_dead_socket(flags, &bundle);
    let pid = std::fs::read_to_string(bundle.join("init.pid")).unwrap_or_default();
    let answer = DeleteResponse {
        pid: pid.trim().parse().unwrap_or(0),
        exit_status: 128 + libc::SIGKILL.unsigned_abs(),
        exited_at: Some(timestamp(SystemTime::now())),
    };
    print(&answer.encode_to_vec())
}

/// Removes the socket the dead shim left. One that lives ends, unless it serves other containers of the group: its
/// daemon may have died before it noted where the shim listens, and then nobody else would ever ask it to.
fn remove_dead_socket(flags: &Flags, bundle: &Path) {
    let Ok(name) = group(bundle, &flags.id) else { return };
    let dir = std::fs::read_link(bundle.join("s")).unwrap_or_else(|_| SOCKET_DIR.into());
    let group = Group { daemon: &flags.address, namespace: &flags.namespace, name: &name };
    let path = group.socket_path(&dir);
    if let Ok(mut shim) = Client::connect(&path) {
        ask_to_end(&mut shim, &flags.id);
    }
    // Also after that: a child that a dead shim forked just before may have had the socket open for a moment.
    if let Err(error) = discard(&path) {
        log::warn(error.text());
    }
}

/// Asks a shim to end if it serves nothing, and waits a moment until it has.
fn ask_to_end(shim: &mut Client, id: &str) {
    let request = ttrpc::Request {
        service: task_methods::SERVICE.to_owned(),
        method: "Shutdown".to_owned(),
        payload: ShutdownRequest { id: id.to_owned(), now: false }.encode_to_vec().into(),
        timeout_nano: i64::try_from(GOODBYE.as_nanos()).unwrap_or(i64::MAX),
        metadata: Vec::new(),
    };
    let until = Instant::now() + GOODBYE;
    let Ok(Ok(_)) = shim.send(&request) else { return };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&*shim, PollFlags::IN)], Some(&limit)) {
            Ok(1..) if shim.read_ready().is_ok() => {}
            Err(rustix::io::Errno::INTR) => {}
            // It hung up, or takes its time: either way it has been told.
            _ => return,
        }
    }
}

/// Tells what the runtime can do.
fn info() -> Result<()> {
    let any = Any::decode(&input()?[..]).unwrap_or_default();
    let options = options::parse(Some(&any)).unwrap_or_default();
    let features = match Runtime::named(&options.binary_name) {
        Runtime::Embedded => {
            serde_json::to_vec(&::runtime::features()).map_err(|e| Error::internal(e.to_string()))?
        }
        Runtime::Program(name) => features_of(&name)?,
    };
    let version = RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() };
    let info = RuntimeInfo {
        name: NAME.to_owned(),
        version: Some(version),
        options: Some(any).filter(|any| !any.type_url.is_empty()),
        features: Some(Any::json(wire::typeurl::OCI_FEATURES, features)),
        ..Default::default()
    };
    print(&info.encode_to_vec())
}

fn features_of(name: &str) -> Result<Vec<u8>> {
    let site = Site {
        runtime: Runtime::named(name),
        root: ROOT.into(),
        id: String::new(),
        bundle: "/".into(),
        systemd_cgroup: false,
        no_pivot: false,
        no_new_keyring: false,
    };
    let program = Program { name, site: &site };
    program.run(std::process::Command::new(name).arg("features"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_annotation() {
        let dir = tempfile::tempdir().expect("dir");
        for (config, expected) in [
            ("{}", "own"),
            (r#"{"annotations":null}"#, "own"),
            (r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}"#, "pod"),
            (
                r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod","io.containerd.runc.v2.group":"g"}}"#,
                "g",
            ),
        ] {
            std::fs::write(dir.path().join("config.json"), config).expect("write");
            assert_eq!(group(dir.path(), "own").expect("group"), expected, "{config}");
        }
        assert!(group(Path::new("/nonexistent"), "own").is_err());
    }
}
