//! The rules of a user.

use dealog_domain::{
    Patch, Standing,
    deal::{Change as ChangeDeal, Create},
    user::{Change, Command, Invite},
};
use dealog_events::{
    Personal, StreamId, UserId,
    deal::Created,
    user::{Invited, Reactivated, Renamed, Role, Roles, RolesChanged},
};

use crate::support::*;

fn invite() -> Invite {
    Invite { name: val("Anna"), email: None, roles: Role::Seller.into() }
}

fn to(role: Role) -> Change {
    Change { roles: Patch::Set(role.into()), ..Change::default() }
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
        roles: Role::Admin.into(),
    };
    given([])
        .when(Invite { email: Some(val("anna@example.com")), roles: Role::Admin.into(), ..invite() })
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
    given([]).when(to(Role::Admin)).rejected(missing());
    given([]).when(Command::Deactivate).rejected(missing());
}

#[test]
fn a_user_gets_another_role() {
    given([invited(ANNA)]).when(to(Role::Manager)).then([RolesChanged {
        from: Role::Seller.into(),
        to: Role::Manager.into(),
    }
    .into()]);
}

#[test]
fn the_present_role_is_no_event() {
    given([invited(ANNA)]).when(to(Role::Seller)).then_nothing();
    given([invited(ANNA), RolesChanged { from: Role::Seller.into(), to: Role::Manager.into() }.into()])
        .when(to(Role::Manager))
        .then_nothing();
}

#[test]
fn a_person_may_have_several_roles_and_has_at_least_one() {
    let roles = |roles: &[Role]| Roles::try_from(roles.to_vec());
    let several = roles(&[Role::Admin, Role::Seller, Role::Admin]).unwrap();
    assert_eq!(Ok(several.clone()), roles(&[Role::Seller, Role::Admin]));
    let asked = Change { roles: Patch::Set(several.clone()), ..Change::default() };
    let changed = RolesChanged { from: Role::Seller.into(), to: several };
    given([invited(ANNA)]).when(asked).then([changed.into()]);
    assert!(roles(&[]).is_err());
    let nothing = Change { roles: Patch::Clear, ..Change::default() };
    given([invited(ANNA)]).when(nothing).rejected(Common::NeverEmpty { field: "roles" });
}

#[test]
fn a_name_is_corrected_by_whoever_may_change_users_also_their_own() {
    let about = StreamId::User(ANNA);
    let rename = |name: &str| Change { name: Patch::Set(val(name)), ..Change::default() };
    let renamed = Renamed { from: Personal::new(about, val("Anna")), to: Personal::new(about, val("Anna Berg")) };
    given([invited(ANNA)]).of(admin(ANNA)).when(rename("Anna Berg")).then([renamed.clone().into()]);
    given([invited(ANNA), renamed.into()]).when(rename("Anna Berg")).then_nothing();
}

#[test]
fn a_deactivated_user_can_be_reactivated() {
    given([invited(ANNA), deactivated()]).when(Command::Reactivate).then([Reactivated {}.into()]);
    given([invited(ANNA)]).when(Command::Reactivate).then_nothing();
    given([invited(ANNA), deactivated(), Reactivated {}.into()]).when(Command::Deactivate).then([deactivated()]);
}

#[test]
fn only_a_seller_or_a_manager_owns_deals() {
    let analyst = || RolesChanged { from: Role::Seller.into(), to: Role::Analyst.into() }.into();
    let refused = || UserRejection::WorksNoDeals { field: "owner", user: ANNA };
    let company =
        |events: Vec<dealog_events::Event>| given(events).in_a_company().and(StreamId::User(ANNA), [analyst()]);
    company(Vec::new()).when(Create { owner: Some(ANNA), ..create() }).rejected(refused());
    let assign = || ChangeDeal { owner: Patch::Set(ANNA), ..ChangeDeal::default() };
    company(vec![created()]).when(assign()).rejected(refused());
    // Whose it is already may stay so.
    company(vec![Created { owner: Some(ANNA), ..bare() }.into()]).when(assign()).then_nothing();
}

#[test]
fn a_user_is_deactivated_once() {
    given([invited(ANNA)]).when(Command::Deactivate).then([deactivated()]);
    given([invited(ANNA), deactivated()]).when(Command::Deactivate).then_nothing();
}

#[test]
fn another_role_does_not_make_a_deactivated_user_active() {
    let changed = RolesChanged { from: Role::Seller.into(), to: Role::Admin.into() };
    given([invited(ANNA), deactivated(), changed.into()]).when(Command::Deactivate).then_nothing();
}

/// An admin who is not the only one.
fn admin(user: UserId) -> Standing {
    Standing { own_role_of: Some(user), ..Standing::FULL }
}

#[test]
fn nobody_changes_their_own_role_or_deactivates_themselves() {
    let demote = || to(Role::Manager);
    given([invited(ANNA)]).of(admin(ANNA)).when(demote()).rejected(UserRejection::OwnRole);
    given([invited(ANNA)]).of(admin(ANNA)).when(Command::Deactivate).rejected(UserRejection::OwnRole);
    assert!(given([invited(ANNA)]).of(admin(BORIS)).when(demote()).is_accepted());
    assert!(given([invited(ANNA)]).of(admin(BORIS)).when(Command::Deactivate).is_accepted());
    // Unless nobody else could.
    assert!(given([invited(ANNA)]).of(Standing::FULL).when(demote()).is_accepted());
}

#[test]
fn to_ask_for_ones_own_present_role_changes_nothing_and_is_not_refused() {
    given([invited(ANNA)]).of(admin(ANNA)).when(to(Role::Seller)).then_nothing();
}
