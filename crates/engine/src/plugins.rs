//! Plugins: what introspection tells about the daemon.
