//! What is refused, in which words; afterwards nothing is left.

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[track_caller]
fn refused(change: impl FnOnce(&mut Value), expected: &str) {
    let bundle = Bundle::script("true").with(change);
    let text = bundle.create().failed().replace("\\\"", "\"");
    assert!(text.contains(expected), "{text}");
    assert!(bundle.is_gone(), "{text}");
}

#[test]
fn programs_that_cannot_run() {
    const BEGIN: &str =
        "runc create failed: unable to start container process: error during container init: ";
    for (name, expected) in [
        ("nosuch", r#"exec: "nosuch": executable file not found in $PATH"#),
        ("/no/such", r#"exec: "/no/such": stat /no/such: no such file or directory"#),
        ("/etc", r#"exec: "/etc": is a directory"#),
        ("/etc/passwd", r#"exec: "/etc/passwd": permission denied"#),
    ] {
        refused(|spec| spec["process"]["args"] = json!([name]), &format!("{BEGIN}{expected}"));
    }
    // A file of no known format is found out only by executing it.
    let bundle = Bundle::new(&["/bad"]);
    std::fs::write(bundle.rootfs().join("bad"), [1, 2, 3, 4]).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.rootfs().join("bad"), mode).unwrap();
    let said = bundle.run();
    assert_eq!((said.status, said.err.as_str()), (255, "exec /bad: exec format error\n"));
}

#[test]
fn processes_that_make_no_sense() {
    refused(|spec| spec["process"]["args"] = json!([]), "args must not be empty");
    refused(|spec| spec["process"]["cwd"] = json!(""), "Cwd property must not be empty");
    refused(|spec| spec["process"]["cwd"] = json!("tmp"), "Cwd must be an absolute path");
    refused(|spec| spec["process"]["cwd"] = json!("/etc/passwd"), "mkdir /etc/passwd: not a directory");
    refused(|spec| spec["process"]["env"] = json!(["A"]), "invalid environment variable");
    refused(
        |spec| spec["process"]["rlimits"] = json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]),
        "invalid rlimit type: RLIMIT_X",
    );
    refused(|spec| spec["process"] = Value::Null, "process property must not be empty");
}

#[test]
fn mounts_that_cannot_be_made() {
    let mount = |mount: Value| move |spec: &mut Value| spec["mounts"].as_array_mut().unwrap().push(mount);
    refused(
        mount(json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["rbind"]})),
        r#"error mounting "/no/such" to rootfs at "/x": mount src=/no/such, dst=/x, flags=MS_BIND|MS_REC: no such file or directory"#,
    );
    refused(
        mount(json!({"destination": "/x", "type": "nosuchfs", "source": "none"})),
        r#"error mounting "none" to rootfs at "/x": mount src=none, dst=/x: no such device"#,
    );
    refused(
        mount(json!({"destination": "/etc/passwd/x", "type": "tmpfs", "source": "tmpfs"})),
        r#"to rootfs at "/etc/passwd/x""#,
    );
    refused(
        mount(json!({"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["size=lots"]})),
        "data=size=lots",
    );
    refused(
        mount(json!({"destination": "/x", "source": "/tmp", "options": ["bind", "r0"]})),
        r#"invalid mount "/x": bind mounts cannot have any filesystem-specific options applied"#,
    );
    refused(
        mount(json!({"destination": "/x/..", "source": "/tmp", "options": ["bind"]})),
        r#"invalid mount: "/x/.." is the root itself"#,
    );
    refused(
        |spec| spec["linux"]["devices"] = json!([{"path": "/dev/x", "type": "c", "major": -1, "minor": 3}]),
        "invalid number -1 of device /dev/x",
    );
}

#[test]
fn namespaces_that_cannot_be() {
    refused(
        |spec| spec["linux"]["namespaces"][0]["type"] = json!("space"),
        r#"namespace "space" does not exist"#,
    );
    refused(
        |spec| spec["linux"]["namespaces"][1]["type"] = json!("pid"),
        "malformed spec file: duplicated ns",
    );
    refused(
        |spec| spec["linux"]["namespaces"][4]["path"] = json!("/no/such"),
        "open /no/such: no such file or directory",
    );
    refused(
        |spec| spec["linux"]["namespaces"][4]["path"] = json!("/proc/self/ns/uts"),
        "failed to join network namespace: invalid argument",
    );
    refused(
        |spec| spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]),
        "user namespace mappings specified, but user namespace isn't enabled in the config",
    );
    refused(
        |spec| {
            spec["hostname"] = json!("h");
            spec["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .retain(|namespace| namespace["type"] != "uts");
        },
        "unable to set hostname without a private UTS namespace",
    );
}

#[test]
fn bundles_that_are_none() {
    let bundle = Bundle::script("true");
    let text = bundle.verb(&["create", "--bundle", bundle.path().to_str().unwrap(), &bundle.id]).failed();
    assert!(text.contains("config.json"), "{text}");
    refused(|spec| spec["root"]["path"] = json!("nowhere"), "invalid rootfs: stat");
    let bundle = Bundle::script("true");
    bundle.save();
    for id in ["a/b", "..", "a b"] {
        let text = bundle.verb(&["create", "--bundle", bundle.path().to_str().unwrap(), id]).failed();
        assert!(text.contains("invalid container ID format"), "{text}");
    }
}

#[test]
fn limits_that_cannot_be() {
    refused(
        |spec| spec["linux"]["resources"]["hugepageLimits"] = json!([{"pageSize": "3MB", "limit": 1}]),
        "error during container init: error setting cgroup config for procHooks process: ",
    );
    refused(|spec| spec["linux"]["resources"]["cpu"] = json!({"cpus": "4095"}), "/cpuset.cpus: ");
    // As little as the process that is to become the container needs is too much.
    refused(
        |spec| spec["linux"]["resources"]["memory"] = json!({"limit": 4096}),
        "container init was OOM-killed (memory limit too low?)",
    );
    refused(|spec| spec["linux"]["resources"]["devices"] = json!([{"allow": true, "type": "x"}]), "device");
}
