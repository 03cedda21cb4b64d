//! What a user relies on when a clip, or a folder of them, is the source.

mod bytes;
mod ffmpeg;
mod files;
mod folders;
mod hostile;
mod play;
