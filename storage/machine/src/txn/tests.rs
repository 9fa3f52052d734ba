//! A transaction shows what its base would after the commit, in both directions.

use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;

use crate::memory::MemoryStore;
use crate::store::{Direction, KeyRange, Read, Table};
use crate::txn::Txn;

const TABLE: Table = Table::Routes;

#[derive(Clone, Debug)]
enum Write {
    Put(u8, u8),
    Delete(u8),
    DeleteRange(u8, u8),
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0..32u8, any::<u8>()).prop_map(|(key, value)| Write::Put(key, value)),
        2 => (0..32u8).prop_map(Write::Delete),
        1 => (0..32u8, 0..34u8).prop_map(|(start, end)| Write::DeleteRange(start, end)),
    ]
}

fn perform(txn: &mut Txn<'_>, write: &Write) {
    match *write {
        Write::Put(key, value) => txn.put(TABLE, vec![key], Bytes::copy_from_slice(&[value])),
        Write::Delete(key) => txn.delete(TABLE, vec![key]),
        Write::DeleteRange(start, end) => txn.delete_range(TABLE, vec![start], vec![end]),
    }
}

fn rows(read: &dyn Read, range: KeyRange, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    read.scan(TABLE, range, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        Ok(if rows.len() >= limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    rows
}

proptest! {
    #[test]
    fn a_txn_shows_what_its_store_will_hold(
        before in prop::collection::vec(write(), 0..40),
        pending in prop::collection::vec(write(), 0..40),
        start in 0..34u8,
        end in prop::option::of(0..34u8),
        descending: bool,
        limit in 1..20usize,
    ) {
        let mut store = MemoryStore::default();
        let mut txn = Txn::new(&store);
        before.iter().for_each(|write| perform(&mut txn, write));
        let changes = txn.into_changes();
        store.commit(&changes);

        let mut txn = Txn::new(&store);
        pending.iter().for_each(|write| perform(&mut txn, write));
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        let range = KeyRange { start: vec![start], end: end.map(|end| vec![end]), direction };
        let seen = rows(&txn, range.clone(), limit);
        let got: Vec<_> = (0..34).map(|key| txn.get(TABLE, &[key]).unwrap()).collect();
        let changes = txn.into_changes();
        let mut after = store.clone();
        after.commit(&changes);

        prop_assert_eq!(seen, rows(&after, range, limit));
        let held: Vec<_> = (0..34).map(|key| after.get(TABLE, &[key]).unwrap()).collect();
        prop_assert_eq!(got, held);
    }
}

#[test]
fn a_row_put_after_its_range_was_deleted_stays() {
    let mut store = MemoryStore::default();
    let mut txn = Txn::new(&store);

    txn.put(TABLE, vec![3], Bytes::from_static(b"old"));
    txn.delete_range(TABLE, vec![0], vec![9]);
    txn.put(TABLE, vec![4], Bytes::from_static(b"new"));
    let changes = txn.into_changes();
    store.commit(&changes);

    let all = rows(&store, KeyRange::prefix(&[]), usize::MAX);
    assert_eq!(all, [(vec![4], b"new".to_vec())]);
}
