//! Transfers: images between registries, archives and the image store.
