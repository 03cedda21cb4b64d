//! Which cores threads may be pinned to.
//!
//! Guarantees: [`cores`] is what the scheduler may use for this thread;
//! [`usable_cores`] adds those that the kernel was told to keep to itself
//! (`isolcpus=`), which are nobody's until a thread is pinned to one. A process
//! that its user confined to some cores (`taskset`, a cpuset) stays there.
//!
//! Cost: a system call and two small files, at start.

use std::path::Path;

/// Cores that the calling thread may run on, in rising order.
#[must_use]
pub fn cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .into_iter()
        .map(|core| core.id)
        .collect();
    cores.sort_unstable();
    cores
}

/// Cores that a thread may be pinned to, in the order of their use: an isolated
/// one is second, where the placement puts infer.
#[must_use]
pub fn usable_cores() -> Vec<usize> {
    let list = |name: &str| {
        let file = Path::new("/sys/devices/system/cpu").join(name);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        parse_list(&text)
    };
    usable(&cores(), &list("online"), &list("isolated"))
}

/// [`usable_cores`] of a thread that may run on `allowed`.
#[must_use]
pub fn usable(allowed: &[usize], online: &[usize], isolated: &[usize]) -> Vec<usize> {
    let (apart, common): (Vec<usize>, Vec<usize>) =
        online.iter().partition(|core| isolated.contains(core));
    if apart.is_empty() || common != allowed {
        return allowed.to_vec();
    }
    let (first, rest) = common.split_at(common.len().min(1));
    let mut order = first.to_vec();
    order.extend(apart);
    order.extend(rest);
    order
}

/// The numbers in one of the kernel's lists of cores: `0-2,5` is 0, 1, 2, 5.
/// What is no number is left out.
#[must_use]
pub fn parse_list(text: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<usize>(), to.parse::<usize>()) {
            // The kernel knows 8192 cores at most; a broken list must not eat memory.
            cores.extend((from..=to).take(8192));
        }
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_list("3"), [3]);
        for none in ["", "\n", "(null)\n", "a-b", "7-3"] {
            assert_eq!(parse_list(none), [0; 0], "{none:?}");
        }
        assert_eq!(parse_list("0-18446744073709551615").len(), 8192);
    }

    #[test]
    fn an_isolated_core_is_there_for_infer() {
        assert_eq!(usable(&[0], &[0, 1], &[1]), [0, 1]);
        assert_eq!(usable(&[0, 1, 2], &[0, 1, 2, 3], &[3]), [0, 3, 1, 2]);
        assert_eq!(usable(&[1, 2], &[0, 1, 2], &[0]), [1, 0, 2]);
    }

    #[test]
    fn a_confined_process_stays_where_it_is() {
        assert_eq!(usable(&[0], &[0, 1, 2, 3], &[3]), [0]);
        assert_eq!(usable(&[0, 1], &[0, 1], &[]), [0, 1]);
        assert_eq!(usable(&[0, 1], &[], &[]), [0, 1]);
    }

    #[test]
    fn this_machine_has_cores() {
        let (cores, usable) = (cores(), usable_cores());
        assert!(!cores.is_empty());
        assert!(cores.iter().all(|core| usable.contains(core)));
    }
}
