//! What a token looks like: `dealog_`, the id that it is looked up by, a secret that only its holder knows, and a check.
//!
//! The check is made of the other two with a key of the log's. Whoever makes up a token does not have the key, so a token that
//! was never given out is recognised by itself: no number of them reaches the database, or counts against the holder of
//! a token whose id they bear.

use dealog_store::Token;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How each token begins, so that people and scanners for leaked secrets know one when they see it.
const PREFIX: &str = "dealog_";

/// The namespace of the ids of services. A service keeps its name in the log whatever tokens it is given.
const SERVICES: Uuid = Uuid::from_u128(0x0b4e_9d15_86c2_5f3a_b7d0_94e1_3c58_a26f);

/// The id of the service that is called `name`.
pub fn service(name: &str) -> Uuid {
    Uuid::new_v5(&SERVICES, name.as_bytes())
}

/// Bytes of a check: more than anybody can try over a network.
const CHECK_BYTES: usize = 16;

/// Bytes of a block of SHA-256, to which HMAC pads a shorter key with zeros.
const BLOCK_BYTES: usize = 64;

/// The key of the log by which its tokens are checked.
#[derive(Clone)]
pub struct Key([u8; BLOCK_BYTES]);

impl Key {
    /// The key as the log keeps it.
    pub fn new(key: [u8; 32]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = from);
        Self(block)
    }

    fn over(&self, id: Uuid, secret: &Secret) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.0.into()).chain_update(id.as_bytes()).chain_update(secret.0)
    }
}

/// The secret of a new token. It is shown once; what is kept is its hash.
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one, from the system's randomness.
    pub fn random() -> std::io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::from)?;
        Ok(Self(secret))
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The token with this id and secret, as it is given out for the log that has this key.
    pub fn token(&self, id: Uuid, key: &Key) -> String {
        let check = key.over(id, self).finalize().into_bytes();
        let check = hex::encode(check.get(..CHECK_BYTES).unwrap_or_default());
        format!("{PREFIX}{}_{}_{check}", id.simple(), hex::encode(self.0))
    }
}

/// A token as a caller presents it.
pub(super) struct Presented {
    pub(super) id: Uuid,
    secret: Secret,
}

impl Presented {
    /// None where it is no token, or not one that was given out for the log with this key.
    pub(super) fn parse(text: &str, key: &Key) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let (secret, check) = rest.split_once('_')?;
        let (mut bytes, mut found) = ([0; 32], [0; CHECK_BYTES]);
        hex::decode_to_slice(secret, &mut bytes).ok()?;
        hex::decode_to_slice(check, &mut found).ok()?;
        let presented = Self { id: Uuid::try_parse(id).ok()?, secret: Secret(bytes) };
        // Takes as long whatever the check.
        key.over(presented.id, &presented.secret).verify_truncated_left(&found).ok()?;
        Some(presented)
    }

    /// Whether it is this token. Takes as long whatever the secret.
    pub(super) fn is(&self, token: &Token) -> bool {
        self.secret.hash().ct_eq(&token.secret_hash).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use dealog_events::{Actor, Timestamp};

    use super::*;

    static KEY: LazyLock<Key> = LazyLock::new(|| Key::new([7; 32]));

    fn token(secret: &Secret) -> Token {
        Token {
            id: Uuid::now_v7(),
            secret_hash: secret.hash(),
            actor: Actor::Service(service("ledger")),
            name: "ledger".into(),
            permissions: vec![],
            created_at: Timestamp::MIN,
            expires_at: None,
            revoked_at: None,
            created_by: None,
            revoked_by: None,
        }
    }

    #[test]
    fn a_token_is_known_by_its_id_and_its_secret() {
        let (secret, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let token = token(&secret);
        let presented = Presented::parse(&secret.token(token.id, &KEY), &KEY).unwrap();
        assert_eq!(presented.id, token.id);
        assert!(presented.is(&token));
        assert!(!Presented::parse(&other.token(token.id, &KEY), &KEY).unwrap().is(&token));
    }

    #[test]
    fn a_token_of_another_log_or_with_another_id_or_secret_is_none_of_this_log() {
        let (secret, id) = (Secret::random().unwrap(), Uuid::now_v7());
        let token = secret.token(id, &KEY);
        assert!(Presented::parse(&token, &Key::new([8; 32])).is_none());
        let check = token.rsplit_once('_').unwrap().1;
        let with_check =
            |id: Uuid, secret: &Secret| format!("dealog_{}_{}_{check}", id.simple(), hex::encode(secret.0));
        assert!(Presented::parse(&with_check(id, &secret), &KEY).is_some());
        assert!(Presented::parse(&with_check(Uuid::now_v7(), &secret), &KEY).is_none());
        assert!(Presented::parse(&with_check(id, &Secret::random().unwrap()), &KEY).is_none());
    }

    #[test]
    fn the_check_is_hmac_sha256_of_id_and_secret() {
        // By another implementation: Python's hmac.new(bytes([7]) * 32, bytes(16) + bytes([1]) * 32, "sha256").
        let token = Secret([1; 32]).token(Uuid::nil(), &KEY);
        assert_eq!(token.rsplit_once('_').unwrap().1, "28265f1f84cefc14762692d57fbe0807");
    }

    #[test]
    fn what_is_kept_does_not_give_the_secret_away() {
        let secret = Secret::random().unwrap();
        assert!(!secret.token(Uuid::now_v7(), &KEY).contains(&hex::encode(secret.hash())));
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        let whole = Secret::random().unwrap().token(Uuid::now_v7(), &KEY);
        for text in [
            "",
            "dealog_",
            "dealog__",
            &whole[1..],
            &whole[..whole.len() - 2],
            &format!("{whole}00"),
            &whole.to_uppercase(),
        ] {
            assert!(Presented::parse(text, &KEY).is_none(), "{text}");
        }
    }

    #[test]
    fn a_service_keeps_its_id() {
        assert_eq!(service("ledger"), service("ledger"));
        assert_ne!(service("ledger"), service("Ledger"));
    }
}
