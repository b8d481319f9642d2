//! What commands and the HTTP server do to a fleet alike: connect to its broker, look at it, and work on its dead letters.

pub mod dead;
pub mod desk;
pub mod eta;
pub mod look;
pub mod place;

pub use dead::Dead;
pub use desk::{Desk, NoDesk};
pub use place::{NoFleet, Place, broker, place};
