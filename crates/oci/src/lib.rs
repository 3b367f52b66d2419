//! Digests, descriptors, manifests, references, platforms and the runtime spec as pure values.

pub mod runtime;
