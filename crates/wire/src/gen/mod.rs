//! Messages and services, nested as their protobuf packages are.
//!
//! Generated from `proto/` by `cargo xtask codegen`; edit those files, not these.

pub mod containerd {
    pub mod events {
        include!("containerd.events.rs");
    }
    pub mod runc {
        pub mod v1 {
            include!("containerd.runc.v1.rs");
        }
    }
    pub mod runhcs {
        pub mod v1 {
            include!("containerd.runhcs.v1.rs");
        }
    }
    pub mod runtime {
        pub mod bootstrap {
            pub mod v1 {
                include!("containerd.runtime.bootstrap.v1.rs");
            }
        }
        pub mod sandbox {
            pub mod v1 {
                include!("containerd.runtime.sandbox.v1.rs");
            }
        }
    }
    pub mod services {
        pub mod containers {
            pub mod v1 {
                include!("containerd.services.containers.v1.rs");
            }
        }
        pub mod content {
            pub mod v1 {
                include!("containerd.services.content.v1.rs");
            }
        }
        pub mod diff {
            pub mod v1 {
                include!("containerd.services.diff.v1.rs");
            }
        }
        pub mod events {
            pub mod ttrpc {
                pub mod v1 {
                    include!("containerd.services.events.ttrpc.v1.rs");
                }
            }
            pub mod v1 {
                include!("containerd.services.events.v1.rs");
            }
        }
        pub mod images {
            pub mod v1 {
                include!("containerd.services.images.v1.rs");
            }
        }
        pub mod introspection {
            pub mod v1 {
                include!("containerd.services.introspection.v1.rs");
            }
        }
        pub mod leases {
            pub mod v1 {
                include!("containerd.services.leases.v1.rs");
            }
        }
        pub mod mounts {
            pub mod v1 {
                include!("containerd.services.mounts.v1.rs");
            }
        }
        pub mod namespaces {
            pub mod v1 {
                include!("containerd.services.namespaces.v1.rs");
            }
        }
        pub mod sandbox {
            pub mod v1 {
                include!("containerd.services.sandbox.v1.rs");
            }
        }
        pub mod snapshots {
            pub mod v1 {
                include!("containerd.services.snapshots.v1.rs");
            }
        }
        pub mod streaming {
            pub mod v1 {
                include!("containerd.services.streaming.v1.rs");
            }
        }
        pub mod tasks {
            pub mod v1 {
                include!("containerd.services.tasks.v1.rs");
            }
        }
        pub mod transfer {
            pub mod v1 {
                include!("containerd.services.transfer.v1.rs");
            }
        }
        pub mod version {
            pub mod v1 {
                include!("containerd.services.version.v1.rs");
            }
        }
    }
    pub mod task {
        pub mod v2 {
            include!("containerd.task.v2.rs");
        }
        pub mod v3 {
            include!("containerd.task.v3.rs");
        }
    }
    pub mod types {
        include!("containerd.types.rs");
        pub mod transfer {
            include!("containerd.types.transfer.rs");
        }
    }
    pub mod v1 {
        pub mod types {
            include!("containerd.v1.types.rs");
        }
    }
}
pub mod google {
    pub mod rpc {
        include!("google.rpc.rs");
    }
}
pub mod grpc {
    pub mod health {
        pub mod v1 {
            include!("grpc.health.v1.rs");
        }
    }
}
pub mod io {
    pub mod containerd {
        pub mod cgroups {
            pub mod v1 {
                include!("io.containerd.cgroups.v1.rs");
            }
            pub mod v2 {
                include!("io.containerd.cgroups.v2.rs");
            }
        }
    }
}
pub mod runtimeoptions {
    pub mod v1 {
        include!("runtimeoptions.v1.rs");
    }
}

pub(crate) mod shapes {
    include!("shapes.rs");
}
