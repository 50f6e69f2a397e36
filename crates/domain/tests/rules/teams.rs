//! The rules of a team.

use dealog_domain::{
    Patch,
    team::{Change, Command, Form, MEMBERS_MAX},
};
use dealog_events::{
    Event, StreamId, UserId,
    team::{Formed, MemberAdded, MemberRemoved, Renamed},
};
use uuid::Uuid;

use crate::support::*;

fn form() -> Form {
    Form { name: val("North") }
}

fn formed() -> Event {
    Formed { name: val("North") }.into()
}

fn added(user: UserId) -> Event {
    MemberAdded { user }.into()
}

fn removed(user: UserId) -> Event {
    MemberRemoved { user }.into()
}

#[test]
fn a_team_is_formed() {
    given([]).when(form()).then([formed()]);
}

#[test]
fn a_team_is_renamed() {
    let rename = |name: &str| Change { name: Patch::Set(val(name)) };
    let renamed = Renamed { from: val("North"), to: val("Northern") };
    given([formed()]).when(rename("Northern")).then([renamed.into()]);
    given([formed()]).when(rename("North")).then_nothing();
    given([formed()]).when(Change { name: Patch::Clear }).rejected(Common::NeverEmpty { field: "name" });
}

#[test]
fn a_team_is_formed_once() {
    given([formed()]).when(form()).rejected(Common::AlreadyExists(StreamId::Team(NORTH)));
}

#[test]
fn only_a_team_that_was_formed_has_members() {
    let missing = || Common::NotFound(StreamId::Team(NORTH));
    given([]).in_a_company().when(Command::AddMember(ANNA)).rejected(missing());
    given([]).in_a_company().when(Command::RemoveMember(ANNA)).rejected(missing());
}

#[test]
fn a_user_joins_once() {
    given([formed()]).in_a_company().when(Command::AddMember(ANNA)).then([added(ANNA)]);
    given([formed(), added(ANNA)]).in_a_company().when(Command::AddMember(ANNA)).then_nothing();
}

#[test]
fn a_user_leaves_once_and_may_join_again() {
    given([formed(), added(ANNA)]).when(Command::RemoveMember(ANNA)).then([removed(ANNA)]);
    given([formed(), added(ANNA), removed(ANNA)]).when(Command::RemoveMember(ANNA)).then_nothing();
    given([formed(), added(ANNA), removed(ANNA)]).in_a_company().when(Command::AddMember(ANNA)).then([added(ANNA)]);
}

#[test]
fn no_one_joins_who_does_not_exist() {
    let user = UserId(Uuid::from_u128(0xff));
    given([formed()])
        .in_a_company()
        .when(Command::AddMember(user))
        .rejected(Common::UnknownReference { field: "user", stream: StreamId::User(user) });
}

#[test]
fn a_deactivated_user_does_not_join_but_leaves() {
    let company = |own: Vec<Event>| given(own).in_a_company().and(StreamId::User(ANNA), [deactivated()]);
    company(vec![formed()])
        .when(Command::AddMember(ANNA))
        .rejected(UserRejection::Inactive { field: "user", user: ANNA });
    company(vec![formed(), added(ANNA)]).when(Command::RemoveMember(ANNA)).then([removed(ANNA)]);
}

#[test]
fn a_team_has_a_limit_of_members() {
    let crowd = (0..MEMBERS_MAX).map(|number| added(UserId(Uuid::from_u128(0x1_0000 + number as u128))));
    let full: Vec<Event> = [formed()].into_iter().chain(crowd).collect();
    given(full.clone()).in_a_company().when(Command::AddMember(ANNA)).rejected(Common::Limit {
        field: "user",
        what: "members of a team",
        max: MEMBERS_MAX,
    });
    let last = UserId(Uuid::from_u128(0x1_0000));
    given(full.into_iter().chain([removed(last)])).in_a_company().when(Command::AddMember(ANNA)).then([added(ANNA)]);
}
