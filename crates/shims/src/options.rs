//! What is refused before anything is made.

use model::{Any, Error, Mount, Result, containers::Container};
use wire::api::runc;

/// Documents that are no messages but have a registered name too.
const DOCUMENTS: [&str; 5] = [
    wire::typeurl::OCI_SPEC,
    wire::typeurl::OCI_PROCESS,
    wire::typeurl::OCI_LINUX_RESOURCES,
    wire::typeurl::OCI_WINDOWS_RESOURCES,
    wire::typeurl::OCI_FEATURES,
];
/// Prefixes of mount types that only a daemon with mount handlers can perform.
const HANDLED: [&str; 3] = ["format/", "mkfs/", "mkdir/"];

/// The options of a request to create a task, decoded when they are there.
///
/// # Errors
/// For any type but runc's options, with the texts containerd's clients know.
pub(crate) fn parse(options: Option<&Any>, runtime: &str) -> Result<Option<runc::Options>> {
    let Some(any) = options.cloned().map(wire::Any::from) else { return Ok(None) };
    match any.unpack::<runc::Options>() {
        Some(Ok(options)) => Ok(Some(options)),
        Some(Err(_)) => Err(Error::unknown("proto: cannot parse invalid wire-format data")),
        None if is_registered(&any) => {
            Err(Error::unknown(format!("invalid task create option for {runtime}")))
        }
        None => Err(Error::unknown(format!("type with url {}: not found", any.type_url))),
    }
}

/// The address and version of a sandbox' task API, as older clients give them.
#[expect(deprecated, reason = "the request has fields of its own for them; older clients do not know these")]
pub(crate) fn task_api(options: runc::Options) -> (String, u32) {
    (options.task_api_address, options.task_api_version)
}

fn is_registered(any: &wire::Any) -> bool {
    DOCUMENTS.contains(&any.type_url.as_str())
        || wire::typeurl::messages().iter().any(|(name, _)| *name == any.name())
}

/// A container's spec must be an OCI spec in JSON.
///
/// # Errors
/// With the texts containerd's clients know, as far as they do not name Go's types.
pub(crate) fn check_spec(container: &Container) -> Result<()> {
    let Some(spec) = &container.spec else {
        return Err(Error::invalid(format!("container {:?}: spec must be set", container.id)));
    };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&spec.value) {
        return Err(Error::unknown(json_text(&spec.value, &error)).with_source(error));
    }
    if spec.type_url != model::any::SPEC_URL {
        let text = format!("type with url {}: not found", spec.type_url);
        return Err(Error::unknown(text).during("failed to validate OCI runtime features: unmarshal spec"));
    }
    Ok(())
}

fn json_text(value: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let text = String::from_utf8_lossy(value);
    match text.trim_start().chars().next() {
        Some(first) if !first.is_ascii_digit() && !"{[\"-tfn".contains(first) => {
            format!("invalid character {first:?} looking for beginning of value")
        }
        _ => error.to_string(),
    }
}

/// Refuses mounts that a shim cannot perform.
pub(crate) fn check_mounts(mounts: &[Mount]) -> Result<()> {
    let handled = |mount: &&Mount| HANDLED.iter().any(|prefix| mount.kind.starts_with(prefix));
    match mounts.iter().find(handled) {
        Some(mount) => Err(Error::not_implemented(format!("mount type {:?}", mount.kind))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let any = |url: &str, value: &'static [u8]| Any { type_url: url.to_owned(), value: value.into() };
        for (options, text) in [
            (any("", b""), "type with url : not found"),
            (any("nobody.knows", b""), "type with url nobody.knows: not found"),
            (any("containerd.runc.v1.CheckpointOptions", b""), "invalid task create option for io.x.v1"),
            (any(model::any::SPEC_URL, b"{}"), "invalid task create option for io.x.v1"),
            (any("containerd.runc.v1.Options", b"\x1a\xff"), "proto: cannot parse invalid wire-format data"),
        ] {
            assert_eq!(parse(Some(&options), "io.x.v1").expect_err(text).text(), text);
        }
        let good = any("type.googleapis.com/containerd.runc.v1.Options", b"\x08\x01");
        assert!(parse(Some(&good), "").expect("options").is_some_and(|o| o.no_pivot_root));
    }

    #[test]
    fn specs_that_are_none() {
        let any = |url: &str, value: &'static [u8]| Any { type_url: url.to_owned(), value: value.into() };
        for (given, text) in [
            (None, "container \"a\": spec must be set: invalid argument"),
            (Some(any(model::any::SPEC_URL, b"")), "unexpected end of JSON input"),
            (Some(any(model::any::SPEC_URL, b"{\"a\":")), "unexpected end of JSON input"),
            (Some(any(model::any::SPEC_URL, b"xyz")), "invalid character 'x' looking for beginning of value"),
            (
                Some(any("my.own.Spec", b"{}")),
                "failed to validate OCI runtime features: unmarshal spec: type with url my.own.Spec: not found",
            ),
        ] {
            let container = Container { id: "a".to_owned(), spec: given, ..Container::default() };
            assert_eq!(check_spec(&container).expect_err(text).text(), text);
        }
    }

    #[test]
    fn mounts_that_need_a_handler() {
        let mount = |kind: &str| Mount { kind: kind.to_owned(), ..Mount::default() };
        assert!(check_mounts(&[mount("overlay"), mount("bind")]).is_ok());
        let error = check_mounts(&[mount("bind"), mount("format/mkdir/overlay")]).expect_err("handled");
        assert_eq!(error.text(), "mount type \"format/mkdir/overlay\": not implemented");
    }
}
