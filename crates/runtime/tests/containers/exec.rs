//! More processes in a running container.

use serde_json::json;

use crate::bundle::Bundle;

fn running() -> Bundle {
    let bundle = Bundle::script("exec sleep 1000").with(|spec| {
        spec["hostname"] = json!("box");
        spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 111}]);
    });
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    bundle
}

#[test]
fn a_process_joins_everything() {
    let bundle = running();
    let script = "hostname; id -u; pwd; readlink /proc/self/ns/pid; ulimit -n; grep CapBnd /proc/self/status; ls /proc/self/fd";
    let out = bundle.verb(&["exec", &bundle.id, "/bin/sh", "-c", script]).ok();
    let pid = bundle.state()["pid"].as_i64().unwrap();
    let ns = std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    let expected = format!("box\n0\n/\n{}\n99\n", ns.display());
    assert!(out.starts_with(&expected), "{out}");
    assert!(out.contains("CapBnd:\t00000000080000e3\n"), "{out}");
    assert!(out.ends_with("0\n1\n2\n3\n"), "{out}");
    let status = bundle.verb(&["exec", &bundle.id, "/bin/sh", "-c", "exit 9"]).status;
    assert_eq!(status, 9);
}

#[test]
fn a_process_is_in_the_control_group() {
    let bundle = running();
    let out = bundle.verb(&["exec", &bundle.id, "/bin/cat", "/proc/self/cgroup"]).ok();
    let lines = out.lines().filter(|line| line.ends_with(&bundle.id)).count();
    assert_eq!(lines, out.lines().count(), "{out}");
}

#[test]
fn user_environment_and_directory_by_flags() {
    let bundle = running();
    let said = bundle.verb(&[
        "exec",
        "-u",
        "7:8",
        "-e",
        "A=b",
        "--cwd",
        "/tmp",
        &bundle.id,
        "sh",
        "-c",
        "id -u; id -g; echo $A $HOME; pwd",
    ]);
    assert_eq!(said.ok(), "7\n8\nb /home/u\n/tmp\n");
}

#[test]
fn refusals() {
    let bundle = running();
    for (arguments, expected) in [
        (
            &["nosuch"][..],
            r#"exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH"#,
        ),
        (&["/no/such"], r#"exec: "/no/such": stat /no/such: no such file or directory"#),
        (&["/etc/passwd"], r#"exec: "/etc/passwd": permission denied"#),
    ] {
        let text = bundle.verb(&[&["exec", &bundle.id], arguments].concat()).failed();
        assert!(text.replace("\\\"", "\"").contains(expected), "{text}");
    }
    bundle.verb(&["pause", &bundle.id]).ok();
    let text = bundle.verb(&["exec", &bundle.id, "true"]).failed();
    assert!(text.contains("cannot exec in a paused container (use --ignore-paused to override)"), "{text}");
    bundle.verb(&["resume", &bundle.id]).ok();
    bundle.verb(&["exec", &bundle.id, "true"]).ok();
    bundle.verb(&["kill", &bundle.id, "KILL"]).ok();
    bundle.wait();
    let text = bundle.verb(&["exec", &bundle.id, "true"]).failed();
    assert!(text.contains("cannot exec in a stopped container"), "{text}");
}

#[test]
fn the_filter_holds_for_later_processes() {
    let bundle = Bundle::script("exec sleep 1000").with(|spec| {
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    });
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    assert!(
        bundle.verb(&["exec", &bundle.id, "mkdir", "/tmp/x"]).failed().contains("Operation not permitted")
    );
}

#[test]
fn a_created_container_takes_processes_too() {
    let bundle = Bundle::script("true").with(|spec| spec["hostname"] = json!("box"));
    bundle.create().ok();
    assert_eq!(bundle.verb(&["exec", &bundle.id, "hostname"]).ok(), "box\n");
}

#[test]
fn detached_processes_tell_their_number() {
    let bundle = running();
    let file = bundle.path().join("exec.pid");
    let arguments = ["exec", "--detach", "--pid-file", file.to_str().unwrap(), &bundle.id, "sleep", "1000"];
    // The process keeps the streams open, so they must not be pipes that somebody reads to the end.
    let null = std::process::Stdio::null;
    assert!(bundle.command(&arguments).stdout(null()).stderr(null()).status().unwrap().success());
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let ps: Vec<i32> =
        serde_json::from_str(&bundle.verb(&["ps", "--format", "json", &bundle.id]).ok()).unwrap();
    assert!(ps.contains(&pid));
}

#[test]
fn what_a_process_leaves_open_is_as_the_first_has_it() {
    let bundle = Bundle::script("exec sleep 1000").with(|spec| {
        spec["process"]["user"]["umask"] = json!(0o77);
        spec["process"]["oomScoreAdj"] = json!(333);
        spec["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
    });
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    let script = "umask; cat /proc/self/oom_score_adj; set -- $(cat /proc/$$/stat); shift 18; echo $1";
    let own = json!({"user": {"uid": 0, "gid": 0, "umask": 0o27}, "oomScoreAdj": 444});
    for (more, expected) in [(json!({}), "0077\n333\n5\n"), (own, "0027\n444\n5\n")] {
        let mut process = json!({"cwd": "/", "env": ["PATH=/bin"], "args": ["/bin/sh", "-c", script]});
        process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file = bundle.path().join("process.json");
        std::fs::write(&file, process.to_string()).unwrap();
        let said = bundle.verb(&["exec", "--process", file.to_str().unwrap(), &bundle.id]);
        assert_eq!(said.ok(), expected);
    }
}

/// As with an init system inside, which takes a group of its own and hands controllers on.
#[test]
fn a_process_joins_the_first_where_the_containers_group_takes_none() {
    if !crate::bundle::only_version_2() {
        return;
    }
    let bundle = running();
    let group = std::path::Path::new("/sys/fs/cgroup").join(&bundle.id);
    std::fs::create_dir(group.join("sub")).unwrap();
    let pid = bundle.state()["pid"].to_string();
    std::fs::write(group.join("sub/cgroup.procs"), pid).unwrap();
    let controllers = std::fs::read_to_string(group.join("cgroup.controllers")).unwrap();
    let all: Vec<String> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
    std::fs::write(group.join("cgroup.subtree_control"), all.join(" ")).unwrap();
    let out = bundle.verb(&["exec", &bundle.id, "/bin/cat", "/proc/self/cgroup"]).ok();
    assert!(out.lines().any(|line| line == format!("0::/{}/sub", bundle.id)), "{out}");
}
