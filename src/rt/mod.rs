//! Real time: pinning and scheduling class of threads.
