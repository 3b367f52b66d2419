//! User namespaces.

use serde_json::json;

use crate::bundle::Bundle;

const FIRST: u32 = 100_000;

fn mapped(script: &str) -> Bundle {
    let bundle = Bundle::script(script).with(|spec| {
        let map = json!([{"containerID": 0, "hostID": FIRST, "size": 65_536}]);
        spec["linux"]["uidMappings"] = map.clone();
        spec["linux"]["gidMappings"] = map;
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    });
    for entry in ["", "bin", "etc", "proc", "sys", "dev", "tmp"] {
        std::os::unix::fs::chown(bundle.rootfs().join(entry), Some(FIRST), Some(FIRST)).unwrap();
    }
    bundle
}

#[test]
fn root_inside_is_nobody_outside() {
    let script = "id -u; cat /proc/self/uid_map; stat -c %u /dev/null /tmp /dev; cat /proc/self/setgroups; touch /tmp/x; ls /proc/self/fd | wc -l";
    let bundle = mapped(script).with(|spec| {
        spec["hostname"] = json!("box");
        spec["process"]["oomScoreAdj"] = json!(500);
        spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 111}]);
        spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    });
    let out = bundle.run().ok();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["0"]);
    assert_eq!(lines[1], ["0", "100000", "65536"]);
    // Device nodes are binds of the host's.
    assert_eq!((&lines[2], &lines[3], &lines[4]), (&vec!["65534"], &vec!["0"], &vec!["0"]));
    assert_eq!(lines[5], ["allow"]);
    let made = std::fs::metadata(bundle.rootfs().join("tmp/x")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), FIRST);
    assert!(bundle.is_gone());
}

#[test]
fn sources_that_users_cannot_reach_are_bound() {
    let bundle = mapped("cat /data/f");
    let secret = bundle.path().join("secret");
    std::fs::create_dir_all(secret.join("data")).unwrap();
    std::fs::write(secret.join("data/f"), "reached\n").unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&secret, mode).unwrap();
    let source = secret.join("data");
    let bundle = bundle
        .mount(json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", "ro"]}));
    assert_eq!(bundle.run().ok(), "reached\n");
}

#[test]
fn later_processes_join_the_users_too() {
    let bundle = mapped("exec sleep 1000");
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    let out = bundle.verb(&["exec", &bundle.id, "sh", "-c", "id -u; cat /proc/self/uid_map; echo $$"]).ok();
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words[..4], ["0", "0", "100000", "65536"]);
}

#[test]
fn a_second_container_joins_the_users_of_the_first() {
    let first = mapped("exec sleep 1000").with(|spec| spec["hostname"] = json!("first"));
    first.create().ok();
    first.verb(&["start", &first.id]).ok();
    let pid = first.state()["pid"].as_i64().unwrap();
    let second = mapped("hostname; id -u; echo $$; readlink /proc/self/ns/user").with(|spec| {
        for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
            let file = match namespace["type"].as_str().unwrap() {
                "network" => "net",
                "mount" | "pid" => continue,
                other => other,
            };
            namespace["path"] = json!(format!("/proc/{pid}/ns/{file}"));
        }
    });
    let users = std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    assert_eq!(second.run().ok(), format!("first\n0\n1\n{}\n", users.display()));
}

#[test]
fn a_new_user_namespace_beside_a_joined_network() {
    let first = Bundle::script("exec sleep 1000");
    first.create().ok();
    let pid = first.state()["pid"].as_i64().unwrap();
    let second = mapped("id -u; readlink /proc/self/ns/net").with(|spec| {
        for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "network" {
                namespace["path"] = json!(format!("/proc/{pid}/ns/net"));
            }
        }
        // sysfs belongs to the network namespace, which the new users do not own.
        spec["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "sysfs");
    });
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(second.run().ok(), format!("0\n{}\n", net.display()));
}
