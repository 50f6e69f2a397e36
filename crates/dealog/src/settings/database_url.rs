//! Addresses of databases, which may hold passwords. None of them is ever shown, in no error, log or help.

use std::borrow::Cow;

use dealog_store::Place;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// What an address may ask for besides its server, role and database. The driver passes over what it does not know, with a
/// misspelt `sslmode` among it.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where a PostgreSQL database is. On the command line any text is one, since what refuses an argument there repeats it:
/// whether it is an address is found out when settings are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub(crate) struct DatabaseUrl(SecretString);

impl From<String> for DatabaseUrl {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl TryFrom<SecretString> for DatabaseUrl {
    type Error = String;

    fn try_from(url: SecretString) -> Result<Self, String> {
        Self(url).checked()
    }
}

impl DatabaseUrl {
    /// The same, if it is the address of a PostgreSQL database.
    pub(crate) fn checked(self) -> Result<Self, String> {
        check(self.0.expose_secret())?;
        Ok(self)
    }

    /// For the settings, which are made of texts.
    pub(super) fn exposed(&self) -> String {
        self.0.expose_secret().to_owned()
    }

    pub(crate) fn place(&self) -> Place {
        Place::Postgres(self.0.clone())
    }
}

fn check(url: &str) -> Result<(), String> {
    let Some(rest) = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        let expected =
            "a database is named as postgres://ROLE@HOST/DATABASE; without one, files in the folder --data are used";
        return Err(expected.into());
    };
    // What stands behind the first of these is not part of the role or password: of a password that has one, the rest would be
    // taken for a host, and shown.
    let (server, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if rest.contains(['#', '@']) || server.matches('@').count() > 1 {
        return Err(
            "in the address of a database, write / ? # @ and % of a role or password as %2F %3F %23 %40 %25".into()
        );
    }
    let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
    for name in parameters.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair))
    {
        if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(format!(
                "the address of a database has a parameter that is not one of: {}",
                PARAMETERS.join(", ")
            ));
        }
    }
    Ok(())
}

/// A text in which each address has lost its password.
pub(crate) fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let end = part.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c)).unwrap_or(part.len());
        let (address, behind) = part.split_at(end);
        match address.rsplit_once('@') {
            Some((whose, server)) => {
                let role = whose.split(':').next().unwrap_or_default();
                let password = if whose.contains(':') { ":***" } else { "" };
                shown.extend([role, password, "@", server, behind]);
            }
            None => shown.push_str(part),
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_and_never_repeated() {
        let checked = |url: &str| DatabaseUrl::from(url.to_owned()).checked().map(drop);
        for url in [
            "postgres:///dealog",
            "postgresql://role:hunter2@host:5432/dealog",
            "postgres://role:p%40ss%2Fword@[::1]/dealog?sslmode=verify-full&options[search_path]=x",
            "postgres://%2Fvar%2Frun%2Fpostgresql/dealog?user=role&password=hunter2",
        ] {
            assert_eq!(checked(url), Ok(()), "{url}");
        }
        for url in [
            "mysql://role:hunter2@host/dealog",
            "role:hunter2@host",
            "postgres://role:12/hunter2@host/dealog",
            "postgres://role:12#hunter2@host/dealog",
            "postgres://role:12?hunter2@host/dealog",
            "postgres://role:hunter2@12@host/dealog",
            "postgres://host/dealog?passwrod=hunter2",
            "postgres://host/dealog?sslmod=verify-full",
        ] {
            let refused = checked(url).unwrap_err();
            assert!(!refused.contains("hunter2") && !refused.contains("passwrod"), "{refused}");
        }
        assert!(!format!("{:?}", DatabaseUrl::from("postgres://role:hunter2@host/d".to_owned())).contains("hunter2"));
    }

    #[test]
    fn a_text_loses_the_passwords_of_its_addresses_and_nothing_else() {
        for (text, shown) in [
            ("see https://dealog.example/docs?a=b", "see https://dealog.example/docs?a=b"),
            ("'mysql://u:hunter2@h/d' and `p://u:a@b:c@h`", "'mysql://u:***@h/d' and `p://u:***@h`"),
            ("postgres://role@host:5432/dealog", "postgres://role@host:5432/dealog"),
            ("x://:hunter2@h y", "x://:***@h y"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
