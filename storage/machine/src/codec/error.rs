//! Why bytes could not be read back.

/// Bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are no message of the kind.
    #[error("not a message of this kind")]
    Protobuf(#[from] prost::DecodeError),
    /// A field that always stands there is missing.
    #[error("{field} is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// A field holds what it may not.
    #[error("{field} is {found}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// A field holds a choice that this version does not know.
    #[error("{field} is of a kind unknown here")]
    Unknown {
        /// Which field.
        field: &'static str,
    },
    /// A batch holds a command that this version does not know.
    #[error("command {place} is of a kind unknown here")]
    UnknownCommand {
        /// Its place in the batch.
        place: usize,
    },
    /// An entry is of a format that this version does not know.
    #[error("entry format {format} is unknown here")]
    UnknownFormat {
        /// Its number.
        format: u8,
    },
    /// An entry's header is not one, or lengths do not fit.
    #[error("the entry is damaged: {what}")]
    Entry {
        /// What does not fit.
        what: &'static str,
    },
}

impl DecodeError {
    /// Whether a later version means something by them that this one does not know: they are not damaged.
    pub(crate) fn is_of_later_version(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::UnknownCommand { .. } | Self::UnknownFormat { .. } => true,
            Self::Protobuf(_) | Self::Missing { .. } | Self::Invalid { .. } | Self::Entry { .. } => false,
        }
    }

    /// The error and its causes in one line, for errors that keep no source.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Protobuf(source) => format!("{self}: {source}"),
            Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::Unknown { .. }
            | Self::UnknownCommand { .. }
            | Self::UnknownFormat { .. }
            | Self::Entry { .. } => self.to_string(),
        }
    }
}
