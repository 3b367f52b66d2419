//! The same flags make the same spec, whoever is asked: `ctr` and `gantry` run a container, and what the runtime was
//! given is compared.

use anyhow::{Context, Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Runs a container with a client and returns its bundle's spec.
fn spec_of(daemon: &Daemon, client: Client, flags: &[&str]) -> Result<Value> {
    let run = [&["run", "-d"], flags, &[BUSYBOX, "one", "sleep", "100"]].concat();
    daemon.client_of(client, &run).succeed()?;
    let bundle =
        daemon.dir().join("state/io.containerd.runtime.v2.task").join(daemon.namespace()).join("one");
    let text = std::fs::read(bundle.join("config.json")).context("the bundle's spec")?;
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    Ok(in_order(serde_json::from_slice(&text)?))
}

/// Sets have no order: capabilities, and the rules of a seccomp profile, one for each call.
fn in_order(mut spec: Value) -> Value {
    let sets = spec["process"]["capabilities"].as_object_mut();
    for set in sets.into_iter().flat_map(|sets| sets.values_mut()).filter_map(Value::as_array_mut) {
        set.sort_by_key(Value::to_string);
    }
    if let Some(rules) = spec["linux"]["seccomp"]["syscalls"].as_array() {
        let rule = |rule: &Value, name: &Value| {
            format!("{name} {} {} {}", rule["action"], rule["errnoRet"], rule["args"])
        };
        let names = |r: &Value| r["names"].as_array().cloned().unwrap_or_default();
        let each =
            rules.iter().flat_map(|r| names(r).into_iter().map(|name| rule(r, &name)).collect::<Vec<_>>());
        spec["linux"]["seccomp"]["syscalls"] = json!(each.collect::<BTreeSet<_>>());
    }
    spec
}

/// Where two documents differ.
fn differences(path: &str, ctr: &Value, gantry: &Value) -> Vec<String> {
    let none = Value::Null;
    match (ctr, gantry) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let below = |key: &String| {
                let (a, b) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
                differences(&format!("{path}.{key}"), a, b)
            };
            keys.into_iter().flat_map(below).collect()
        }
        (a, b) if a == b => Vec::new(),
        (a, b) => vec![format!("{path}: ctr {a}, gantry {b}")],
    }
}

/// Runs all of them; what differs, differs all at once.
fn alike(combinations: &[&[&str]]) -> Result<()> {
    let daemon = crate::start(Client::Gantry)?;
    daemon.import_busybox()?;
    let mut found = Vec::new();
    for flags in combinations {
        let gantry = spec_of(&daemon, Client::Gantry, flags)?;
        let ctr = spec_of(&daemon, Client::Ctr, flags)?;
        ensure!(gantry["process"]["args"] == json!(["sleep", "100"]), "no spec: {gantry}");
        found.extend(differences("", &ctr, &gantry).into_iter().map(|d| format!("{flags:?} {d}")));
    }
    ensure!(found.is_empty(), "the clients differ:\n{}", found.join("\n"));
    daemon.finish()
}

#[test]
fn powers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for directory in ["below", "pts"] {
        std::fs::create_dir(dir.path().join(directory))?;
    }
    for (name, minor) in [("below/full", "7"), ("pts/0", "3"), ("console", "3"), ("null", "3")] {
        e2e::Program::new("mknod").arg(dir.path().join(name)).args(["c", "1", minor]).succeed()?;
    }
    let directory = dir.path().to_string_lossy();
    let devices = ["--device", "/dev/null", "--device", "/dev/full"];
    let privileged_devices = [&["--privileged", "--seccomp"][..], &devices].concat();
    alike(&[
        &[],
        &["--privileged"],
        &["--privileged", "--allow-new-privs", "--read-only"],
        &["--privileged", "--privileged-without-host-devices"],
        &["--privileged", "--cap-drop", "CAP_SYS_ADMIN"],
        &["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_CHOWN", "--cap-drop", "CAP_KILL", "--seccomp"],
        &["--allow-new-privs", "--seccomp", "--hostname", "box"],
        &devices,
        &["--device", &directory],
        &privileged_devices,
    ])
}

#[test]
fn surroundings() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("env");
    std::fs::write(&file, "# a comment\nA=1\n\nB=two words\nC\n")?;
    let file = file.to_string_lossy();
    let own = |kind: &str, file: &str| format!("{kind}:/proc/{}/ns/{file}", std::process::id());
    let (network, ipc, uts) = (own("network", "net"), own("ipc", "ipc"), own("uts", "uts"));
    let bind = "type=bind,src=/tmp,dst=/tmp,options=rbind:ro";
    let shm = "type=tmpfs,src=tmpfs,dst=/dev/shm,options=size=1m";
    alike(&[
        &["--env", "PATH=/bin:/x", "--env", "EMPTY=", "--env", "GREETING", "--env", "HOME", "--env", "A=b=c"],
        &["--env", "GREETING=a", "--env", "GREETING=b", "--env", "NEW=1", "--env", "NEW=2", "--env", "NEW"],
        &["--env-file", &file, "--env", "A", "--env", "B=3"],
        &["--net-host"],
        &["--net-host", "--env", "HOSTNAME=mine"],
        &["--user", "app", "--cwd", "/tmp"],
        &["--user", "app:bin"],
        &["--user", "1234:5678"],
        &["--mount", bind, "--mount", shm, "--mount", bind, "--rootfs-propagation", "shared"],
        &["--with-ns", &network, "--with-ns", &ipc],
        &["--with-ns", &uts, "--net-host"],
        &["--label", "a=b", "--annotation", "c=d", "--annotation", "x.y/z=1=2", "--no-pivot"],
    ])
}

#[test]
fn limits() -> Result<()> {
    alike(&[
        &["--memory-limit", "50000000", "--cpus", "0.5"],
        &["--cpu-quota", "50000"],
        &["--cpu-quota", "-1", "--cpu-period", "0"],
        &["--cpu-period", "50000", "--cpu-shares", "512"],
        &["--cpu-quota", "50000", "--cpu-period", "200000", "--cpuset-cpus", "0", "--cpuset-mems", "0"],
        &["--rlimit-nofile", "512"],
        &["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"],
    ])
}
