//! The config file: TOML, unknown keys are errors.
