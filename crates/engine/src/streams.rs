//! Streams: named pipes between a client and the service that looks their name up.
