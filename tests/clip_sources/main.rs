//! What a user relies on when a clip, or a folder of them, is the source.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bytes;
mod children;
mod cut;
mod ffmpeg;
mod ffmpeg_tool;
mod files;
mod folders;
mod hostile;
mod play;
#[path = "../support/watchdog.rs"]
mod watchdog;
