//! What a token looks like: `dealog_`, the id that it is looked up by, and a secret that only its holder knows.

use dealog_store::Token;
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

    /// The token with this id and secret, as it is given out.
    pub fn token(&self, id: Uuid) -> String {
        format!("{PREFIX}{}_{}", id.simple(), hex::encode(self.0))
    }
}

/// A token as a caller presents it.
pub(super) struct Presented {
    pub(super) id: Uuid,
    secret: Secret,
}

impl Presented {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(secret, &mut bytes).ok()?;
        Some(Self { id: Uuid::try_parse(id).ok()?, secret: Secret(bytes) })
    }

    /// Whether it is this token. Takes as long whatever the secret.
    pub(super) fn is(&self, token: &Token) -> bool {
        self.secret.hash().ct_eq(&token.secret_hash).into()
    }
}

#[cfg(test)]
mod tests {
    use dealog_events::{Actor, Timestamp};

    use super::*;

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
        }
    }

    #[test]
    fn a_token_is_known_by_its_id_and_its_secret() {
        let (secret, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let token = token(&secret);
        let presented = Presented::parse(&secret.token(token.id)).unwrap();
        assert_eq!(presented.id, token.id);
        assert!(presented.is(&token));
        assert!(!Presented::parse(&other.token(token.id)).unwrap().is(&token));
    }

    #[test]
    fn what_is_kept_does_not_give_the_secret_away() {
        let secret = Secret::random().unwrap();
        assert!(!secret.token(Uuid::now_v7()).contains(&hex::encode(secret.hash())));
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        let whole = Secret::random().unwrap().token(Uuid::now_v7());
        for text in [
            "",
            "dealog_",
            "dealog__",
            &whole[1..],
            &whole[..whole.len() - 2],
            &format!("{whole}00"),
            &whole.to_uppercase(),
        ] {
            assert!(Presented::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_service_keeps_its_id() {
        assert_eq!(service("ledger"), service("ledger"));
        assert_ne!(service("ledger"), service("Ledger"));
    }
}
