//! How a node's process ends where it cannot go on, as whoever supervises it learns it: beside 0, 1 (failed) and 2 (a
//! wrong configuration) two codes as sysexits.h numbers them.

use pushrail_raft::error::{Cause, RECOVERY};

/// Bytes on the disk are not what was written: the node will not start again on this directory.
const DAMAGE: u8 = 65;
/// The disk refused to write, to sync or to read: somebody should look at it first.
const DISK: u8 = 74;

/// The node did as it was asked.
pub(crate) const STOPPED: u8 = 0;
/// It could not, for a reason that has no code of its own.
pub(crate) const FAILED: u8 = 1;
/// It was told what cannot be: flags, environment, file, or a file that they name.
pub(crate) const MISCONFIGURED: u8 = 2;

pub(super) fn code(cause: Cause) -> u8 {
    match cause {
        Cause::Disk => DISK,
        Cause::Damage => DAMAGE,
        Cause::Other => FAILED,
    }
}

/// Ends the process with what it still does abandoned, as a kill would. The ordinary way out first runs the store's C++
/// destructors, under which its threads, where some are still at work, abort the process: a supervisor would see a
/// signal in place of the code.
pub(crate) fn end(code: u8) -> ! {
    signal_hook::low_level::exit(code.into())
}

/// What the process log says, and what to do.
pub(super) fn words(cause: Cause) -> String {
    match cause {
        Cause::Disk => {
            "the disk failed, ending the process: look after the disk before this node is started again"
                .to_owned()
        }
        Cause::Damage => format!("data of this node are damaged, ending the process: {RECOVERY}"),
        Cause::Other => "node failed, ending the process".to_owned(),
    }
}
