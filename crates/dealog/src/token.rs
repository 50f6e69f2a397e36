//! `dealog token`: who may call the API.
#![allow(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::sync::Arc;

use clap::{ArgGroup, Args, Subcommand};
use comfy_table::{Table, presets};
use dealog_app::{Key, Permission, Secret, service};
use dealog_commands::{Commands, Meta, Request};
use dealog_domain::{Command, State, user};
use dealog_events::{
    Actor, Event, StreamId, Timestamp, Title, UserId, Version,
    user::{Role, Roles, UserEvent},
};
use dealog_store::{Log, Token};
use uuid::Uuid;

use crate::{
    open::{self, Failure},
    out::{self, cell},
    settings::Settings,
};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it. It is shown only once: Dealog keeps a hash of it
    #[command(
        group = ArgGroup::new("whom").required(true).args(["user", "invite", "service"]),
        after_help = "Examples:\n  \
            dealog token create --invite 'Anna Berg' --role admin\n  \
            dealog token create --user 0190e5a2-7b6e-7c1d-9c55-3a5e6f7a8b9c --expires-days 90\n  \
            dealog token create --service ledger --allow read,log\n\n\
            A person may do what their roles say: a seller works own deals and reads all, a manager works all deals and \
            teams, an analyst asks, an auditor asks and reads the log, an admin sees to settings, pipelines and users. A \
            service may do what --allow lists. Only the token goes to standard output."
    )]
    Create(Create),
    /// List all tokens, and what each may do
    List,
    /// Revoke a token, for good; this takes effect within a second
    Revoke {
        /// Its id, as `dealog token list` shows it
        #[arg(value_name = "ID")]
        id: Uuid,
        /// Who revokes it, kept with the token [default: the user of the system]
        #[arg(long, value_name = "NAME")]
        by: Option<Title>,
    },
}

/// A token to make.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// For this user of the company, who may do what their roles say
    #[arg(long, value_name = "ID")]
    user: Option<UserId>,
    /// For a new user of this name
    #[arg(long, value_name = "NAME", requires = "role")]
    invite: Option<Title>,
    /// The new user's role: seller, manager, analyst, auditor or admin; several are separated by commas
    #[arg(long, value_name = "ROLE", value_delimiter = ',', requires = "invite")]
    role: Vec<Role>,
    /// For the service of this name, which may do what --allow lists
    #[arg(long, value_name = "NAME", requires = "allow")]
    service: Option<Title>,
    /// What the service may do, separated by commas: read, log, deals, customers, teams, pipelines, users, settings, metrics,
    /// backdate, closed_deals, audit
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "service")]
    allow: Vec<Permission>,
    /// What the token is called in lists, such as the device it is for
    #[arg(long, value_name = "TEXT")]
    name: Option<Title>,
    /// The number of days after which it expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_days: Option<u16>,
    /// Who creates it, kept with the token [default: the user of the system]
    #[arg(long, value_name = "NAME")]
    by: Option<Title>,
}

/// Carries out one of them on the log of the data folder, beside a server or without one.
pub(crate) async fn run(settings: &Settings, command: TokenCommand) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let commands = open::commands(settings, &store);
    let done = match command {
        TokenCommand::Create(create) => self::create(settings, &store, &commands, create).await,
        TokenCommand::List => list(&store, &commands).await,
        TokenCommand::Revoke { id, by } => revoke(&store, &commands, id, by).await,
    };
    store.close().await;
    done
}

async fn create(settings: &Settings, store: &Arc<dyn Log>, commands: &Commands, create: Create) -> Result<(), Failure> {
    let now = commands.now();
    let (actor, invited) = match (&create.user, &create.service) {
        (Some(user), _) => (Actor::User(*user), None),
        (None, Some(name)) => (Actor::Service(service(name.as_str())), None),
        (None, None) => {
            let user = UserId(Uuid::now_v7());
            (Actor::User(user), Some((user, to_invite(create.invite, create.role)?)))
        }
    };
    let may = match &invited {
        Some((_, invite)) => words(&invite.roles),
        None => may(commands, actor, &create.allow).await?,
    };
    let name = create.name.or(create.service).map(|name| name.to_string()).unwrap_or_default();
    let secret = Secret::random().map_err(|source| Failure::Io { what: "the system's randomness".into(), source })?;
    let token = Token {
        id: Uuid::now_v7(),
        secret_hash: secret.hash(),
        actor,
        name,
        permissions: create.allow.iter().map(ToString::to_string).collect(),
        created_at: now,
        expires_at: create.expires_days.map(|days| now.saturating_add_micros(i64::from(days) * DAY_MICROS)),
        revoked_at: None,
        created_by: Some(here(create.by)),
        revoked_by: None,
    };
    let key = Key::new(store.token_key().await?);
    store.add_token(&token).await?;
    let id = token.id;
    // The token first: where this role may not create one, nobody has been invited.
    if let Some((user, invite)) = invited
        && let Err(failure) = self::invite(commands, user, invite).await
    {
        if let Err(error) = store.revoke_token(id, now, token.created_by.as_deref()).await {
            tracing::error!(%error, "the token {id} is of no use, and could not be revoked: `dealog token revoke {id}`");
        }
        return Err(failure);
    }
    // A server that sees a token does this too.
    if let Err(error) = open::mark(settings, store).await?.set() {
        tracing::warn!(%error, "it cannot be written down in the data folder that there are tokens");
    }
    out::note(format_args!(
        "A token for {actor} ({may}). It is shown this once: keep it as you would a password, and send it as\n\
         `Authorization: Bearer TOKEN`. `dealog token revoke {id}` ends it.",
    ));
    out::deliver(secret.token(id, &key)).map_err(|source| Failure::Io {
        what: format!("the token {id} was made and could not be shown: `dealog token revoke {id}`, and make another"),
        source,
    })
}

