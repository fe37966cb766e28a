//! The capability through the gateway, on each engine there is.

mod authority;
mod clash;
mod device;
mod exports;
mod fixture;
mod introduce;
mod refusal;
mod restart;
mod transfer;
mod world;
