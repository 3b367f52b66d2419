//! The real program over a real socket: a client of its task service, a server for its events, real containers.

mod bench;
mod disk;
mod life;
mod races;
mod refusals;
mod streams;
mod whole;

/// Runs an async test body with each runtime on this host: the embedded one, then what else is installed.
macro_rules! with_runtimes {
    ($($name:ident => $body:path;)*) => {
        $(mod $name {
            #[tokio::test]
            async fn embedded() {
                $body("").await;
            }

            #[tokio::test]
            async fn runc() {
                if crate::bench::is_installed("runc") {
                    $body("runc").await;
                }
            }
        })*
    };
}
pub(crate) use with_runtimes;
