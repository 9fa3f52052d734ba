//! Whose a data directory is, and what is refused.

use super::*;

fn made(root: &Path) -> DataDir {
    let mut dir = DataDir::open(root, NodeId(1)).unwrap();
    dir.complete().unwrap();
    dir
}

fn refusal(root: &Path, node: u64) -> String {
    match DataDir::open(root, NodeId(node)) {
        Err(StartError::Refused { why, .. } | StartError::Damaged { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn each_start_has_a_larger_number_and_finds_the_cluster_again() {
    let root = tempfile::tempdir().unwrap();
    let mut first = made(root.path());
    let before = first.boot();
    assert_eq!(first.cluster(), None);
    first.join(77).unwrap();
    drop(first);

    let mut second = DataDir::open(root.path(), NodeId(1)).unwrap();

    assert_eq!(second.boot(), BootId(before.0 + 1));
    assert_eq!(second.cluster(), Some(77));
    assert!(second.join(77).is_ok());
    assert!(second.join(78).is_err());
}

#[test]
fn a_second_process_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let _held = made(root.path());

    assert!(refusal(root.path(), 1).contains("another process"));
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(made(root.path()));

    assert!(refusal(root.path(), 2).contains("belongs to node 1"));
}

#[test]
fn a_foreign_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("photo.jpg"), b"x").unwrap();

    assert!(refusal(root.path(), 1).contains("photo.jpg"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn a_half_made_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(DataDir::open(root.path(), NodeId(1)).unwrap());

    assert!(refusal(root.path(), 1).contains("interrupted"));
}

#[test]
fn a_directory_without_one_of_its_parts_is_refused() {
    for part in [IDENTITY, "log", "watermark", "seals", "state", "snapshots"] {
        let (root, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(made(root.path()));
        fs::rename(root.path().join(part), aside.path().join(part)).unwrap();

        let why = refusal(root.path(), 1);

        assert!(why.contains("missing") || why.contains("whose data"), "{why}");
        fs::rename(aside.path().join(part), root.path().join(part)).unwrap();
        assert!(DataDir::open(root.path(), NodeId(1)).is_ok());
    }
}

#[test]
fn a_damaged_identity_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(made(root.path()));
    let path = root.path().join(IDENTITY);
    let mut bytes = fs::read(&path).unwrap();
    bytes[2] ^= 1;
    fs::write(&path, bytes).unwrap();

    assert!(refusal(root.path(), 1).contains("damaged"));
}

#[test]
fn a_start_that_died_before_the_first_record_leaves_an_empty_directory() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(LOCK), b"").unwrap();
    fs::write(root.path().join("identity.new"), b"half").unwrap();

    assert!(DataDir::open(root.path(), NodeId(1)).is_ok());
}

#[test]
fn a_right_to_vote_is_remembered_and_a_new_directory_has_none() {
    let root = tempfile::tempdir().unwrap();
    let mut first = made(root.path());
    assert!(!first.votes());
    first.enfranchise().unwrap();
    drop(first);

    assert!(DataDir::open(root.path(), NodeId(1)).unwrap().votes());
}

#[test]
fn a_record_of_the_first_version_is_read_and_its_node_votes_where_it_had_joined() {
    for (cluster, votes) in [(Some(7), true), (None, false)] {
        let first = FirstIdentity {
            node: 1,
            cluster,
            boot: 4,
            complete: true,
        };
        let mut bytes = vec![1];
        bytes.extend(bincode::encode_to_vec(&first, bincode::config::standard()).unwrap());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());

        let read = parse(&bytes).unwrap();

        assert_eq!((read.boot, read.cluster, read.votes), (4, cluster, votes));
    }
}

#[test]
fn a_new_directory_under_an_old_id_begins_above_the_starts_of_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let old = made(root.path()).boot();
    fs::remove_dir_all(root.path()).unwrap();

    assert!(made(root.path()).boot() >= old);
    assert!(old.0 > 1_000_000, "seconds, not a count");
}
