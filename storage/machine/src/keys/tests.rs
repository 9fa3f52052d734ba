//! Keys sort as what they are made of, and are read back as they were written.

use proptest::prelude::*;

use super::*;

/// Small and large numbers both, so that every byte of a part is met.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..3u64, 250..260u64, any::<u64>()]
}

fn due_key() -> impl Strategy<Value = DueKey> {
    (0..1024u16, number(), number(), number(), number(), number()).prop_map(
        |(shard, tenant, destination, due, index, position)| DueKey {
            shard: ShardId::new(shard).unwrap(),
            tenant: TenantNo(low(tenant)),
            destination: DestinationNo(low(destination)),
            due: Timestamp(due),
            seq: EventSeq {
                index,
                position: low(position),
            },
        },
    )
}

fn attempt_key() -> impl Strategy<Value = AttemptKey> {
    (due_key(), number(), number(), number(), number()).prop_map(|(due, day, run, number, epoch)| {
        AttemptKey {
            day: low(day),
            partition: due.shard.partition(),
            tenant: due.tenant,
            destination: due.destination,
            start: due.due,
            seq: due.seq,
            run: Run(low(run)),
            number: AttemptNumber(low(number)),
            epoch: Epoch(epoch),
        }
    })
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap()
}

fn comes_back<K: Key + PartialEq + std::fmt::Debug>(key: &K) {
    let bytes = key.encode();
    assert_eq!(K::decode(&bytes).as_ref(), Some(key));
    assert_eq!(K::decode(&bytes[..bytes.len() - 1]), None);
    assert_eq!(K::decode(&[bytes.as_slice(), &[0]].concat()), None);
}

proptest! {
    #[test]
    fn keys_come_back_from_their_bytes_and_sort_as_their_parts(
        one in attempt_key(), other in attempt_key(), due in due_key(), later in due_key(),
    ) {
        comes_back(&one);
        comes_back(&one.by_tenant());
        comes_back(&due);

        prop_assert_eq!(one.cmp(&other), one.encode().cmp(&other.encode()));
        prop_assert_eq!(one.by_tenant().cmp(&other.by_tenant()), one.by_tenant().encode().cmp(&other.by_tenant().encode()));
        prop_assert_eq!(due.cmp(&later), due.encode().cmp(&later.encode()));
    }
}

#[test]
fn a_key_of_tenant_data_begins_with_partition_and_tenant() {
    let name = DestinationNameKey {
        partition: Partition::new(33).unwrap(),
        tenant: TenantNo(7),
        id: "hook".parse().unwrap(),
    };

    let bytes = name.encode();

    assert_eq!(bytes, [&[0, 33, 0, 0, 0, 7], b"hook".as_slice()].concat());
    assert_eq!(DestinationNameKey::decode(&bytes), Some(name));
    assert_eq!(DestinationNameKey::decode(&bytes[..6]), None, "no name is empty");
}

#[test]
fn a_partition_or_shard_beyond_the_last_is_no_key() {
    assert_eq!(AssignmentKey::decode(&[4, 0]), None);
    assert_eq!(TenantKey::decode(&[0, 64, 0, 0, 0, 1]), None);
    assert_eq!(ClockKey::decode(&[2]), None, "another row of the same table");
}

#[test]
fn a_request_comes_back_from_its_key_whatever_its_id_is_made_of() {
    for id in ["r1", "", "a\0b", "zwölf/7"] {
        let key = RequestKey {
            partition: Partition::new(33).unwrap(),
            tenant: Ended("acme".parse().unwrap()),
            sort: 2,
            object: Ended("hook".to_owned()),
            act: 6,
            id: id.to_owned(),
        };
        let expiry = key.expiry(Timestamp(0));

        assert_eq!(RequestKey::decode(&key.encode()), Some(key.clone()));
        assert_eq!(RequestExpiryKey::decode(&expiry.encode()), Some(expiry.clone()));
        assert_eq!(expiry.request(), key);
    }
}
