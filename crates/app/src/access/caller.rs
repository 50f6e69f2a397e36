//! Who calls.

use std::sync::Arc;

use dealog_domain::Standing;
use dealog_events::{
    Actor, UserId,
    user::{Role, Roles},
};

use super::{Permission, Refused, rate::Rate};
use crate::Limits;

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(super) actor: Actor,
    /// What they may do; none where they may do everything.
    permissions: Option<Arc<[Permission]>>,
    /// What rules let them do.
    pub(super) standing: Standing,
    /// How fast they may send commands; none where that is not limited.
    pub(super) rate: Option<Rate>,
}

impl Caller {
    pub(super) fn local() -> Self {
        Self { actor: Actor::Local, permissions: None, standing: Standing::FULL, rate: None }
    }

    pub(super) fn of_roles(user: UserId, roles: &Roles, limits: &Limits) -> Self {
        let permissions = Permission::of_roles(roles);
        let standing = Standing {
            // Who manages, too, works all deals.
            own_deals_of: (roles.has(Role::Seller) && !roles.has(Role::Manager)).then_some(user),
            own_role_of: Some(user),
            uses_reserve: roles.has(Role::Manager) || roles.has(Role::Admin),
            ..Permission::standing(&permissions)
        };
        let rate = Some(Rate::of(Some(roles), limits));
        Self { actor: Actor::User(user), permissions: Some(permissions.into()), standing, rate }
    }

    pub(super) fn of_service(actor: Actor, permissions: Vec<Permission>, limits: &Limits) -> Self {
        let standing = Permission::standing(&permissions);
        Self { actor, permissions: Some(permissions.into()), standing, rate: Some(Rate::of(None, limits)) }
    }

    /// By whom events will have been caused.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Refuses a caller who does not have this permission.
    pub fn must_have(&self, needed: Permission) -> Result<(), Refused> {
        match &self.permissions {
            Some(permissions) if !permissions.contains(&needed) => {
                Err(Refused::Forbidden { needed, permitted: Arc::clone(permissions) })
            }
            _ => Ok(()),
        }
    }
}
