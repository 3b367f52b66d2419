//! From create to delete.

use crate::bundle::{Bundle, only_version_2};

#[test]
fn run_returns_the_exit_status_and_leaves_nothing() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let bundle = Bundle::script(script);
        // A first process without handlers is immune to its own signals, so the shell has a child.
        let bundle = bundle.with(|spec| {
            if status == 137 {
                spec["process"]["args"] = serde_json::json!(["/bin/sh", "-c", "sh -c 'kill -9 $$'; exit $?"]);
            }
        });
        assert_eq!(bundle.run().status, status, "{script}");
        assert!(bundle.is_gone(), "{script}");
    }
}

#[test]
fn states_from_created_to_gone() {
    let bundle = Bundle::script("echo started; exec sleep 1000");
    bundle.create().ok();
    assert_eq!(bundle.state()["status"], "created");
    assert_eq!(bundle.output(), "");
    assert!(
        bundle
            .verb(&["create", "--bundle", bundle.path().to_str().unwrap(), &bundle.id])
            .failed()
            .contains("container with given ID already exists")
    );
    bundle.verb(&["start", &bundle.id]).ok();
    assert_eq!(bundle.state()["status"], "running");
    assert!(
        bundle.verb(&["start", &bundle.id]).failed().contains("cannot start an already running container")
    );
    assert!(
        bundle
            .verb(&["delete", &bundle.id])
            .failed()
            .contains(&format!("cannot delete container {} that is not stopped: running", bundle.id))
    );
    bundle.verb(&["pause", &bundle.id]).ok();
    assert_eq!(bundle.state()["status"], "paused");
    assert!(bundle.verb(&["pause", &bundle.id]).failed().contains("container not running"));
    bundle.verb(&["resume", &bundle.id]).ok();
    assert!(bundle.verb(&["resume", &bundle.id]).failed().contains("container not paused"));
    let ps: Vec<i64> =
        serde_json::from_str(&bundle.verb(&["ps", "--format", "json", &bundle.id]).ok()).unwrap();
    assert_eq!(ps, [bundle.state()["pid"].as_i64().unwrap()]);
    let pid = kernel::pidfd::open(ps[0] as i32).unwrap();
    bundle.verb(&["kill", &bundle.id, "KILL"]).ok();
    assert!(kernel::pidfd::wait_end(&pid, Some(std::time::Duration::from_secs(60))).unwrap());
    assert_eq!(
        (bundle.state()["status"].as_str(), bundle.state()["pid"].as_i64()),
        (Some("stopped"), Some(0))
    );
    assert!(bundle.verb(&["kill", &bundle.id, "TERM"]).failed().contains("container not running"));
    assert!(
        bundle.verb(&["start", &bundle.id]).failed().contains("cannot start a container that has stopped")
    );
    bundle.verb(&["delete", &bundle.id]).ok();
    assert!(bundle.is_gone());
    assert!(bundle.verb(&["state", &bundle.id]).failed().contains("container does not exist"));
}

#[test]
fn a_created_container_ends_of_a_polite_signal() {
    let bundle = Bundle::script("echo never");
    bundle.create().ok();
    let pid = kernel::pidfd::open(bundle.state()["pid"].as_i64().unwrap() as i32).unwrap();
    bundle.verb(&["kill", &bundle.id, "TERM"]).ok();
    assert!(kernel::pidfd::wait_end(&pid, Some(std::time::Duration::from_secs(60))).unwrap());
    assert_eq!(bundle.state()["status"], "stopped");
    bundle.verb(&["delete", &bundle.id]).ok();
    assert!(bundle.is_gone());
}

#[test]
fn force_delete_ends_what_runs_frozen_or_not() {
    for pause in [false, true] {
        let bundle = Bundle::script("sleep 1000 & sleep 1000 & wait");
        bundle.create().ok();
        bundle.verb(&["start", &bundle.id]).ok();
        if pause {
            bundle.verb(&["pause", &bundle.id]).ok();
        }
        bundle.verb(&["delete", "--force", &bundle.id]).ok();
        assert!(bundle.is_gone());
        bundle.verb(&["delete", "--force", &bundle.id]).ok();
    }
}

#[test]
fn a_created_container_can_be_deleted() {
    let bundle = Bundle::script("true");
    bundle.create().ok();
    bundle.verb(&["delete", &bundle.id]).ok();
    assert!(bundle.is_gone());
}

#[test]
fn without_a_pid_namespace_all_processes_are_found() {
    let bundle = Bundle::script("sleep 1000 & exec sleep 1000").with(|spec| {
        let kept = |namespace: &serde_json::Value| namespace["type"] != "pid";
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(kept);
    });
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    let mut all: Vec<i32> = Vec::new();
    while all.len() < 2 {
        all = serde_json::from_str(&bundle.verb(&["ps", "--format", "json", &bundle.id]).ok()).unwrap();
    }
    let all = all.into_iter().map(|pid| kernel::pidfd::open(pid).unwrap()).collect::<Vec<_>>();
    bundle.verb(&["kill", &bundle.id, "KILL"]).ok();
    for one in &all {
        assert!(kernel::pidfd::wait_end(one, Some(std::time::Duration::from_secs(60))).unwrap());
    }
    bundle.verb(&["delete", &bundle.id]).ok();
    assert!(bundle.is_gone());
}

