//! What must hold of pipelines, customers, users, teams and settings.

use std::collections::{BTreeSet, HashSet};

use dealog_events::{
    Currency, CustomerId, FieldValue, Fields, Personal, PipelineId, Slug, StreamId, TeamId, TimeZone, Title, UserId,
    customer::{CustomerEvent, Registered},
    pipeline::{PipelineEvent, RequiredField, Stage},
    settings::{FieldDefinition, FieldKind, FieldOwner, LossReason, SettingsEvent},
    team::TeamEvent,
    user::{Role, Roles, UserEvent},
};

use super::{Seen, Witness, change, ensure};

#[derive(Clone)]
pub(super) struct PipelineSeen {
    name: Title,
    /// In order, with whether each is retired.
    stages: Vec<(Stage, bool)>,
    skipping_allowed: bool,
    pub(super) archived: bool,
}

impl PipelineSeen {
    /// The stages that are not retired.
    pub(super) fn open(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|(_, retired)| !retired).map(|(stage, _)| stage)
    }

    fn order(&self) -> Vec<Slug> {
        self.stages.iter().map(|(stage, _)| stage.slug.clone()).collect()
    }

    fn place(&self, slug: &Slug) -> Result<usize, String> {
        self.stages.iter().position(|(stage, _)| stage.slug == *slug).ok_or_else(|| format!("no stage {slug}"))
    }

    /// A stage, retired or not.
    pub(super) fn stage(&self, slug: &Slug) -> Option<&Stage> {
        self.stages.iter().map(|(stage, _)| stage).find(|stage| stage.slug == *slug)
    }

    /// The stages that count as passed on the way into one, with this one.
    pub(super) fn on_the_way(&self, from: Option<&Slug>, to: &Slug) -> Result<Vec<&Stage>, String> {
        let to = self.place(to)?;
        let from = from.map_or(Ok(0), |from| self.place(from).map(|from| if from < to { from + 1 } else { to }))?;
        Ok(self.stages[from..=to].iter().filter(|(_, retired)| !retired).map(|(stage, _)| stage).collect())
    }

    /// All that lies between on a way forward is retired, unless skipping is allowed.
    pub(super) fn skips_nothing_it_must_not(&self, from: &Slug, to: &Slug) -> Seen {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let passed_over = self.stages.iter().take(to).skip(from + 1);
        let skipped = passed_over.filter(|(_, retired)| !retired).count();
        ensure(self.skipping_allowed || skipped == 0, || format!("{skipped} stages are skipped"))
    }
}

#[derive(Clone)]
pub(super) struct CustomerSeen {
    name: Title,
    fields: Fields,
}

#[derive(Clone)]
pub(super) struct UserSeen {
    name: Personal<Title>,
    roles: Roles,
    active: bool,
}

#[derive(Clone)]
pub(super) struct TeamSeen {
    name: Title,
    members: HashSet<UserId>,
}

#[derive(Clone, Default)]
pub(super) struct SettingsSeen {
    pub(super) reporting_currency: Option<Currency>,
    time_zone: Option<TimeZone>,
    pub(super) reasons: Vec<LossReason>,
    fields: Vec<FieldDefinition>,
}

impl SettingsSeen {
    fn field(&self, of: FieldOwner, slug: &Slug) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.of == of && field.slug == *slug)
    }

    /// The field is defined, and the value is of its kind.
    pub(super) fn takes(&self, of: FieldOwner, slug: &Slug, value: &FieldValue) -> Seen {
        let field = self.field(of, slug).ok_or_else(|| format!("{slug} is not defined"))?;
        let fits = match value {
            FieldValue::Integer(_) => field.kind == FieldKind::Integer,
            FieldValue::Boolean(_) => field.kind == FieldKind::Boolean,
            FieldValue::Text(text) => match field.kind {
                FieldKind::Integer | FieldKind::Boolean => false,
                FieldKind::Text => true,
                FieldKind::Decimal => text.as_str().parse::<f64>().is_ok_and(f64::is_finite),
                FieldKind::Date => text.as_str().parse::<chrono::NaiveDate>().is_ok(),
                FieldKind::Choice => field.options.iter().any(|option| option.as_str() == text.as_str()),
            },
        };
        ensure(fits, || format!("{slug} is {:?}", field.kind))
    }
}