fn to_invite(name: Option<Title>, roles: Vec<Role>) -> Result<user::Invite, Failure> {
    match (name, Roles::try_from(roles)) {
        (Some(name), Ok(roles)) => Ok(user::Invite { name, email: None, roles }),
        _ => Err(Failure::Folder("name a user with --user, or invite one with --invite and --role".into())),
    }
}

async fn invite(commands: &Commands, user: UserId, invite: user::Invite) -> Result<(), Failure> {
    let request = Request {
        stream: StreamId::User(user),
        command: Command::User(user::Command::Invite(invite)),
        meta: Meta::keyed(Actor::Local, &format!("token:{user}")),
    };
    commands.execute(&request).await?;
    Ok(())
}

/// What a token of this actor's may do, in words.
async fn may(commands: &Commands, actor: Actor, permissions: &[Permission]) -> Result<String, Failure> {
    let Actor::User(user) = actor else {
        return Ok(permissions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    };
    match &*commands.state(StreamId::User(user)).await? {
        State::User(Some(state)) if state.active => Ok(words(&state.roles)),
        State::User(Some(_)) => Err(Failure::Folder(format!("user {user} has been deactivated and may do nothing"))),
        _ => Err(Failure::Folder(format!("there is no user {user}: invite one with --invite NAME --role ROLE"))),
    }
}

fn words(roles: &Roles) -> String {
    roles.iter().map(|role| role.to_string()).collect::<Vec<_>>().join(", ")
}

async fn list(store: &Arc<dyn Log>, commands: &Commands) -> Result<(), Failure> {
    let tokens = store.tokens().await?;
    if tokens.is_empty() {
        out::note("There are no tokens: whoever reaches the server, on this machine only, may do everything.");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["ID", "FOR", "NAME", "MAY", "CREATED", "BY", "STATE"]);
    for token in tokens {
        let (whom, may, active) = holder(store, commands, &token).await?;
        let created = day(token.created_at);
        table.add_row([
            token.id.to_string(),
            cell(&whom),
            cell(&token.name),
            cell(&may),
            created,
            token.created_by.as_deref().map(cell).unwrap_or_default(),
            state(&token, active, commands.now()),
        ]);
    }
    out::print(table)
}

/// Who has a token, what they may do, and whether they may do anything.
async fn holder(store: &Arc<dyn Log>, commands: &Commands, token: &Token) -> Result<(String, String, bool), Failure> {
    let Actor::User(user) = token.actor else {
        return Ok((token.actor.to_string(), token.permissions.join(","), true));
    };
    let stream = StreamId::User(user);
    // A person's name is read from the log when it is shown, and kept nowhere else.
    let invited = store.read_stream(stream, Version::ZERO, 1).await?.pop().map(|envelope| envelope.event());
    let name = match invited {
        Some(Ok(Event::User(UserEvent::Invited(event)))) => event.name.shown(),
        _ => user.to_string(),
    };
    let (role, active) = match &*commands.state(stream).await? {
        State::User(Some(state)) => (words(&state.roles), state.active),
        _ => (String::new(), false),
    };
    Ok((name, role, active))
}

fn state(token: &Token, active: bool, now: Timestamp) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(at), _) => match &token.revoked_by {
            Some(by) => format!("revoked {} by {by}", day(at)),
            None => format!("revoked {}", day(at)),
        },
        (None, Some(at)) if at <= now => format!("expired {}", day(at)),
        _ if !active => "user deactivated".into(),
        (None, Some(at)) => format!("valid until {}", day(at)),
        (None, None) => "valid".into(),
    }
}

fn day(time: Timestamp) -> String {
    time.utc().format("%Y-%m-%d").to_string()
}

/// Who sits at this machine, by the name that they give or that the system knows them by.
fn here(by: Option<Title>) -> String {
    let named = by.or_else(|| std::env::var("USER").ok()?.parse().ok());
    let name = named.map_or_else(|| rustix::process::getuid().as_raw().to_string(), |name| name.to_string());
    format!("local:{name}")
}

async fn revoke(store: &Arc<dyn Log>, commands: &Commands, id: Uuid, by: Option<Title>) -> Result<(), Failure> {
    match store.revoke_token(id, commands.now(), Some(&here(by))).await? {
        Some(token) => {
            let revoked = token.revoked_at.map(|at| at.to_string()).unwrap_or_default();
            out::print(format_args!("The token {id} of {} is revoked since {revoked}.", token.actor))
        }
        None => Err(Failure::Folder(format!("there is no token {id}: `dealog token list` shows them"))),
    }
}
