//! Generated scenes: a synthetic camera and labelled clips.