impl Witness {
    pub(super) fn see_pipeline(&mut self, id: PipelineId, event: &PipelineEvent) -> Seen {
        if let PipelineEvent::Defined(event) = event {
            let stages = event.stages.iter().map(|stage| (stage.clone(), false)).collect();
            let pipeline = PipelineSeen {
                name: event.name.clone(),
                stages,
                skipping_allowed: event.skipping_allowed,
                archived: false,
            };
            for stage in &event.stages {
                self.requires_what_is_defined(stage)?;
            }
            well_ordered(&pipeline)?;
            return ensure(self.pipelines.insert(id, pipeline).is_none(), || "defined twice".into());
        }
        if let PipelineEvent::StageAdded(event) = event {
            self.requires_what_is_defined(&event.stage)?;
        }
        if let PipelineEvent::StageRevised(event) = event
            && event.from.required_fields != event.to.required_fields
        {
            self.requires_what_is_defined(&event.to)?;
        }
        let pipeline = self.pipelines.get_mut(&id).ok_or("not defined")?;
        let before: BTreeSet<Slug> = pipeline.order().into_iter().collect();
        match event {
            PipelineEvent::Defined(_) => {}
            PipelineEvent::StageAdded(event) => {
                let place = event.after.as_ref().map_or(Ok(0), |after| pipeline.place(after).map(|place| place + 1))?;
                pipeline.stages.insert(place, (event.stage.clone(), false));
            }
            PipelineEvent::StageRevised(event) => {
                ensure(event.from.slug == event.to.slug, || "a stage got another slug".into())?;
                let place = pipeline.place(&event.from.slug)?;
                change(&mut pipeline.stages[place].0, &event.from, &event.to)?;
            }
            PipelineEvent::StageRetired(event) => {
                let place = pipeline.place(&event.stage)?;
                change(&mut pipeline.stages[place].1, &false, &true)?;
            }
            PipelineEvent::StageReinstated(event) => {
                let place = pipeline.place(&event.stage)?;
                change(&mut pipeline.stages[place].1, &true, &false)?;
            }
            PipelineEvent::Renamed(event) => change(&mut pipeline.name, &event.from, &event.to)?,
            PipelineEvent::Unarchived(_) => change(&mut pipeline.archived, &true, &false)?,
            PipelineEvent::StagesReordered(event) => {
                change(&mut pipeline.order(), &event.from, &event.to)?;
                let placed = |slug| pipeline.place(slug).map(|place| pipeline.stages[place].clone());
                pipeline.stages = event.to.iter().map(placed).collect::<Result<_, _>>()?;
            }
            PipelineEvent::Archived(_) => change(&mut pipeline.archived, &false, &true)?,
        }
        let after: BTreeSet<Slug> = pipeline.order().into_iter().collect();
        ensure(before.is_subset(&after), || "a stage was removed".into())?;
        well_ordered(pipeline)
    }

    fn requires_what_is_defined(&self, stage: &Stage) -> Seen {
        let undefined = stage.required_fields.iter().find(|field| match field {
            RequiredField::Custom(slug) => self.settings.field(FieldOwner::Deal, slug).is_none(),
            _ => false,
        });
        ensure(undefined.is_none(), || format!("requires {undefined:?}, which is not defined"))
    }

    pub(super) fn see_customer(&mut self, id: CustomerId, event: &CustomerEvent) -> Seen {
        if let CustomerEvent::Registered(Registered::Organisation { name, fields, .. }) = event {
            for (field, value) in fields {
                self.settings.takes(FieldOwner::Customer, field, value)?;
            }
            let customer = CustomerSeen { name: name.clone(), fields: fields.clone() };
            return ensure(self.customers.insert(id, customer).is_none(), || "registered twice".into());
        }
        let customer = self.customers.get_mut(&id).ok_or("not registered")?;
        match event {
            CustomerEvent::Registered(_) => Ok(()),
            CustomerEvent::Renamed(event) => change(&mut customer.name, &event.from, &event.to),
            CustomerEvent::FieldSet(event) => {
                if let Some(value) = &event.to {
                    self.settings.takes(FieldOwner::Customer, &event.field, value)?;
                }
                let mut present = customer.fields.remove(&event.field);
                change(&mut present, &event.from, &event.to)?;
                customer.fields.extend(present.map(|value| (event.field.clone(), value)));
                Ok(())
            }
        }
    }

