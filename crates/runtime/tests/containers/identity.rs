//! What a process finds: namespaces, user, rights, environment, limits.

use serde_json::json;

use crate::bundle::{Bundle, only_version_2};

#[test]
fn namespaces_are_isolated() {
    let bundle =
        Bundle::script("hostname; echo $$; ip addr show lo | grep -c 127.0.0.1; ls /dev/mqueue | wc -l")
            .with(|spec| spec["hostname"] = json!("box"));
    assert_eq!(bundle.run().ok(), "box\n1\n1\n0\n");
    let inside = Bundle::script("for n in /proc/self/ns/*; do readlink $n; done").with(|spec| {
        let more = json!([{"type": "cgroup"}, {"type": "time"}]);
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.extend(more.as_array().unwrap().iter().cloned());
    });
    let inside = inside.run().ok();
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] {
        let outside = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(!inside.contains(outside.to_str().unwrap()), "{kind}");
        assert!(inside.contains(&format!("{kind}:[")), "{kind}");
    }
    let user = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert!(inside.contains(user.to_str().unwrap()));
}

#[test]
fn namespaces_are_joined_by_path() {
    let first = Bundle::script("exec sleep 1000").with(|spec| spec["hostname"] = json!("first"));
    first.create().ok();
    let pid = first.state()["pid"].as_i64().unwrap();
    let second =
        Bundle::script("hostname; ps | grep -c 'sleep 1000$'; readlink /proc/self/ns/net").with(|spec| {
            for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
                let file = match namespace["type"].as_str().unwrap() {
                    "network" => "net",
                    "mount" => continue,
                    other => other,
                };
                namespace["path"] = json!(format!("/proc/{pid}/ns/{file}"));
            }
        });
    first.verb(&["start", &first.id]).ok();
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(second.run().ok(), format!("first\n1\n{}\n", net.display()));
}

#[test]
fn clocks_have_offsets() {
    let bundle = Bundle::script("cat /proc/uptime").with(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
        spec["linux"]["timeOffsets"] = json!({"boottime": {"secs": 40_000_000}});
    });
    let up: f64 = bundle.run().ok().split(' ').next().unwrap().parse().unwrap();
    assert!(up > 40_000_000.0, "{up}");
}

#[test]
fn user_groups_and_umask() {
    let bundle = Bundle::script("id -u; id -g; id -G; umask; env | sort").with(|spec| {
        spec["process"]["user"] = json!({"uid": 7, "gid": 8, "additionalGids": [9, 10], "umask": 0o27});
        spec["process"]["env"] = json!(["PATH=/bin", "A=1", "A=2"]);
    });
    assert_eq!(bundle.run().ok(), "7\n8\n8 9 10\n0027\nA=2\nHOME=/home/u\nPATH=/bin\nPWD=/\nSHLVL=1\n");
    let bundle = Bundle::script("umask; echo $HOME")
        .with(|spec| spec["process"]["user"] = json!({"uid": 77, "gid": 0}));
    assert_eq!(bundle.run().ok(), "0022\n/\n");
}

#[test]
fn capabilities_and_no_new_privileges() {
    let sets = |bundle: Bundle| bundle.run().ok().replace('\t', " ");
    let script = "grep -E 'Cap|NoNewPrivs' /proc/self/status";
    let expected = "CapInh: 0000000000000000\nCapPrm: 0000000000000021\nCapEff: 0000000000000001\n\
                    CapBnd: 0000000000000021\nCapAmb: 0000000000000000\nNoNewPrivs: 1\n";
    let limited = Bundle::script(script).with(|spec| {
        spec["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NEW_IN_2099", "cap_sys_admin"],
            "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]});
        spec["process"]["args"] = json!(["/bin/cat", "/proc/self/status"]);
    });
    let text = sets(limited);
    // For root an exec gives all of the bounding set.
    assert!(
        text.contains("CapBnd: 0000000000000021\n") && text.contains("CapPrm: 0000000000000021\n"),
        "{text}"
    );
    let user = Bundle::script(script).with(|spec| {
        spec["process"]["user"] = json!({"uid": 7, "gid": 8});
        spec["process"]["noNewPrivileges"] = json!(false);
        let caps = json!(["CAP_CHOWN"]);
        spec["process"]["capabilities"] =
            json!({"bounding": caps, "permitted": caps, "effective": caps, "inheritable": caps, "ambient": caps});
    });
    let expected_user =
        expected.replace("21\n", "01\n").replace("CapInh: 0000000000000000", "CapInh: 0000000000000001");
    let expected_user = expected_user.replace("CapAmb: 0000000000000000", "CapAmb: 0000000000000001");
    assert_eq!(sets(user), expected_user.replace("NoNewPrivs: 1", "NoNewPrivs: 0"));
}

