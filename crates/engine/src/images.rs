//! Images: names for descriptors.