/// What is frozen does not even die of it.
#[test]
fn a_kill_thaws() {
    let bundle = Bundle::script("exec sleep 1000");
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    let pid = kernel::pidfd::open(bundle.state()["pid"].as_i64().unwrap() as i32).unwrap();
    bundle.verb(&["pause", &bundle.id]).ok();
    bundle.verb(&["kill", &bundle.id, "KILL"]).ok();
    assert!(kernel::pidfd::wait_end(&pid, Some(std::time::Duration::from_secs(60))).unwrap());
    bundle.verb(&["delete", &bundle.id]).ok();
    assert!(bundle.is_gone());
}

#[test]
fn without_a_pid_namespace_the_others_die_after_the_first() {
    let bundle = Bundle::script("sleep 1000 & true").with(|spec| {
        let kept = |namespace: &serde_json::Value| namespace["type"] != "pid";
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(kept);
    });
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    bundle.wait();
    let left: Vec<i32> =
        serde_json::from_str(&bundle.verb(&["ps", "--format", "json", &bundle.id]).ok()).unwrap();
    let [left] = left[..] else { panic!("{left:?}") };
    let left = kernel::pidfd::open(left).unwrap();
    bundle.verb(&["kill", &bundle.id, "KILL"]).ok();
    assert!(kernel::pidfd::wait_end(&left, Some(std::time::Duration::from_secs(10))).unwrap());
}

#[test]
fn the_first_process_does_not_outlive_the_runtime_that_makes_it() {
    let bundle = Bundle::script("true");
    let begun = bundle.path().join("begun");
    kernel::file::make_fifo(&begun, 0o600).unwrap();
    let script = format!("echo > {}; exec sleep 1000", begun.display());
    let bundle = bundle.with(|spec| {
        spec["hooks"]["createRuntime"] =
            serde_json::json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    });
    bundle.save();
    let mut command = bundle.command(&["create", "--bundle", bundle.path().to_str().unwrap(), &bundle.id]);
    let null = std::process::Stdio::null;
    let mut create = command.stdout(null()).stderr(null()).spawn().unwrap();
    std::fs::read(&begun).unwrap();
    let first = kernel::pidfd::open(bundle.state()["pid"].as_i64().unwrap() as i32).unwrap();
    // The command's own `timeout` passes it on to the runtime and its hook.
    kernel::process::kill(create.id() as i32, libc::SIGTERM).unwrap();
    create.wait().unwrap();
    assert!(kernel::pidfd::wait_end(&first, Some(std::time::Duration::from_secs(20))).unwrap());
    bundle.verb(&["delete", "--force", &bundle.id]).ok();
    assert!(bundle.is_gone());
}

/// As when whoever made it was killed before the record was there: the first process waits for its start.
#[test]
fn what_has_no_record_is_deleted_too() {
    let bundle = Bundle::script("sleep 1000");
    bundle.create().ok();
    let first = kernel::pidfd::open(bundle.state()["pid"].as_i64().unwrap() as i32).unwrap();
    std::fs::remove_file(bundle.root().join(&bundle.id).join("state.json")).unwrap();
    bundle.verb(&["delete", "--force", &bundle.id]).ok();
    assert!(kernel::pidfd::wait_end(&first, Some(std::time::Duration::from_secs(20))).unwrap());
    assert!(bundle.is_gone());
}

#[test]
fn limits_apply_and_change() {
    let bundle = Bundle::script("exec sleep 1000").with(|spec| {
        spec["linux"]["resources"]["memory"] = serde_json::json!({"limit": 64 << 20});
        spec["linux"]["resources"]["pids"] = serde_json::json!({"limit": 17});
    });
    bundle.create().ok();
    let record = std::fs::read_to_string(bundle.root().join(&bundle.id).join("state.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let version_2 = only_version_2();
    let limit = if version_2 { "memory.max" } else { "memory.limit_in_bytes" };
    let read = |controller: &str, file: &str| {
        let controller = if version_2 { "" } else { controller };
        let directory = record["cgroup_paths"][controller].as_str().unwrap();
        std::fs::read_to_string(std::path::Path::new(directory).join(file)).unwrap().trim().to_owned()
    };
    assert_eq!(read("memory", limit), (64 << 20).to_string());
    assert_eq!(read("pids", "pids.max"), "17");
    bundle.verb(&["update", "--pids-limit", "23", &bundle.id]).ok();
    assert_eq!(read("pids", "pids.max"), "23");
    assert_eq!(read("pids", "pids.current"), "1");
}

#[test]
fn list_tells_all() {
    let bundle = Bundle::script("true").with(|spec| spec["annotations"] = serde_json::json!({"k": "v=w"}));
    bundle.create().ok();
    let listed: serde_json::Value =
        serde_json::from_str(&bundle.verb(&["list", "--format", "json"]).ok()).unwrap();
    let found = &listed[0];
    assert_eq!(found["id"], bundle.id.as_str());
    assert_eq!(found["bundle"], bundle.path().to_str().unwrap());
    assert_eq!(found["rootfs"], bundle.rootfs().to_str().unwrap());
    assert_eq!((found["annotations"]["k"].as_str(), found["owner"].as_str()), (Some("v=w"), Some("root")));
}
