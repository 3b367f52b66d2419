//! The file system tree of a container.

use serde_json::json;

use crate::bundle::{Bundle, only_version_2};

#[test]
fn binds_with_attributes() {
    let bundle = Bundle::script(
        "cat /data/f /file; touch /data/x 2>/dev/null || echo ro; grep -E ' /(data|file) ' /proc/self/mounts | cut -d' ' -f2,4",
    );
    std::fs::create_dir(bundle.path().join("src")).unwrap();
    std::fs::write(bundle.path().join("src/f"), "f\n").unwrap();
    std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/cut")).unwrap();
    let source = bundle.path().join("src");
    let bundle = bundle
        .mount(json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", "ro", "nosuid", "noexec"]}))
        // Relative sources are relative to the bundle.
        .mount(json!({"destination": "/file", "type": "bind", "source": "src/f", "options": ["bind", "rw"]}));
    let out = bundle.run().ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["f", "f", "ro"]);
    assert!(lines[3].starts_with("/data ro,nosuid,noexec"), "{out}");
    assert!(lines[4].starts_with("/file rw"), "{out}");
}

#[test]
fn propagation_follows_the_words() {
    let bundle = Bundle::script("grep -E ' /(a|b|c) ' /proc/self/mountinfo");
    let shared = bundle.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let tmpfs = kernel::mount::Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..Default::default() };
    tmpfs.mount(&shared).unwrap();
    kernel::mount::change_propagation(&shared, libc::MS_SHARED).unwrap();
    let bundle = ["rprivate", "rslave", "rshared"].iter().zip(["/a", "/b", "/c"]).fold(
        bundle,
        |bundle, (word, at)| {
            bundle.mount(json!({"destination": at, "source": shared, "options": ["rbind", word]}))
        },
    );
    let said = bundle.run();
    kernel::mount::unmount(&shared, kernel::mount::Detach::Yes).unwrap();
    let out = said.ok();
    let line = |at: &str| out.lines().find(|line| line.contains(&format!(" {at} "))).unwrap().to_owned();
    assert!(!line("/a").contains("master:") && !line("/a").contains("shared:"), "{out}");
    assert!(line("/b").contains("master:") && !line("/b").contains("shared:"), "{out}");
    assert!(line("/c").contains("shared:"), "{out}");
}

#[test]
fn recursive_read_only_reaches_below() {
    let bundle =
        Bundle::script("for m in ro rro; do touch /$m/below/x 2>/dev/null && echo $m wrote; done; true");
    let top = bundle.path().join("top");
    std::fs::create_dir_all(top.join("below")).unwrap();
    let tmpfs = kernel::mount::Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..Default::default() };
    tmpfs.mount(&top.join("below")).unwrap();
    let bundle = bundle
        .mount(json!({"destination": "/ro", "source": top, "options": ["rbind", "ro"]}))
        .mount(json!({"destination": "/rro", "source": top, "options": ["rbind", "rro"]}));
    let said = bundle.run();
    kernel::mount::unmount_recursive(&top, kernel::mount::Detach::Yes).unwrap();
    assert_eq!(said.ok(), "ro wrote\n");
}

#[test]
fn tmpfs_takes_permissions_and_contents_of_what_it_hides() {
    let bundle = Bundle::script(
        "stat -c %a /keep /copy /new; cat /copy/d/f; readlink /copy/l; touch /sealed/x 2>/dev/null || echo sealed",
    );
    for name in ["keep", "copy/d", "sealed"] {
        std::fs::create_dir_all(bundle.rootfs().join(name)).unwrap();
    }
    std::fs::write(bundle.rootfs().join("copy/d/f"), "copied\n").unwrap();
    std::os::unix::fs::symlink("d/f", bundle.rootfs().join("copy/l")).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o1711);
    std::fs::set_permissions(bundle.rootfs().join("keep"), mode).unwrap();
    let tmpfs = |at: &str, options: &[&str]| json!({"destination": at, "type": "tmpfs", "source": "tmpfs", "options": options});
    let bundle = bundle
        .mount(tmpfs("/keep", &["nosuid"]))
        .mount(tmpfs("/copy", &["tmpcopyup"]))
        .mount(tmpfs("/sealed", &["ro"]))
        .mount(tmpfs("/new", &[]));
    assert_eq!(bundle.run().ok(), "1711\n755\n1777\ncopied\nd/f\nsealed\n");
}

