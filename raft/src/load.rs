//! How much a batch or an entry holds, as the door and the proposer put them together: bytes, and the work that these
//! do not tell.

use pushrail_model::limits;

/// Bytes and weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Of the encoded commands.
    pub(crate) bytes: usize,
    /// By `Command::weight`.
    pub(crate) weight: usize,
}

impl Load {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            weight: self.weight.saturating_add(other.weight),
        }
    }

    /// Whether it is no more than an entry should hold. What one command alone makes of it is beyond reach here.
    pub(crate) fn is_wanted(self) -> bool {
        self.bytes <= limits::ENTRY_BYTES_WANTED && self.weight <= limits::ENTRY_WEIGHT_WANTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_full_by_its_bytes_or_by_the_work_that_it_is() {
        let small = Load {
            bytes: 80,
            weight: 256,
        };
        let all = |count: usize| (0..count).fold(Load::default(), |load, _| load.and(small));

        let fit = limits::ENTRY_WEIGHT_WANTED / 256;
        assert!(all(fit).is_wanted());
        assert!(!all(fit + 1).is_wanted());
        assert!(
            !all(1)
                .and(Load {
                    bytes: limits::ENTRY_BYTES_WANTED,
                    weight: 1,
                })
                .is_wanted()
        );
    }
}
