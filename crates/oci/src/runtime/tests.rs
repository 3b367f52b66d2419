//! Round trips and lenient reading of the runtime specification.

use serde_json::{Value, json};

use super::*;

fn full() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "terminal": true, "consoleSize": {"height": 24, "width": 80},
            "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [3, 4]},
            "args": ["sh"], "env": ["A=b"], "cwd": "/",
            "capabilities": {"bounding": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2, "soft": 1}],
            "noNewPrivileges": true, "oomScoreAdj": 0,
            "scheduler": {"policy": "SCHED_DEADLINE", "nice": -3, "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1},
            "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
            "execCPUAffinity": {"initial": "0", "final": "1"}
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "h", "domainname": "d",
        "mounts": [{"destination": "/x", "type": "bind", "source": "/y", "options": ["rbind"],
                    "uidMappings": [{"containerID": 0, "hostID": 9, "size": 1}]}],
        "hooks": {"createRuntime": [{"path": "/h", "args": ["h"], "env": ["K=v"], "timeout": 3}]},
        "annotations": {"a": "b"},
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}],
                "memory": {"limit": -1, "kernelTCP": 1, "disableOOMKiller": false, "checkBeforeUpdate": true},
                "cpu": {"shares": 2, "burst": 1, "cpus": "0-1", "idle": 1},
                "pids": {"limit": 0},
                "blockIO": {"weight": 10, "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 9}]},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
                "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 1}]},
                "rdma": {"mlx5_1": {"hcaHandles": 3}},
                "unified": {"memory.high": "1"}
            },
            "cgroupsPath": "/a/b",
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}],
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0}],
            "netDevices": {"eth1": {"name": "eth0"}, "eth2": {}},
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86"],
                        "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/s", "listenerMetadata": "m",
                        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 0,
                                      "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_EQ"}]}]},
            "rootfsPropagation": "shared", "maskedPaths": ["/m"], "readonlyPaths": ["/r"], "mountLabel": "l",
            "intelRdt": {"closID": "c", "schemata": ["L3:0=f"], "l3CacheSchema": "L3", "enableMonitoring": true},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "personality": {"domain": "LINUX32"},
            "timeOffsets": {"boottime": {"secs": 1, "nanosecs": 2}}
        },
        "windows": {"layerFolders": ["C:\\"]}
    })
}

#[test]
fn every_field_survives_a_round_trip() {
    let spec: Spec = serde_json::from_value(full()).unwrap();
    assert_eq!(serde_json::to_value(&spec).unwrap(), full());
}

#[test]
fn unknown_and_null_fields_are_accepted() {
    let text = r#"{"ociVersion":"1.0.0","future":[1],"mounts":null,"process":{"args":null,"cwd":"/","user":null,
        "capabilities":{"bounding":null}},"linux":{"seccomp":{"defaultAction":"x","syscalls":[{"names":null}]}}}"#;
    let spec: Spec = serde_json::from_str(text).unwrap();
    assert!(spec.mounts.is_empty());
    assert_eq!(spec.process.unwrap().user, User::default());
}

#[test]
fn required_fields_are_written_although_empty() {
    let spec = Spec { process: Some(Process::default()), root: Some(Root::default()), ..Spec::default() };
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(text, r#"{"ociVersion":"","process":{"user":{"uid":0,"gid":0},"cwd":""},"root":{"path":""}}"#);
}

#[test]
fn features_and_state_round_trip() {
    let features = json!({
        "ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0", "hooks": ["prestart"], "mountOptions": ["ro"],
        "linux": {"namespaces": ["pid"], "cgroup": {"v1": true, "systemdUser": false},
                  "seccomp": {"enabled": true, "knownFlags": ["SECCOMP_FILTER_FLAG_LOG"]},
                  "intelRdt": {"enabled": false}, "mountExtensions": {"idmap": {"enabled": true}},
                  "netDevices": {"enabled": true}, "memoryPolicy": {"modes": ["MPOL_BIND"]}},
        "potentiallyUnsafeConfigAnnotations": ["x"]
    });
    let read: Features = serde_json::from_value(features.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), features);
    let state = json!({"ociVersion": "1.3.0", "id": "a", "status": "stopped", "bundle": "/b"});
    let read: State = serde_json::from_value(state.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), state);
}