#[test]
fn control_groups_are_shown_read_only() {
    let (folders, expected, least) = if only_version_2() { (".", 1, 1) } else { ("memory pids", 2, 6) };
    let script = format!(
        "cd /sys/fs/cgroup; for c in {folders}; do cat $c/cgroup.procs; mkdir $c/x 2>/dev/null && echo wrote; done; \
         grep -c ':/$' /proc/self/cgroup"
    );
    for namespace in [false, true] {
        let bundle = Bundle::script(&script).with(|spec| {
            if namespace {
                spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
            }
        });
        let bundle = bundle
            .mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}));
        let out = bundle.run().out;
        let (shown, rooted) = out.trim_end().rsplit_once('\n').unwrap();
        let own = shown.lines().filter(|line| *line == "1").count();
        assert_eq!((own, out.contains("wrote")), (expected, false), "{out}");
        assert_eq!(rooted.parse::<u32>().unwrap() >= least, namespace, "{out}");
    }
}

#[test]
fn devices_and_links() {
    let bundle = Bundle::script(
        "for d in null zero full random urandom tty mine; do stat -c '%n %F %t:%T %a' /dev/$d; done; stat -c %u.%g /dev/mine; \
         for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null; head -c 1 /dev/mine | wc -c",
    )
    .with(|spec| {
        spec["linux"]["devices"] = json!([{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640,
                                           "uid": 7, "gid": 8}]);
    });
    let expected = "/dev/null character special file 1:3 666\n/dev/zero character special file 1:5 666\n\
        /dev/full character special file 1:7 666\n/dev/random character special file 1:8 666\n\
        /dev/urandom character special file 1:9 666\n/dev/tty character special file 5:0 666\n\
        /dev/mine character special file 1:5 640\n7.8\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n\
        pts/ptmx\n1\n";
    assert_eq!(bundle.run().ok(), expected);
}

#[test]
fn the_root_can_be_read_only_or_moved() {
    let bundle =
        Bundle::script("touch /x 2>/dev/null || echo ro").with(|spec| spec["root"]["readonly"] = json!(true));
    assert_eq!(bundle.run().ok(), "ro\n");
    let bundle = Bundle::script("ls / | sort | head -n 1; pwd");
    bundle.save();
    let path = bundle.path().to_str().unwrap();
    assert_eq!(bundle.verb(&["run", "--no-pivot", "--bundle", path, &bundle.id]).ok(), "bin\n/\n");
    assert!(bundle.is_gone());
}

#[test]
fn a_shared_root_does_not_leak_to_the_host() {
    for word in ["shared", "rshared", "private", "rslave"] {
        let bundle =
            Bundle::script("mount -t tmpfs tmpfs /tmp; grep -c ' /tmp ' /proc/self/mounts").with(|spec| {
                spec["linux"]["rootfsPropagation"] = json!(word);
                for set in ["bounding", "permitted", "effective"] {
                    spec["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN"));
                }
            });
        assert_eq!(bundle.run().ok(), "1\n", "{word}");
        assert!(bundle.is_gone(), "{word}");
    }
}

#[test]
fn idmapped_binds_shift_owners() {
    let bundle = Bundle::script("stat -c %u.%g /m/f");
    let source = bundle.path().join("src");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("f"), "").unwrap();
    std::os::unix::fs::chown(source.join("f"), Some(1000), Some(1000)).unwrap();
    let map = json!([{"containerID": 1000, "hostID": 5000, "size": 1}]);
    let bundle = bundle
        .mount(json!({"destination": "/m", "type": "bind", "source": source, "options": ["rbind"],
        "uidMappings": map, "gidMappings": map}));
    assert_eq!(bundle.run().ok(), "5000.5000\n");
}
