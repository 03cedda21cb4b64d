//! Clip files and folders of clips.
