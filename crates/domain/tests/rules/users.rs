//! The rules of a user.

use dealog_domain::{
    Standing,
    user::{ChangeRole, Command, Invite},
};
use dealog_events::{
    Personal, StreamId, UserId,
    user::{Invited, Role, RoleChanged},
};

use crate::support::*;

fn invite() -> Invite {
    Invite { name: val("Anna"), email: None, role: Role::Seller }
}

#[test]
fn a_user_is_invited() {
    given([]).when(invite()).then([invited(ANNA)]);
}

#[test]
fn what_is_known_of_a_user_is_personal_and_about_that_user() {
    let about = StreamId::User(ANNA);
    let happened = Invited {
        name: Personal::new(about, val("Anna")),
        email: Some(Personal::new(about, val("anna@example.com"))),
        role: Role::Admin,
    };
    given([])
        .when(Invite { email: Some(val("anna@example.com")), role: Role::Admin, ..invite() })
        .then([happened.into()]);
}

#[test]
fn a_user_is_invited_once() {
    let exists = || Common::AlreadyExists(StreamId::User(ANNA));
    given([invited(ANNA)]).when(invite()).rejected(exists());
    given([invited(ANNA), deactivated()]).when(invite()).rejected(exists());
}

#[test]
fn only_a_user_who_was_invited_changes() {
    let missing = || Common::NotFound(StreamId::User(ANNA));
    given([]).when(ChangeRole { role: Role::Admin }).rejected(missing());
    given([]).when(Command::Deactivate).rejected(missing());
}

#[test]
fn a_user_gets_another_role() {
    given([invited(ANNA)]).when(ChangeRole { role: Role::Manager }).then([RoleChanged {
        from: Role::Seller,
        to: Role::Manager,
    }
    .into()]);
}

#[test]
fn the_present_role_is_no_event() {
    given([invited(ANNA)]).when(ChangeRole { role: Role::Seller }).then_nothing();
    given([invited(ANNA), RoleChanged { from: Role::Seller, to: Role::Manager }.into()])
        .when(ChangeRole { role: Role::Manager })
        .then_nothing();
}

#[test]
fn a_user_is_deactivated_once() {
    given([invited(ANNA)]).when(Command::Deactivate).then([deactivated()]);
    given([invited(ANNA), deactivated()]).when(Command::Deactivate).then_nothing();
}

#[test]
fn another_role_does_not_make_a_deactivated_user_active() {
    let changed = RoleChanged { from: Role::Seller, to: Role::Admin };
    given([invited(ANNA), deactivated(), changed.into()]).when(Command::Deactivate).then_nothing();
}

/// An admin who is not the only one.
fn admin(user: UserId) -> Standing {
    Standing { own_role_of: Some(user), ..Standing::FULL }
}

#[test]
fn nobody_changes_their_own_role_or_deactivates_themselves() {
    let demote = || ChangeRole { role: Role::Manager };
    given([invited(ANNA)]).of(admin(ANNA)).when(demote()).rejected(UserRejection::OwnRole);
    given([invited(ANNA)]).of(admin(ANNA)).when(Command::Deactivate).rejected(UserRejection::OwnRole);
    assert!(given([invited(ANNA)]).of(admin(BORIS)).when(demote()).is_accepted());
    assert!(given([invited(ANNA)]).of(admin(BORIS)).when(Command::Deactivate).is_accepted());
    // Unless nobody else could.
    assert!(given([invited(ANNA)]).of(Standing::FULL).when(demote()).is_accepted());
}

#[test]
fn to_ask_for_ones_own_present_role_changes_nothing_and_is_not_refused() {
    given([invited(ANNA)]).of(admin(ANNA)).when(ChangeRole { role: Role::Seller }).then_nothing();
}
