//! Options of the runc runtime as they come in requests, and their copy in the bundle.

use model::{Error, Result};
use serde::Serialize;
use wire::Any;
use wire::api::runc::{CheckpointOptions, Options};

/// The options in a create request or a bootstrap extension; none are the default. Checkpoint options are
/// allowed and mean nothing.
pub fn parse(any: Option<&Any>) -> Result<Options> {
    let Some(any) = any.filter(|any| !(any.type_url.is_empty() && any.value.is_empty())) else {
        return Ok(Options::default());
    };
    if let Some(options) = any.unpack::<Options>() {
        return options.map_err(|e| Error::invalid(format!("runtime options: {e}")));
    }
    if any.holds::<CheckpointOptions>() {
        return Ok(Options::default());
    }
    Err(Error::invalid(format!("runtime options of type {:?} are not known here", any.type_url)))
}

/// The copy in `options.json`, under the names containerd writes.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    no_pivot_root: bool,
    #[serde(skip_serializing_if = "is_zero")]
    no_new_keyring: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    shim_cgroup: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    io_uid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    io_gid: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    binary_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    root: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    systemd_cgroup: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    criu_image_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    criu_work_path: &'a str,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The text of `options.json`.
pub fn to_json(options: &Options) -> String {
    let document = Document {
        no_pivot_root: options.no_pivot_root,
        no_new_keyring: options.no_new_keyring,
        shim_cgroup: &options.shim_cgroup,
        io_uid: options.io_uid,
        io_gid: options.io_gid,
        binary_name: &options.binary_name,
        root: &options.root,
        systemd_cgroup: options.systemd_cgroup,
        criu_image_path: &options.criu_image_path,
        criu_work_path: &options.criu_work_path,
    };
    serde_json::to_string(&document).expect("strings, numbers and booleans always have a JSON form")
}

/// Two fields of `options.json` that cleaning up needs: the directory of states and the other runtime.
pub fn root_and_program(json: &str) -> (String, String) {
    let document: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let field = |name: &str| document.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    (field("root"), field("binary_name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_unknown_and_absent() {
        let options = Options { root: "/r".into(), systemd_cgroup: true, ..Default::default() };
        assert_eq!(parse(Some(&Any::pack(&options))).expect("options"), options);
        assert_eq!(parse(None).expect("none"), Options::default());
        assert_eq!(parse(Some(&Any::default())).expect("empty"), Options::default());
        let checkpoint = Any::pack(&CheckpointOptions { exit: true, ..Default::default() });
        assert_eq!(parse(Some(&checkpoint)).expect("ignored"), Options::default());
        let other = Any::pack(&wire::api::types::Descriptor::default());
        assert_eq!(parse(Some(&other)).expect_err("refused").kind(), model::Kind::InvalidArgument);
    }

    #[test]
    fn json_both_ways() {
        assert_eq!(to_json(&Options::default()), "{}");
        let options =
            Options { binary_name: "crun".into(), io_uid: 7, root: "/r".into(), ..Default::default() };
        let json = to_json(&options);
        assert_eq!(json, r#"{"io_uid":7,"binary_name":"crun","root":"/r"}"#);
        assert_eq!(root_and_program(&json), ("/r".into(), "crun".into()));
        assert_eq!(root_and_program("nonsense"), (String::new(), String::new()));
    }
}
