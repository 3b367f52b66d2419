//! The six kinds of hooks.

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A hook that appends its kind and the state it reads to a log.
fn logging(bundle: &Bundle, kind: &str) -> Value {
    let log = bundle.path().join("log");
    let script = format!("state=$(cat); echo \"{kind} $state\" >> {}", log.display());
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])
}

#[test]
fn hooks_run_in_order_with_the_right_state() {
    let bundle = Bundle::script("true");
    let outside = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let mut hooks = json!({});
    for kind in outside {
        hooks[kind] = logging(&bundle, kind);
    }
    hooks["startContainer"] =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", "cat > /started"], "env": ["PATH=/bin"]}]);
    let bundle = bundle.with(|spec| spec["hooks"] = hooks);
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    bundle.wait();
    bundle.verb(&["delete", &bundle.id]).ok();
    let log = std::fs::read_to_string(bundle.path().join("log")).unwrap();
    let mut lines = log.lines();
    for (kind, status, pid) in [
        ("prestart", "creating", "outside"),
        ("createRuntime", "creating", "outside"),
        ("createContainer", "creating", "1"),
        ("poststart", "created", "outside"),
        ("poststop", "stopped", ""),
    ] {
        let (found, state) = lines.next().unwrap().split_once(' ').unwrap();
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!((found, state["status"].as_str()), (kind, Some(status)), "{log}");
        assert_eq!(state["bundle"], bundle.path().to_str().unwrap());
        match pid {
            "" => assert_eq!(state.get("pid"), None),
            "1" => assert_eq!(state["pid"], 1),
            _ => assert!(state["pid"].as_i64().unwrap() > 1),
        }
    }
    assert!(std::fs::read_to_string(bundle.rootfs().join("started")).unwrap().contains(&bundle.id));
}

#[test]
fn failing_hooks_fail_the_create_and_leave_nothing() {
    let failing = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no; exit 3"]}]);
    for kind in ["prestart", "createRuntime", "createContainer", "poststart"] {
        let bundle = Bundle::script("true");
        let stop = logging(&bundle, "poststop");
        let bundle = bundle.with(|spec| spec["hooks"] = json!({kind: failing, "poststop": stop}));
        let text = bundle.create().failed();
        assert!(
            text.contains(&format!("error running {kind} hook #0: exit status 3, stdout: no\\n, stderr: "))
                || text.contains(&format!(
                    "error running {kind} hook #0: exit status 3, stdout: no\n, stderr: "
                )),
            "{text}"
        );
        assert_eq!(text.contains("error during container init: "), kind != "poststart", "{text}");
        assert!(bundle.is_gone(), "{kind}");
        assert!(
            std::fs::read_to_string(bundle.path().join("log")).unwrap().starts_with("poststop"),
            "{kind}"
        );
    }
}

#[test]
fn a_failing_start_hook_ends_the_container() {
    let bundle = Bundle::script("echo never").with(|spec| {
        spec["hooks"] = json!({"startContainer": [{"path": "/bin/false"}]});
    });
    let said = bundle.run();
    assert_eq!((said.status, said.out.as_str()), (255, ""));
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    let bundle = Bundle::script("true").with(|spec| {
        spec["hooks"] =
            json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
    });
    let text = bundle.create().failed();
    assert!(
        text.contains("error running createRuntime hook #0: hook ran past specified timeout of 1.0s"),
        "{text}"
    );
}

#[test]
fn a_failing_poststop_hook_hides_no_exit_status() {
    let bundle = Bundle::script("exit 7").with(|spec| {
        spec["hooks"] = json!({"poststop": [{"path": "/bin/false"}]});
    });
    let said = bundle.run();
    assert_eq!(said.status, 7, "{said:?}");
    assert!(said.err.contains("unable to destroy container: error running poststop hook #0"), "{said:?}");
    assert!(bundle.is_gone());
}

#[test]
fn hooks_without_an_environment_have_that_of_their_place() {
    let bundle = Bundle::script("true").with(|spec| {
        let hook = |script: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        spec["process"]["env"] = json!(["PATH=/bin", "A=program"]);
        spec["hooks"] = json!({
            "createRuntime": hook("test \"$GANTRY_HOOK\" = runtime"),
            "createContainer": hook("test -z \"$GANTRY_HOOK$A\""),
            "startContainer": hook("test \"$A\" = program && test \"$HOME\" = /root"),
        });
    });
    bundle.save();
    let mut command = bundle.command(&["run", "--bundle", bundle.path().to_str().unwrap(), &bundle.id]);
    let output = command.env("GANTRY_HOOK", "runtime").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
