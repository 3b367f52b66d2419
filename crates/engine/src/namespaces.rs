//! Namespaces: the top of every name.