#[test]
fn limits_parameters_and_scores() {
    let bundle = Bundle::script("ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/self/oom_score_adj")
        .with(|spec| {
            spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 111}]);
            spec["process"]["oomScoreAdj"] = json!(321);
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel/msgmax": "4321"});
        });
    assert_eq!(bundle.run().ok(), "99\n111\n1\n4321\n321\n");
}

#[test]
fn signals_are_as_a_new_program_expects_them() {
    let bundle = Bundle::script("exec grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status");
    let empty = "0000000000000000";
    assert_eq!(
        bundle.run().ok().replace('\t', ""),
        format!("SigBlk:{empty}\nSigIgn:{empty}\nSigCgt:{empty}\n")
    );
}

#[test]
fn no_descriptor_of_the_host_remains() {
    let bundle = Bundle::new(&["/bin/ls", "/proc/self/fd"]);
    assert_eq!(bundle.run().ok(), "0\n1\n2\n3\n");
}

#[test]
fn personality_and_scheduling() {
    let bundle =
        Bundle::script("cat /proc/self/personality; exec grep -E '^(nice|policy)' /proc/self/sched || true")
            .with(|spec| {
                spec["linux"]["personality"] = json!({"domain": "LINUX32"});
                spec["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
                spec["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
            });
    assert!(bundle.run().ok().starts_with("00000008\n"));
}

#[test]
fn a_missing_working_directory_is_made() {
    let bundle = Bundle::script("pwd; stat -c %a.%u .").with(|spec| {
        spec["process"]["cwd"] = json!("/made/here");
        spec["process"]["user"] = json!({"uid": 7, "gid": 8});
    });
    assert_eq!(bundle.run().ok(), "/made/here\n755.0\n");
}

#[test]
fn a_filter_is_in_force_with_and_without_new_privileges() {
    for no_new_privileges in [false, true] {
        let bundle =
            Bundle::script("grep Seccomp: /proc/self/status; mkdir /tmp/x || echo refused").with(|spec| {
                spec["process"]["noNewPrivileges"] = json!(no_new_privileges);
                spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]});
            });
        let said = bundle.run();
        assert!(said.err.contains("Input/output error") || said.err.contains("I/O error"), "{said:?}");
        assert_eq!(said.ok(), "Seccomp:\t2\nrefused\n");
    }
}

#[test]
fn few_descriptors_are_enough() {
    let bundle = Bundle::script("ulimit -n")
        .with(|spec| spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 7, "hard": 7}]));
    assert_eq!(bundle.run().ok(), "7\n");
}

#[test]
fn a_listener_hears_of_calls() {
    let bundle = Bundle::script("mkdir /tmp/x 2>/dev/null || echo answered");
    let socket = bundle.path().join("listener.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let hearing = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut text = [0; 4096];
        let (length, fds) = kernel::socket::receive(&stream, &mut text).unwrap();
        // Nobody answers any more: the calls fail.
        (serde_json::from_slice::<serde_json::Value>(&text[..length]).unwrap(), fds.len())
    });
    let bundle = bundle.with(|spec| {
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket, "listenerMetadata": "meta",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]});
    });
    assert_eq!(bundle.run().ok(), "answered\n");
    let (state, fds) = hearing.join().unwrap();
    assert_eq!(
        (fds, state["fds"][0].as_str(), state["metadata"].as_str()),
        (1, Some("seccompFd"), Some("meta"))
    );
    assert_eq!(
        (state["state"]["id"].as_str(), state["state"]["status"].as_str()),
        (Some(&*bundle.id), Some("creating"))
    );
    assert_eq!(state["pid"], state["state"]["pid"]);
}

#[test]
fn network_devices_move() {
    let name = format!("grt{}", std::process::id());
    let made = std::process::Command::new("ip").args(["link", "add", &name, "type", "dummy"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let bundle = Bundle::script("ip link show eth7 | grep -c UP")
        .with(|spec| spec["linux"]["netDevices"] = json!({name: {"name": "eth7"}}));
    assert_eq!(bundle.run().ok(), "1\n");
}

#[test]
fn groups_are_below_the_callers_without_an_absolute_path() {
    let mark = if only_version_2() { "0::" } else { ":memory:" };
    let place = |text: &str| text.lines().find_map(|line| line.split_once(mark)).unwrap().1.to_owned();
    for path in [String::new(), format!("gantry-rt-below-{}", std::process::id())] {
        let bundle =
            Bundle::script("cat /proc/self/cgroup").with(|spec| spec["linux"]["cgroupsPath"] = json!(path));
        let own = place(&std::fs::read_to_string("/proc/self/cgroup").unwrap());
        let own = match only_version_2() {
            // A group with processes hands no controllers on, so it is the one above.
            true => own.rsplit_once('/').unwrap().0,
            false => own.trim_end_matches('/'),
        };
        let name = if path.is_empty() { &bundle.id } else { &path };
        assert_eq!(place(&bundle.run().ok()), format!("{own}/{name}"));
    }
}
