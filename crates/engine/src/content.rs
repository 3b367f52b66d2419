//! Content: the namespaced view over blobs on a disk.
