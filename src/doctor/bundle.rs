//! The network that a run needs.

use super::host::quoted;
use super::{Check, State, Subject};
use crate::config::shipped;
use crate::engine::bundle::Bundle;
use crate::gates::Gates;
use std::path::{Path, PathBuf};

/// Whether the bundle is whole and its heads open under the exit policy.
pub(super) fn bundle(subject: &Subject<'_>) -> Check {
    const ID: &str = "bundle";
    const WHY: &str = "network, heads and thresholds have to be those that were exported together";
    const SHIPPED: &str = "engines/mobilenetv2-e5";
    let given = subject.config.bundle.path.as_deref();
    let Some(dir) = found(given, SHIPPED) else {
        return Check::new(
            ID,
            WHY,
            State::Fail,
            format!("{SHIPPED} is not to be found"),
        )
        .fix("find / -xdev -name bundle.toml 2>/dev/null # name one of the folders with --bundle");
    };
    let bundle = match Bundle::open(&dir) {
        Ok(bundle) => bundle,
        Err(error) => {
            return Check::new(ID, WHY, State::Fail, error.to_string()).fix(format!(
                "e4 bundle check {} # after copying it anew",
                quoted(&dir)
            ));
        }
    };
    if let Err(error) = Gates::open(&bundle, subject.config.exit.policy) {
        return Check::new(ID, WHY, State::Fail, error.to_string())
            .fix("e4 run --exit-policy gates");
    }
    let digest = bundle.digest().get(..12).unwrap_or_default();
    let name = &bundle.manifest().name;
    let found = format!("{name}, sha256 {digest}..., {}", dir.display());
    Check::new(ID, WHY, State::Ok, found)
}

/// What is given, or what is shipped where that is to be found.
pub(super) fn found(given: Option<&Path>, ships: &str) -> Option<PathBuf> {
    let given = given.map(Path::to_owned);
    given.or_else(|| shipped(Path::new(ships)))
}
