//! What every message between nodes bears, and how it is read: who speaks, to whom, of which cluster, in which start.

use pushrail_model::ids::{BootId, NodeId};
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

use crate::rivals::Start;

const CLUSTER: &str = "pushrail-cluster";
const SOURCE: &str = "pushrail-source";
const TARGET: &str = "pushrail-target";
const BOOT: &str = "pushrail-boot";
const RUN: &str = "pushrail-run";

/// The marks of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Who speaks.
    pub(crate) source: NodeId,
    /// Who is meant.
    pub(crate) target: NodeId,
    /// The speaker's cluster, once it knows its name.
    pub(crate) cluster: Option<u128>,
    /// The speaker's present start.
    pub(crate) start: Start,
}

impl Marks {
    /// Puts them on a message.
    pub(crate) fn write(&self, metadata: &mut MetadataMap) {
        insert(metadata, SOURCE, &self.source.to_string());
        insert(metadata, TARGET, &self.target.to_string());
        if let Some(cluster) = self.cluster {
            insert(metadata, CLUSTER, &format!("{cluster:032x}"));
        }
        insert(metadata, BOOT, &self.start.boot.to_string());
        insert(metadata, RUN, &format!("{:032x}", self.start.run));
    }

    /// Reads those of a message.
    pub(crate) fn read(metadata: &MetadataMap) -> Result<Self, Status> {
        let run = hex(metadata, RUN)?.ok_or_else(|| {
            Status::invalid_argument(format!(
                "`{RUN}` is missing, which tells a node from a copy of it"
            ))
        })?;
        let start = Start {
            boot: BootId(number(metadata, BOOT)?),
            run,
        };
        Ok(Self {
            source: NodeId(number(metadata, SOURCE)?),
            target: NodeId(number(metadata, TARGET)?),
            cluster: hex(metadata, CLUSTER)?,
            start,
        })
    }
}

fn insert(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    let value = AsciiMetadataValue::try_from(value).expect("digits and hex digits are ASCII");
    metadata.insert(name, value);
}

fn number(metadata: &MetadataMap, name: &'static str) -> Result<u64, Status> {
    metadata
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or_else(|| Status::invalid_argument(format!("`{name}` is missing or not a whole number")))
}

fn hex(metadata: &MetadataMap, name: &'static str) -> Result<Option<u128>, Status> {
    let Some(value) = metadata.get(name) else {
        return Ok(None);
    };
    u128::from_str_radix(value.to_str().unwrap_or_default(), 16)
        .map(Some)
        .map_err(|_| Status::invalid_argument(format!("`{name}` is not 32 hex digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_went() {
        let all = Marks {
            source: NodeId(1),
            target: NodeId(2),
            cluster: Some(7),
            start: Start {
                boot: BootId(5),
                run: u128::MAX,
            },
        };
        let few = Marks { cluster: None, ..all };
        for marks in [all, few] {
            let mut metadata = MetadataMap::new();
            marks.write(&mut metadata);

            assert_eq!(Marks::read(&metadata).unwrap(), marks);
        }
    }

    #[test]
    fn a_message_without_marks_or_with_others_is_refused() {
        assert!(Marks::read(&MetadataMap::new()).is_err());
        let mut metadata = MetadataMap::new();
        for (name, value) in [(SOURCE, "1"), (TARGET, "2"), (BOOT, "3")] {
            insert(&mut metadata, name, value);
        }
        assert!(
            Marks::read(&metadata).is_err(),
            "whose start is not told may be a copy"
        );
        insert(&mut metadata, RUN, "4");
        assert!(Marks::read(&metadata).is_ok());
        insert(&mut metadata, CLUSTER, "not hex");
        assert!(Marks::read(&metadata).is_err());
    }
}
