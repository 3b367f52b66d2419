//! Field masks and labels, the same for every noun.

use model::{Error, Kind, Labels, Mask, Result, labels};

/// Takes the labels that a mask path names from a request: `labels` or `labels.<key>`. `false` for another path.
pub(crate) fn take_labels(labels: &mut Labels, path: &str, request: &Labels) -> bool {
    take_map(("labels", labels), path, request)
}

/// The same for a map under another name.
pub(crate) fn take_map((name, map): (&str, &mut Labels), path: &str, request: &Labels) -> bool {
    if path == name {
        map.clone_from(request);
        return true;
    }
    match path.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) {
        Some(key) => {
            map.insert(key.to_owned(), request.get(key).cloned().unwrap_or_default());
            true
        }
        None => false,
    }
}

/// Applies a mask to the labels of an object that has nothing else to change; `what` names it in the refusal.
pub(crate) fn update_labels(stored: &Labels, request: &Labels, mask: &Mask, what: &str) -> Result<Labels> {
    let mut updated = stored.clone();
    match mask.paths() {
        None => updated.clone_from(request),
        Some(paths) => {
            for path in paths {
                if !take_labels(&mut updated, path, request) {
                    return Err(refused(path, what));
                }
            }
        }
    }
    Ok(updated)
}

/// A path that may not be written.
pub(crate) fn refused(path: &str, what: &str) -> Error {
    Error::invalid(format!("cannot update {path:?} field on {what}"))
}

/// The labels as they are stored: without empty values, and none without a key.
///
/// # Errors
/// `Unknown`, with the text of the database that clients know.
pub(crate) fn storable(labels: &Labels) -> Result<Labels> {
    match labels.get("") {
        Some(value) if !value.is_empty() => {
            Err(Error::new(Kind::Unknown, format!("failed to set label \"\"={value:?}: key required")))
        }
        _ => Ok(labels::without_empty(labels)),
    }
}

/// A filter error as the nouns report it that say the class twice.
pub(crate) fn twice(error: Error) -> Error {
    Error::invalid(error.text())
}
