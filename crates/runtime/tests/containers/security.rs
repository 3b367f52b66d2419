//! Attacks by what an image or a configuration contains, each named by its advisory where there is one.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::bundle::Bundle;

/// Files on the host that must stay as they are.
fn outside(bundle: &Bundle) -> std::path::PathBuf {
    let outside = bundle.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    outside
}

#[test]
fn mount_destinations_stay_inside_cve_2021_30465() {
    let bundle = Bundle::script("ls /absolute/deep /relative/deep >/dev/null && echo inside");
    let outside = outside(&bundle);
    symlink(&outside, bundle.rootfs().join("absolute")).unwrap();
    symlink("../../../../../../../../..", bundle.rootfs().join("up")).unwrap();
    symlink(format!("../../../../../../..{}", outside.display()), bundle.rootfs().join("relative")).unwrap();
    let bundle = ["/absolute/deep", "/relative/deep", "/up/up2"].iter().fold(bundle, |bundle, at| {
        bundle.mount(json!({"destination": at, "type": "tmpfs", "source": "tmpfs"}))
    });
    let bundle = bundle
        .mount(json!({"destination": "/absolute/file", "source": "/etc/hostname", "options": ["bind"]}));
    assert_eq!(bundle.run().ok(), "inside\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn proc_through_a_link_is_refused_cve_2019_19921() {
    let bundle = Bundle::script("true");
    std::fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    std::fs::create_dir(bundle.rootfs().join("elsewhere")).unwrap();
    symlink("/elsewhere", bundle.rootfs().join("proc")).unwrap();
    let text = bundle.run().failed().replace("\\\"", "\"");
    assert!(text.contains(r#"filesystem "proc" must be mounted on ordinary directory"#), "{text}");
}

#[test]
fn mounts_into_proc_are_refused() {
    for (destination, kind, options) in [
        ("/proc/self", "tmpfs", json!([])),
        ("/proc/sys", "bind", json!(["bind"])),
        ("/tmp/../proc/1", "tmpfs", json!([])),
    ] {
        let bundle = Bundle::script("true")
            .mount(json!({"destination": destination, "type": kind, "source": "/tmp", "options": options}));
        let text = bundle.run().failed();
        assert!(text.contains("operation not permitted"), "{text}");
    }
    let bundle = Bundle::script("cat /proc/uptime");
    std::fs::write(bundle.path().join("up"), "42\n").unwrap();
    let bundle = bundle.mount(json!({"destination": "/proc/uptime", "source": "up", "options": ["bind"]}));
    assert_eq!(bundle.run().ok(), "42\n");
}

#[test]
fn masks_use_the_hosts_null_cve_2025_31133() {
    let bundle = Bundle::script(
        "cat /secret | wc -c; ls /hidden | wc -l; touch /hidden/x 2>/dev/null || echo ro; cat /proc/keys | wc -c",
    );
    std::fs::write(bundle.rootfs().join("secret"), "secret").unwrap();
    std::fs::create_dir(bundle.rootfs().join("hidden")).unwrap();
    std::fs::write(bundle.rootfs().join("hidden/x"), "").unwrap();
    // The container's own null is a trap: a bind of something else.
    std::fs::write(bundle.path().join("trap"), "trapped").unwrap();
    let bundle =
        bundle.mount(json!({"destination": "/dev/null", "source": "trap", "options": ["bind"]})).with(
            |spec| spec["linux"]["maskedPaths"] = json!(["/secret", "/hidden", "/proc/keys", "/proc/acpi"]),
        );
    assert_eq!(bundle.run().ok(), "0\n0\nro\n0\n");
}

/// The mode is the one it has already: should the container get at the node, the host's stays whole.
#[test]
fn the_hosts_null_cannot_be_changed_through_a_mask() {
    let bundle = Bundle::script(
        "/bin/busybox chmod 666 /proc/keys 2>/dev/null || echo mode; \
         /bin/busybox chown 0:0 /proc/keys 2>/dev/null || echo owner; echo x >/proc/keys && echo written",
    );
    assert_eq!(bundle.run().ok(), "mode\nowner\nwritten\n");
}

#[test]
fn read_only_places_take_nothing() {
    let bundle = Bundle::script("echo x 2>/dev/null >/etc/x || echo no; echo x >/etc2 && echo yes");
    std::fs::create_dir_all(bundle.rootfs().join("etc")).unwrap();
    let bundle = bundle.with(|spec| spec["linux"]["readonlyPaths"] = json!(["/etc"]));
    assert_eq!(bundle.run().ok(), "no\nyes\n");
}

#[test]
fn what_cannot_be_masked_or_made_read_only_is_no_container() {
    for list in ["maskedPaths", "readonlyPaths"] {
        let bundle = Bundle::script("true").with(|spec| spec["linux"][list] = json!(["/loop"]));
        symlink("/loop", bundle.rootfs().join("loop")).unwrap();
        let text = bundle.run().failed();
        assert!(text.contains("too many levels of symbolic links"), "{list}: {text}");
        assert!(bundle.is_gone());
    }
}

#[test]
fn proc_is_nothing_but_procfs_cve_2019_16884() {
    for mount in [
        json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs"}),
        json!({"destination": "/tmp/../proc", "source": "/tmp", "options": ["bind"]}),
    ] {
        let text = Bundle::script("true").mount(mount).run().failed();
        assert!(text.contains("error mounting"), "{text}");
    }
}

/// Before its start a container's first process still is the runtime: others in its pid namespace, with no less rights,
/// see nothing of what it holds.
#[test]
fn a_sleeping_first_process_hides_its_descriptors() {
    let first = Bundle::script("true");
    first.create().ok();
    let pid = first.state()["pid"].as_i64().unwrap();
    let script = "readlink /proc/1/exe || readlink /proc/1/fd/0 || ls /proc/1/root/ || echo hidden";
    let second = Bundle::script(script).with(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces[0] = json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")});
    });
    assert_eq!(second.run().ok(), "hidden\n");
}

#[test]
fn read_only_paths_cannot_be_written() {
    let bundle = Bundle::script(
        "echo 1 > /proc/sys/net/ipv4/ip_forward 2>/dev/null || echo ro; cat /proc/sys/net/ipv4/ip_forward",
    );
    assert!(bundle.run().ok().starts_with("ro\n"));
}

#[test]
fn the_working_directory_cannot_be_a_descriptor_of_the_host_cve_2024_21626() {
    for number in 3..12 {
        let bundle = Bundle::script("pwd; ls ..")
            .with(|spec| spec["process"]["cwd"] = json!(format!("/proc/self/fd/{number}")));
        let text = bundle.run().failed();
        assert!(text.contains("chdir to cwd") || text.contains("mkdir /proc/self/fd"), "{number}: {text}");
    }
}

#[test]
fn links_in_dev_do_not_lead_out() {
    let bundle = Bundle::script("true").with(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    });
    let outside = outside(&bundle);
    std::fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(&outside, bundle.rootfs().join("dev")).unwrap();
    bundle.run().ok();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn parameters_of_the_host_are_refused() {
    for name in
        ["kernel.core_pattern", "vm.swappiness", "net/../kernel/core_pattern", "net..kernel.core_pattern"]
    {
        let bundle = Bundle::script("true").with(|spec| spec["linux"]["sysctl"] = json!({name: "trapped"}));
        let text = bundle.run().failed();
        assert!(text.contains("is not in a separate kernel namespace"), "{text}");
    }
    assert!(!std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap().contains("trapped"));
}
