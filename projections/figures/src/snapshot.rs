//! A snapshot of the image, from which a server starts sooner than from the log.
//!
//! It can be thrown away at any time. It names the log, the position and the event there that it was taken at, so that a log which was
//! restored from a backup and written to again is not taken for the one it was made of; and it ends with a checksum. One that is
//! damaged, or of another version of this format, is refused: then the image is folded from the log.

use std::io::{self, BufReader, BufWriter, Read, Write};

use crc32fast::Hasher;
use dealog_events::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Image;

/// What a snapshot begins with: what it is, and the version of its format. Whatever changes in [`Image`] changes this.
const MAGIC: &[u8; 16] = b"dealog image 004";
/// The longest text in a snapshot takes fewer bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Read and written, and added to the checksum, at once: byte by byte that would take most of the time.
const BUFFER_BYTES: usize = 1024 * 1024;
/// The checksum at the end.
const SUM_BYTES: usize = 4;
/// What CRC-32 makes of any text with its own checksum behind it.
const SUM_OF_TEXT_AND_SUM: u32 = 0x2144_DF1C;

/// Which history a snapshot was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The log.
    pub log_id: Uuid,
    /// The last position that was folded.
    pub position: Position,
    /// The id of the event there.
    pub event_id: Uuid,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none, or one of another version.
    #[error("it was made by another version of Dealog, or is something else")]
    Foreign,
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Image {
    /// Writes a snapshot.
    pub fn write(&self, proof: &Proof, to: impl Write) -> Result<(), Unusable> {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, Checked { inner: to, hasher: Hasher::new() });
        to.write_all(MAGIC)?;
        let mut write = |error: postcard::Error| Unusable::Io(io::Error::other(error));
        postcard::to_io(proof, &mut to).map_err(&mut write)?;
        postcard::to_io(self, &mut to).map_err(&mut write)?;
        to.flush()?;
        let sum = to.get_ref().hasher.clone().finalize();
        to.write_all(&sum.to_le_bytes())?;
        Ok(to.flush()?)
    }

    /// Reads a snapshot, and which history it was made of.
    pub fn read(from: impl Read) -> Result<(Self, Proof), Unusable> {
        let mut from = BufReader::with_capacity(BUFFER_BYTES, Checked { inner: from, hasher: Hasher::new() });
        let mut magic = [0; 16];
        from.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(Unusable::Foreign);
        }
        let mut buffer = vec![0; TEXT_BYTES_MAX];
        let damaged = |error: postcard::Error| Unusable::Damaged(error.to_string());
        let (proof, _) = postcard::from_io::<Proof, _>((&mut from, &mut buffer)).map_err(damaged)?;
        let (mut image, _) = postcard::from_io::<Self, _>((&mut from, &mut buffer)).map_err(damaged)?;
        let mut sum = Vec::new();
        from.read_to_end(&mut sum)?;
        let is_whole = sum.len() == SUM_BYTES && from.into_inner().hasher.finalize() == SUM_OF_TEXT_AND_SUM;
        if !is_whole || image.position() != proof.position {
            return Err(Unusable::Damaged("its checksum is another one".into()));
        }
        image.look_up();
        Ok((image, proof))
    }
}

/// Something that is read or written, with a checksum of what went through.
struct Checked<T> {
    inner: T,
    hasher: Hasher,
}

impl<T: Write> Write for Checked<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Checked<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Days as numbers: as texts they would take most of the time.
pub(crate) mod day {
    use chrono::{Datelike as _, NaiveDate};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(day: &Option<NaiveDate>, serializer: S) -> Result<S::Ok, S::Error> {
        day.map(|day| day.num_days_from_ce()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
        let days = Option::<i32>::deserialize(deserializer)?;
        let day = |days| NaiveDate::from_num_days_from_ce_opt(days).ok_or_else(|| D::Error::custom("no such day"));
        days.map(day).transpose()
    }
}
