//! How many files this process may hold open at once. Services are commonly started with a low soft limit and a high
//! hard one, so that old programs that use `select` go on working; others raise it themselves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// What a busy node holds: the state's files (1,024), connections to receivers, to callers and to peers.
const WANTED: u64 = 8192;

/// Raises the limit as far as it goes, and says where that is not far enough.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!(%error, "the limit of open files cannot be raised");
        }
    }
    // None is no limit.
    let limit = getrlimit(Resource::Nofile).current;
    if let Some(limit) = limit.filter(|limit| *limit < WANTED) {
        warn!(
            limit,
            wanted = WANTED,
            "few files may be open at once (ulimit -n, LimitNOFILE): under load connections fail, and the node ends when its \
             state cannot open one"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let low = Rlimit {
            current: Some(256),
            maximum: hard,
        };
        setrlimit(Resource::Nofile, low).unwrap();

        raise_limit();

        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
