//! Ids by which a command is recognised when it comes again.

use dealog_events::{Actor, CommandId};
use dealog_store::Fingerprint;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The namespace of command ids. Part of the log's format: another one would make every retry a new command.
const COMMANDS: Uuid = Uuid::from_u128(0x6b1f_5c0e_52a5_4d8c_9e57_3d1a_40c2_7f11);

/// The id of the command that `actor` calls `key`.
pub fn command_id(actor: Actor, key: &str) -> CommandId {
    CommandId(Uuid::new_v5(&COMMANDS, format!("{actor}\n{key}").as_bytes()))
}

/// A hash over the parts of a request, each with its length so that no two lists of parts look alike.
pub fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Fingerprint(hash.finalize().into())
}