    pub(super) fn see_user(&mut self, id: UserId, event: &UserEvent) -> Seen {
        match event {
            UserEvent::Invited(event) => {
                let about = StreamId::User(id);
                let subjects = [Some(event.name.subject()), event.email.as_ref().map(Personal::subject)];
                ensure(subjects.into_iter().flatten().all(|subject| subject == about), || "about another".into())?;
                let user = UserSeen { name: event.name.clone(), roles: event.roles.clone(), active: true };
                ensure(self.users.insert(id, user).is_none(), || "invited twice".into())
            }
            UserEvent::Renamed(event) => {
                ensure(event.to.subject() == StreamId::User(id), || "about another".into())?;
                change(&mut self.user(id)?.name, &event.from, &event.to)
            }
            UserEvent::RolesChanged(event) => change(&mut self.user(id)?.roles, &event.from, &event.to),
            UserEvent::Reactivated(_) => change(&mut self.user(id)?.active, &false, &true),
            UserEvent::Deactivated(_) => change(&mut self.user(id)?.active, &true, &false),
        }
    }

    fn user(&mut self, id: UserId) -> Result<&mut UserSeen, String> {
        self.users.get_mut(&id).ok_or_else(|| "not invited".into())
    }

    pub(super) fn user_is_active(&self, user: Option<UserId>) -> Seen {
        let active = |id| self.users.get(&id).is_some_and(|user| user.active);
        ensure(user.is_none_or(active), || "no such user, or a deactivated one".into())
    }

    /// An active user who sells or manages.
    pub(super) fn works_deals(&self, user: Option<UserId>) -> Seen {
        self.user_is_active(user)?;
        let works =
            |id| self.users.get(&id).is_some_and(|user| user.roles.has(Role::Seller) || user.roles.has(Role::Manager));
        ensure(user.is_none_or(works), || "a user who works no deals".into())
    }

    pub(super) fn see_team(&mut self, id: TeamId, event: &TeamEvent) -> Seen {
        match event {
            TeamEvent::Formed(event) => {
                let team = TeamSeen { name: event.name.clone(), members: HashSet::new() };
                ensure(self.teams.insert(id, team).is_none(), || "formed twice".into())
            }
            TeamEvent::Renamed(event) => {
                let team = self.teams.get_mut(&id).ok_or("not formed")?;
                change(&mut team.name, &event.from, &event.to)
            }
            TeamEvent::MemberAdded(event) => {
                self.user_is_active(Some(event.user))?;
                let team = self.teams.get_mut(&id).ok_or("not formed")?;
                ensure(team.members.insert(event.user), || "is in it already".into())
            }
            TeamEvent::MemberRemoved(event) => {
                let team = self.teams.get_mut(&id).ok_or("not formed")?;
                ensure(team.members.remove(&event.user), || "is not in it".into())
            }
        }
    }

    pub(super) fn see_settings(&mut self, event: &SettingsEvent) -> Seen {
        let settings = &mut self.settings;
        match event {
            SettingsEvent::ReportingCurrencySet(event) => {
                change(&mut settings.reporting_currency, &event.from, &Some(event.to))
            }
            SettingsEvent::TimeZoneSet(event) => change(&mut settings.time_zone, &event.from, &Some(event.to)),
            SettingsEvent::LossReasonsSet(event) => {
                let slugs: HashSet<_> = event.to.iter().map(|reason| &reason.slug).collect();
                ensure(slugs.len() == event.to.len(), || "a reason is listed twice".into())?;
                change(&mut settings.reasons, &event.from, &event.to)
            }
            SettingsEvent::FieldsDefined(event) => {
                for field in &event.to {
                    let same = event.to.iter().filter(|other| other.of == field.of && other.slug == field.slug).count();
                    ensure(same == 1, || format!("{} is defined {same} times", field.slug))?;
                    let kind = settings.field(field.of, &field.slug).map_or(field.kind, |before| before.kind);
                    ensure(kind == field.kind, || format!("{} was {kind:?}", field.slug))?;
                    let offers = !field.options.is_empty();
                    ensure(offers == (field.kind == FieldKind::Choice), || format!("options of {}", field.slug))?;
                }
                change(&mut settings.fields, &event.from, &event.to)
            }
        }
    }
}

/// Each name once, and somewhere to go.
fn well_ordered(pipeline: &PipelineSeen) -> Seen {
    let order = pipeline.order();
    let names: BTreeSet<_> = order.iter().collect();
    ensure(names.len() == order.len(), || "a stage is there twice".into())?;
    ensure(pipeline.open().next().is_some(), || "no stage can be entered".into())
}
