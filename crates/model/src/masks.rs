//! Field masks: which fields an update replaces.

/// The field paths of an update request, matched literally.
///
/// A mask without paths is no mask: the update then replaces every mutable field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(pub Vec<String>);

impl Mask {
    /// The paths, or `None` when everything is to be replaced.
    pub fn paths(&self) -> Option<&[String]> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}
