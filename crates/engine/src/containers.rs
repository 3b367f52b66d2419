//! Containers: records of what tasks are made from.
