//! The tar format: ustar, GNU long names, PAX, base-256 numbers, PAX sparse maps.
//!
//! Reading takes every dialect; writing is ustar, with PAX records only where a value does not fit. Not here: what an
//! entry means for a layer ([`crate::apply`]), old-GNU sparse files and other entry types nobody ships in layers.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use header::{BLOCK, Entry, Extent, Kind, Time};
pub use reader::{Data, Reader};
pub use writer::Writer;
